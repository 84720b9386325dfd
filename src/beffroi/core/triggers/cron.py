"""Cron lines, in cronsim's dialect, with a zone and a daylight-saving policy."""

import copy
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Literal, Self

from cronsim import CronSim, CronSimError
from pydantic import model_validator

from beffroi.core.moments import MICROSECOND, ZoneName, zone_of
from beffroi.core.triggers.base import Rule, count_by_walking, last_by_doubling
from beffroi.core.triggers.walls import DAY, Fold, Gap, Placement, next_placed

_SOME_DAY = datetime(2024, 1, 1)  # noqa: DTZ001  wall time: cron lines are read without a zone

FIELDS = {"vixie": 5, "seconds": 6}


class Cron(Rule):
    """Fires when the wall clock of `zone` matches the line.

    `dialect` is `vixie` (minute hour day month weekday) or `seconds` (a sixth field in front).
    Unset, the daylight-saving policies follow Debian's cron: a line with fixed minute and hour that
    falls in a gap runs once at the first valid minute, and in a fold once, at the first pass; a line
    whose minute or hour starts with `*` follows real time. Set, they are obeyed as they are.
    """

    kind: Literal["cron"] = "cron"
    line: str
    zone: ZoneName = "UTC"
    dialect: Literal["vixie", "seconds"] = "vixie"
    gap: Gap | None = None
    fold: Fold | None = None

    @model_validator(mode="after")
    def _is_a_line_that_fires(self) -> Self:
        expected = FIELDS[self.dialect]
        fields = len(self.line.split())
        if fields != expected:
            hint = '; for six fields set "dialect": "seconds"' if fields == 6 else ""
            raise ValueError(f"a {self.dialect} cron line has {expected} fields, this one has {fields}{hint}")
        try:
            _parse(self.line)
        except CronSimError as error:
            raise ValueError(_explain(self.line, error)) from None
        if next(self.walls_after(_SOME_DAY), None) is None:
            raise ValueError(f"the line {self.line!r} never fires: no such date exists")
        return self

    def next_after(self, moment: datetime) -> datetime | None:
        return next_placed(self, moment)

    def count_between(self, after: datetime, until: datetime) -> int:
        """Count by days: a day without irregular hours fires as often as the line says."""
        count = 0
        while after < until:
            end = min(self._end_of_day(after), until)
            if end - after == DAY and self._is_plain(after):
                count += self._fires_on(end)
            else:
                count += count_by_walking(self, after, end)
            after = end
        return count

    def last_between(self, after: datetime, until: datetime) -> datetime | None:
        return last_by_doubling(self, after, until)

    def walls_after(self, wall: datetime) -> Iterator[datetime]:
        walls = copy.copy(_parse(self.line))
        walls.dt = wall.replace(microsecond=0)
        return walls

    @property
    def placement(self) -> Placement:
        return _placement(self.zone, *self._policy())

    def _policy(self) -> tuple[Gap, Fold]:
        real_time = _follows_real_time(self.line, self.dialect)
        gap = self.gap or (Gap.SKIP if real_time else Gap.FIRST_VALID)
        fold = self.fold or (Fold.BOTH if real_time else Fold.FIRST)
        return gap, fold

    def _end_of_day(self, moment: datetime) -> datetime:
        """Return the last microsecond of the wall-clock day that begins or goes on after `moment`."""
        wall = (moment + MICROSECOND).astimezone(self.placement.zone).replace(tzinfo=None)
        to_midnight = DAY - (wall - wall.replace(hour=0, minute=0, second=0, microsecond=0))
        return moment + to_midnight

    def _is_plain(self, moment: datetime) -> bool:
        low, high = self.placement.offsets_near(moment)
        later_low, later_high = self.placement.offsets_near(moment + DAY)
        return low == high == later_low == later_high

    def _fires_on(self, end_of_day: datetime) -> int:
        parsed = _parse(self.line)
        day = end_of_day.astimezone(self.placement.zone).date()
        if day.month not in parsed.months or not parsed.match_day(day):
            return 0
        return len(parsed.hours) * len(parsed.minutes) * len(parsed.seconds)


@lru_cache(maxsize=4096)
def _placement(zone: str, gap: Gap, fold: Fold) -> Placement:
    return Placement(zone_of(zone), gap, fold)


@lru_cache(maxsize=4096)
def _parse(line: str) -> CronSim:
    return CronSim(line, _SOME_DAY)


def _follows_real_time(line: str, dialect: str) -> bool:
    minute, hour = line.split()[:2]
    return dialect == "seconds" or minute.startswith("*") or hour.startswith("*")


def _explain(line: str, error: CronSimError) -> str:
    reason = str(error)
    if reason == "Bad day-of-month" and _numbers_in_range(line):
        return f"the line {line!r} never fires: no such date exists"
    return f"{line!r} is not a cron line: {reason[:1].lower()}{reason[1:]}"


def _numbers_in_range(line: str) -> bool:
    day = line.split()[-3]
    return day.isdecimal() and 1 <= int(day[:3]) <= 31

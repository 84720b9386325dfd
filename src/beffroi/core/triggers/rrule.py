"""Recurrence rules of iCalendar (RFC 5545), for the starts of windows."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Literal, Self

from dateutil.rrule import rrule, rrulestr
from pydantic import model_validator

from beffroi.core.moments import Moment, ZoneName, zone_of
from beffroi.core.triggers.base import Rule
from beffroi.core.triggers.walls import Fold, Gap, Placement, next_placed


class RRule(Rule):
    """Recurs by an RRULE, from the wall time of `start` in `zone` on.

    A wall time that does not exist becomes the first valid one; of one that exists twice, the first
    is taken.
    """

    kind: Literal["rrule"] = "rrule"
    rule: str
    start: Moment
    zone: ZoneName = "UTC"

    @model_validator(mode="after")
    def _is_a_rule_that_fires(self) -> Self:
        try:
            first = next(iter(_walls(self.rule, self._wall_start)), None)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{self.rule!r} is not an RRULE: {error}") from None
        if first is None:
            raise ValueError(f"the rule {self.rule!r} never fires")
        return self

    def next_after(self, moment: datetime) -> datetime | None:
        return next_placed(self, moment)

    @property
    def placement(self) -> Placement:
        return Placement(zone_of(self.zone), Gap.FIRST_VALID, Fold.FIRST)

    @property
    def _wall_start(self) -> datetime:
        return self.start.astimezone(zone_of(self.zone)).replace(tzinfo=None, microsecond=0)

    def walls_after(self, wall: datetime) -> Iterator[datetime]:
        return iter(_walls(self.rule, self._wall_start).xafter(wall))


FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")

HORIZON = timedelta(days=60 * 366)
"""A rule is followed for sixty years from its start: one that never fires must come to an end."""


@lru_cache(maxsize=4096)
def _walls(rule: str, start: datetime) -> rrule:
    parts = dict(part.split("=", 1) for part in rule.upper().split(";"))
    if parts.get("FREQ") not in FREQUENCIES:
        raise ValueError(f"FREQ must be one of {', '.join(FREQUENCIES)}")
    if parts.get("INTERVAL", "1").strip("0") == "":
        raise ValueError("INTERVAL must be at least 1")
    # UNTIL is a UTC moment in RFC 5545; the rule is walked in naive wall time, so its mark goes.
    parsed = rrulestr(rule.replace("Z;", ";").removesuffix("Z"), dtstart=start, cache=True)
    if not isinstance(parsed, rrule):
        raise ValueError("one rule is expected")
    end = start + HORIZON
    return parsed if "COUNT" in parts or "UNTIL" in parts else parsed.replace(until=end)

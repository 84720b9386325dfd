"""Recurrence rules of iCalendar (RFC 5545), for the starts of windows."""

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Literal, Self

from dateutil.rrule import rrule, rruleset, rrulestr
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


@lru_cache(maxsize=4096)
def _walls(rule: str, start: datetime) -> rrule | rruleset:
    if "DTSTART" in rule.upper():
        raise ValueError("leave DTSTART out: the start is the start_time")
    # UNTIL is a UTC moment in RFC 5545; the rule is walked in naive wall time, so its mark goes.
    naive = rule.replace("Z;", ";").removesuffix("Z")
    return rrulestr(naive, dtstart=start, cache=True)

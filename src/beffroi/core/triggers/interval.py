"""Every so often, on a grid that does not move."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator

from beffroi.core.durations import PositiveDuration
from beffroi.core.moments import EPOCH, FOREVER, Moment
from beffroi.core.triggers.base import Rule

SHORTEST = timedelta(milliseconds=10)
LONGEST = timedelta(days=3660)


def _reasonable(every: timedelta) -> timedelta:
    if not SHORTEST <= every <= LONGEST:
        raise ValueError("an interval lies between 10ms and 10 years (3660d)")
    return every


class Interval(Rule):
    """Fires at `anchor + n * every`, for every whole n, also negative.

    The grid survives restarts: a process that is restarted every 5 hours still runs its 6-hour job.
    A job made without an anchor is anchored at the moment of its creation.
    """

    kind: Literal["interval"] = "interval"
    every: Annotated[PositiveDuration, AfterValidator(_reasonable)]
    anchor: Moment | None = None

    @property
    def origin(self) -> datetime:
        return self.anchor or EPOCH

    def next_after(self, moment: datetime) -> datetime | None:
        if moment >= FOREVER:
            return None
        return self.origin + (self._steps(moment) + 1) * self.every

    def count_between(self, after: datetime, until: datetime) -> int:
        return max(0, self._steps(until) - self._steps(after))

    def last_between(self, after: datetime, until: datetime) -> datetime | None:
        last = self.origin + self._steps(until) * self.every
        return last if last > after else None

    def _steps(self, moment: datetime) -> int:
        """How many whole steps lie between the anchor and the moment (rounded down)."""
        return (moment - self.origin) // self.every

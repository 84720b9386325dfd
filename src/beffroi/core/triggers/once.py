"""Once, at a given moment."""

from datetime import datetime
from typing import Literal

from beffroi.core.moments import MICROSECOND, Moment
from beffroi.core.triggers.base import Rule


class Once(Rule):
    """Fires one time, at `at`. A moment in the past fires at once when the job is made."""

    kind: Literal["once"] = "once"
    at: Moment

    def next_after(self, moment: datetime) -> datetime | None:
        return self.at if self.at > moment else None

    def first_cursor(self, now: datetime) -> datetime:
        return min(now, self.at - MICROSECOND)

    def count_between(self, after: datetime, until: datetime) -> int:
        return int(after < self.at <= until)

    def last_between(self, after: datetime, until: datetime) -> datetime | None:
        return self.at if after < self.at <= until else None

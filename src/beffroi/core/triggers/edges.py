"""The edges of windows: the moments at which a wanted state can change."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from beffroi.core.durations import PositiveDuration
from beffroi.core.moments import MICROSECOND, Moment
from beffroi.core.triggers.base import Rule
from beffroi.core.triggers.cron import Cron
from beffroi.core.triggers.rrule import RRule


class Edges(Rule):
    """Fires at the start and at the end of each window `[start, end)`.

    Either one window (`start`, `end`), or a recurring one: `starts` says when each begins, and each
    lasts `length` of elapsed time, so a window over a change of the clock is neither negative nor a
    day off; those that would begin before `since` do not count. An end that is also a start is one moment.
    """

    kind: Literal["edges"] = "edges"
    start: Moment | None = None
    end: Moment | None = None
    starts: Annotated[Cron | RRule, Field(discriminator="kind")] | None = None
    length: PositiveDuration | None = None
    since: Moment | None = None

    @model_validator(mode="after")
    def _is_one_or_recurring(self) -> Self:
        if self.starts is not None:
            if self.length is None or self.start or self.end:
                raise ValueError("a recurring window has 'starts' and 'length', no 'start' or 'end'")
        elif self.start is None or self.end is None or self.length is not None:
            raise ValueError("a window has 'start' and 'end', or 'starts' and 'length'")
        elif self.end <= self.start:
            raise ValueError("'end' must lie after 'start'")
        return self

    def next_after(self, moment: datetime) -> datetime | None:
        if self.starts is None or self.length is None:
            return min((edge for edge in (self.start, self.end) if edge and edge > moment), default=None)
        start = self._start_after(self.starts, moment)
        open_since = self._start_after(self.starts, moment - self.length)
        end = open_since + self.length if open_since is not None else None
        return min((edge for edge in (start, end) if edge is not None), default=None)

    def window_at(self, moment: datetime) -> tuple[datetime, datetime] | None:
        """Return the window `[start, end)` that holds the moment; of several, the one begun last."""
        if self.starts is None or self.length is None:
            return _holding(self.start, self.end, moment)
        start = self.starts.last_between(moment - self.length, moment)
        if start is None or (self.since is not None and start < self.since):
            return None
        return start, start + self.length

    def is_over(self, moment: datetime) -> bool:
        """Whether no window holds the moment and none is to come."""
        return self.next_after(moment) is None

    def _start_after(self, starts: Cron | RRule, moment: datetime) -> datetime | None:
        if self.since is not None:
            moment = max(moment, self.since - MICROSECOND)
        return starts.next_after(moment)


def _holding(
    start: datetime | None, end: datetime | None, moment: datetime
) -> tuple[datetime, datetime] | None:
    if start is None or end is None or not start <= moment < end:
        return None
    return start, end

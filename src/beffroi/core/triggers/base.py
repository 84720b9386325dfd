"""What every trigger can answer, and the answers that follow from `next_after` alone."""

from abc import abstractmethod
from datetime import datetime, timedelta
from typing import Protocol

from pydantic import BaseModel, ConfigDict


class Trigger(Protocol):
    """A frozen rule. Moments in and out are aware, in UTC."""

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first nominal moment strictly after `moment`; None when there is none."""

    def count_between(self, after: datetime, until: datetime) -> int:
        """Count the nominal moments in (after, until]."""

    def last_between(self, after: datetime, until: datetime) -> datetime | None:
        """Return the last nominal moment in (after, until]; None when there is none."""


class Rule(BaseModel):
    """Base of the trigger values: immutable, and an unknown key is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @abstractmethod
    def next_after(self, moment: datetime) -> datetime | None: ...

    def first_cursor(self, now: datetime) -> datetime:
        """Return from where a job made at `now` is decided: the past before it is not its own."""
        return now

    def count_between(self, after: datetime, until: datetime) -> int:
        return count_by_walking(self, after, until)

    def last_between(self, after: datetime, until: datetime) -> datetime | None:
        return last_by_doubling(self, after, until)


class _HasNext(Protocol):
    def next_after(self, moment: datetime) -> datetime | None: ...


def count_by_walking(trigger: _HasNext, after: datetime, until: datetime) -> int:
    """Count one by one: for rules that fire a few times a day."""
    count = 0
    moment = trigger.next_after(after)
    while moment is not None and moment <= until:
        count += 1
        moment = trigger.next_after(moment)
    return count


def last_by_doubling(trigger: _HasNext, after: datetime, until: datetime) -> datetime | None:
    """Find the last moment in (after, until]: look back twice as far until one is found, then walk."""
    back = timedelta(minutes=1)
    while until > after:
        start = until - back if back < until - after else after
        found = trigger.next_after(start)
        if found is not None and found <= until:
            return _walk_to_last(trigger, found, until)
        if start == after:
            return None
        back *= 2
    return None


def _walk_to_last(trigger: _HasNext, found: datetime, until: datetime) -> datetime:
    following = trigger.next_after(found)
    while following is not None and following <= until:
        found, following = following, trigger.next_after(following)
    return found

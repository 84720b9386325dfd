"""From wall time to moments: what a clock on the wall shows may exist twice, or not at all.

Calendar rules (cron, RRULE) speak of wall time. This file places what they say on the real time
line, by the trigger's declared policy for gaps (the clock jumps forward) and folds (it is set back).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

from beffroi.core.moments import FOREVER, MICROSECOND

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NEIGHBOURHOOD = timedelta(hours=26)
"""How far a change of offset can reach: zones have skipped, and repeated, up to a whole day."""


class Gap(StrEnum):
    """What to do with a wall time that does not exist."""

    FIRST_VALID = "first_valid"
    SHIFT = "shift"
    SKIP = "skip"


class Fold(StrEnum):
    """Which one to take of a wall time that exists twice."""

    FIRST = "first"
    LAST = "last"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Placement:
    """A zone and what to do at its irregular hours."""

    zone: ZoneInfo
    gap: Gap
    fold: Fold

    def place(self, wall: datetime) -> list[datetime]:
        """Return the moments (UTC) of a naive wall time: none, one or two."""
        before = self._offset(wall, fold=0)
        after = self._offset(wall, fold=1)
        naive = wall.replace(tzinfo=UTC)
        if before == after:
            return [naive - before]
        if before < after:
            return self._place_in_gap(naive, before, after)
        return self._place_in_fold(naive, before, after)

    def offsets_near(self, moment: datetime, reach: timedelta = NEIGHBOURHOOD) -> tuple[timedelta, timedelta]:
        """Return the least and the greatest UTC offset in force within `reach` of the moment."""
        offsets = [
            (moment + shift).astimezone(self.zone).utcoffset() or timedelta(0)
            for shift in (-reach, timedelta(0), reach)
        ]
        return min(offsets), max(offsets)

    def is_twofold(self, wall: datetime) -> bool:
        """Whether this naive wall time exists twice, or not at all."""
        return self._offset(wall, fold=0) != self._offset(wall, fold=1)

    def _offset(self, wall: datetime, fold: int) -> timedelta:
        return wall.replace(tzinfo=self.zone, fold=fold).utcoffset() or timedelta(0)

    def _place_in_gap(self, naive: datetime, before: timedelta, after: timedelta) -> list[datetime]:
        if self.gap is Gap.SKIP:
            return []
        if self.gap is Gap.SHIFT:
            return [naive - before]
        return [self._transition(naive - after, naive - before)]

    def _place_in_fold(self, naive: datetime, before: timedelta, after: timedelta) -> list[datetime]:
        first, last = naive - before, naive - after
        return {Fold.FIRST: [first], Fold.LAST: [last], Fold.BOTH: [first, last]}[self.fold]

    def _transition(self, low: datetime, high: datetime) -> datetime:
        """Find by bisection the second at which the offset changes, in (low, high]."""
        start = low.astimezone(self.zone).utcoffset()
        while high - low > timedelta(seconds=1):
            middle = low + (high - low) // timedelta(seconds=2) * timedelta(seconds=1)
            if middle.astimezone(self.zone).utcoffset() == start:
                low = middle
            else:
                high = middle
        return high.replace(microsecond=0)


class Calendar(Protocol):
    """A rule of wall times: hashable, because what it says around a change of offset is kept."""

    @property
    def placement(self) -> Placement: ...

    def walls_after(self, wall: datetime) -> Iterator[datetime]:
        """Yield the rule's naive wall times strictly after `wall`, in order."""

    def __hash__(self) -> int: ...


def next_placed(calendar: Calendar, moment: datetime) -> datetime | None:
    """Return the calendar's first moment strictly after `moment`.

    Far from a change of offset the next wall time is the answer. Near one, the order on the wall is
    not the order in time: there the moments are sorted out an hour at a time.
    """
    placement = calendar.placement
    position = moment
    while position < FOREVER:
        low, high = placement.offsets_near(position)
        if low == high:
            start = (position + low).replace(tzinfo=None)
            wall = next(calendar.walls_after(start if position == moment else start - MICROSECOND), None)
            if wall is None:
                return None
            if wall - start > NEIGHBOURHOOD:
                # Nothing until then: look again from nearby, where another offset may be in force.
                position = wall.replace(tzinfo=UTC) - high - NEIGHBOURHOOD
                continue
            if not placement.is_twofold(wall):
                return wall.replace(tzinfo=UTC) - low
        hour = position.replace(minute=0, second=0, microsecond=0)
        found = next((placed for placed in _placed_in_hour(calendar, hour) if placed > moment), None)
        if found is not None:
            return found
        position = hour + HOUR
    return None


@lru_cache(maxsize=4096)
def _placed_in_hour(calendar: Calendar, hour: datetime) -> tuple[datetime, ...]:
    """Return the calendar's moments in [hour, hour + 1 h), whichever wall times they come from."""
    placement = calendar.placement
    low, high = placement.offsets_near(hour, 2 * NEIGHBOURHOOD)
    end = hour + HOUR
    found: set[datetime] = set()
    # A wall time in a gap may be placed as late as the gap is long.
    for wall in calendar.walls_after((hour + low - (high - low)).replace(tzinfo=None) - MICROSECOND):
        if wall >= (end + high).replace(tzinfo=None):
            break
        found.update(placed for placed in placement.place(wall) if hour <= placed < end)
    return tuple(sorted(found))

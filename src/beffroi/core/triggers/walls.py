"""From wall time to moments: what a clock on the wall shows may exist twice, or not at all.

Calendar rules (cron, RRULE) speak of wall time. This file places what they say on the real time
line, by the trigger's declared policy for gaps (the clock jumps forward) and folds (it is set back).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from beffroi.core.moments import FOREVER

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

    def is_irregular(self, moment: datetime) -> bool:
        """Whether the wall time of this moment is the second pass of a fold or follows a gap."""
        wall = moment.astimezone(self.zone).replace(tzinfo=None)
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


def next_placed(
    walls_after: Callable[[datetime], Iterator[datetime]],
    placement: Placement,
    moment: datetime,
) -> datetime | None:
    """Return the first placed moment strictly after `moment`.

    `walls_after(wall)` yields the rule's naive wall times after `wall`, in order. Around a change of
    offset the order on the wall is not the order in time; so every wall time that can still be earlier
    than the best found is looked at. Far from one, the first wall time is the answer.
    """
    position = moment
    while position < FOREVER:
        low, high = placement.offsets_near(position)
        reach = DAY
        if low != high:
            # A change of offset within a day disturbs only what is about as near to it as it is large.
            reach = 4 * (high - low)
            low, high = placement.offsets_near(position, 2 * reach)
        start = (position + low).replace(tzinfo=None)
        best: datetime | None = None
        for wall in walls_after(start):
            if best is None and wall - start > reach:
                # Nothing until then: look again from nearby, where other offsets may be in force.
                position = max(position, wall.replace(tzinfo=UTC) - high - reach / 2)
                break
            if best is not None and wall.replace(tzinfo=UTC) - high >= best:
                return best
            later = [placed for placed in placement.place(wall) if placed > moment]
            best = min([*later, best] if best is not None else later, default=None)
            if best is not None and low == high:
                return best
        else:
            return best
    return None

"""How long a target was up, and down: sums over what was found. A pure rule."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from beffroi.domains.workloads.models import Observed

NONE = timedelta(0)


@dataclass(frozen=True, slots=True)
class Hours:
    """Time found up (also in part) and down. What is not known counts for neither."""

    up: timedelta = NONE
    down: timedelta = NONE

    @property
    def saved(self) -> float | None:
        """The share of the known time that it was down; None when nothing is known."""
        known = self.up + self.down
        return self.down / known if known else None


@dataclass(frozen=True, slots=True)
class Stretch:
    """`[since, until)`, in which the same was found."""

    since: datetime
    until: datetime
    observed: Observed


def stretches(
    changes: Iterable[tuple[datetime, Observed]], since: datetime, until: datetime
) -> Sequence[Stretch]:
    """Cut `[since, until)` where what was found changes. `changes`: in order; also those before `since`."""
    found: list[Stretch] = []
    start, observed = since, Observed.UNKNOWN
    for at, following in changes:
        if at >= until:
            break
        if at > start:
            found.append(Stretch(start, at, observed))
            start = at
        observed = following
    if start < until:
        found.append(Stretch(start, until, observed))
    return found


def hours(found: Iterable[Stretch]) -> Hours:
    """Add up."""
    up = down = NONE
    for each in found:
        if each.observed in (Observed.UP, Observed.PARTLY):
            up += each.until - each.since
        elif each.observed is Observed.DOWN:
            down += each.until - each.since
    return Hours(up, down)

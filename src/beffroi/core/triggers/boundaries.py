"""Several windows and moments as one rule: whenever any of them has an edge."""

from collections.abc import Iterator
from datetime import datetime
from heapq import merge
from itertools import groupby
from typing import Literal

from beffroi.core.moments import Moment
from beffroi.core.triggers.base import Rule
from beffroi.core.triggers.edges import Edges


class Boundaries(Rule):
    """Fires at the edges of every window, and at every moment named; what falls together is one moment."""

    kind: Literal["boundaries"] = "boundaries"
    windows: tuple[Edges, ...] = ()
    moments: tuple[Moment, ...] = ()

    def next_after(self, moment: datetime) -> datetime | None:
        ahead = [at for at in self.moments if at > moment]
        ahead += [at for window in self.windows if (at := window.next_after(moment)) is not None]
        return min(ahead, default=None)

    def count_between(self, after: datetime, until: datetime) -> int:
        each = [sorted(at for at in self.moments if after < at <= until)]
        walks = [_walk(window, after, until) for window in self.windows]
        return sum(1 for _ in groupby(merge(*each, *walks)))


def _walk(window: Edges, after: datetime, until: datetime) -> Iterator[datetime]:
    moment = window.next_after(after)
    while moment is not None and moment <= until:
        yield moment
        moment = window.next_after(moment)

"""How much was done in the last hours, and how late it began: counted once for each stretch that is over."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Float, case, cast, extract, func, literal_column, select
from sqlmodel import Session, col

from beffroi.core.outcomes import State
from beffroi.engine.models import Run

STRETCH = timedelta(minutes=10)
STRETCHES = 72
"""Twelve hours, as far as the timeline goes back."""

SETTLED = timedelta(minutes=20)
"""What began longer ago is counted once: what ends later still is a few runs among many."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Ten minutes. `lateness`: mean and greatest, in seconds, of the runs that began."""

    start: datetime
    runs: int = 0
    failed: int = 0
    mean_lateness: float = 0.0
    worst_lateness: float = 0.0


class Figures:
    """Counts runs by stretches of time, and remembers those that are over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counted: OrderedDict[datetime, Stretch] = OrderedDict()

    def stretches(self, session: Session, now: datetime) -> Sequence[Stretch]:
        """Return the last twelve hours, the oldest first."""
        last = _floor(now)
        starts = [last - STRETCH * back for back in range(STRETCHES - 1, -1, -1)]
        return [self._stretch(session, start, now) for start in starts]

    def _stretch(self, session: Session, start: datetime, now: datetime) -> Stretch:
        with self._lock:
            if found := self._counted.get(start):
                return found
        counted = _count(session, start)
        if now - start > SETTLED:
            with self._lock:
                self._counted[start] = counted
                while len(self._counted) > 2 * STRETCHES:
                    self._counted.popitem(last=False)
        return counted


def _count(session: Session, start: datetime) -> Stretch:
    """Count the runs decided in a stretch: ids are in order of time, so this reads no others."""
    seconds = _lateness(session)
    failed = case((col(Run.state).in_((State.FAILED, State.MISSED)), 1), else_=0)
    query = select(func.count(), func.sum(failed), func.avg(seconds), func.max(seconds)).where(
        col(Run.id) >= _first_id(start),
        col(Run.id) < _first_id(start + STRETCH),
        col(Run.state) != State.PLANNED,
    )
    runs, wrong, mean, worst = session.execute(query).one()
    return Stretch(start, runs, int(wrong or 0), max(0.0, float(mean or 0)), max(0.0, float(worst or 0)))


def _lateness(session: Session) -> ColumnElement[float]:
    if session.get_bind().dialect.name == "sqlite":
        return literal_column("(run.started_at - run.due_at) / 1e6", Float)
    return cast(extract("epoch", col(Run.started_at) - col(Run.due_at)), Float)


def _first_id(moment: datetime) -> str:
    """Return the least id (UUID version 7) of a moment."""
    milliseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return str(UUID(int=milliseconds << 80))


def _floor(moment: datetime) -> datetime:
    return moment - (moment - datetime(1970, 1, 1, tzinfo=UTC)) % STRETCH

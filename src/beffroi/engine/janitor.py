"""Upkeep that may take its time: deleting old history, and looking for runs that were forgotten."""

from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from beffroi import events
from beffroi.engine.clock import Clock
from beffroi.engine.history import History, prune
from beffroi.store.db import Database

if TYPE_CHECKING:
    from beffroi.engine.shared import SharedQueue

SWEEP = 15.0
"""Seconds between looks for forgotten runs."""

IDLE = 60.0

LOCK = 0x0BEFF403
"""The advisory lock of the one node that deletes old history."""


class Janitor:
    """`poll` answers how long to sleep."""

    def __init__(
        self, database: Database, clock: Clock, history: History, queue: "SharedQueue | None"
    ) -> None:
        self._database = database
        self._clock = clock
        self._history = history
        self._queue = queue
        self._prune_at = clock.monotonic() + history.first_pass.total_seconds()
        self._sweep_at = clock.monotonic() + SWEEP

    def poll(self) -> float:
        if self._queue is not None and self._clock.monotonic() >= self._sweep_at:
            self._sweep_at = self._clock.monotonic() + SWEEP
            self._sweep(self._queue)
        if self._clock.monotonic() >= self._prune_at:
            self._prune_at = self._clock.monotonic() + self._history.every.total_seconds()
            self._prune()
        return IDLE if self._queue is None else SWEEP

    def _sweep(self, queue: "SharedQueue") -> None:
        with self._database.write() as session:
            if found := queue.sweep(session):
                events.runs_found(found)
        try:
            with self._database.write() as session:
                queue.tidy(session)
        except OperationalError:
            pass  # the journal is in use: it is emptied another time

    def _prune(self) -> None:
        if self._queue is None:
            prune(self._database, self._history, self._clock.now())
            return
        with self._database.write() as session:
            if _is_first(session):
                prune(self._database, self._history, self._clock.now())


def _is_first(session: Session) -> bool:
    """Whether no other node is at it; none begins until the session ends."""
    return bool(session.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": LOCK}))

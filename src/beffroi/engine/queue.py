"""How decided runs reach the hands that execute them.

On SQLite they are handed over inside this process; the ledger is the truth after a crash. Both
moves belong to the session's transaction: what is enqueued is handed over when it has committed,
what is recalled goes back when it is rolled back.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from sqlalchemy import event
from sqlmodel import Session

from beffroi.engine.backlog import Backlog
from beffroi.engine.held import HeldRun, Hold

QUEUE = "beffroi_queue"
"""The key under which every session knows the queue (`session.info`)."""


class Queue(Protocol):
    def enqueue(self, session: Session, runs: Sequence[HeldRun]) -> None:
        """Hand the runs over once the session has committed."""

    def recall(self, session: Session, wanted: Callable[[HeldRun], bool]) -> list[HeldRun]:
        """Take back the runs that were not started; give them back if the session rolls back."""


class InProcessQueue:
    """Hands over in memory: held until due, then in the backlog until a slot is free."""

    def __init__(self, hold: Hold, backlog: Backlog) -> None:
        self._hold = hold
        self._backlog = backlog

    def enqueue(self, session: Session, runs: Sequence[HeldRun]) -> None:
        if runs:
            event.listen(session, "after_commit", lambda _: self._hold.put(runs), once=True)

    def recall(self, session: Session, wanted: Callable[[HeldRun], bool]) -> list[HeldRun]:
        taken = self._hold.take_back(wanted) + self._backlog.take_back(wanted)
        if taken:
            event.listen(session, "after_rollback", lambda _: self._hold.put(taken), once=True)
        return taken


class NoQueue:
    """For a process that changes jobs but executes nothing, such as the command line."""

    def enqueue(self, session: Session, runs: Sequence[HeldRun]) -> None:
        raise RuntimeError("this process does not execute runs")

    def recall(self, session: Session, wanted: Callable[[HeldRun], bool]) -> list[HeldRun]:
        return []


def queue_of(session: Session) -> Queue:
    """Return the queue that carries the runs of this session."""
    queue: Queue = session.info[QUEUE]
    return queue

"""How decided runs reach the hands that execute them.

On SQLite they are handed over inside this process; the ledger is the truth after a crash. On PostgreSQL
PgQueuer carries them to whichever machine takes them (see `shared`). Every move belongs to the session's
transaction: what it hands over arrives when it has committed, what it recalls goes back when it is rolled
back.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from sqlmodel import Session

from beffroi.engine.backlog import Backlog
from beffroi.engine.held import HeldRun, Hold
from beffroi.store.endings import on_commit, on_rollback

QUEUE = "beffroi_queue"
"""The key under which every session knows the queue (`session.info`)."""


class Loose(NamedTuple):
    """A planned run that nobody holds."""

    id: str
    due_at: datetime
    priority: int


class Queue(Protocol):
    is_shared: bool
    """Whether other machines take runs from it; else whoever decides a run holds it."""

    def hand_over(self, session: Session, runs: Sequence[HeldRun]) -> None:
        """Bring runs just decided to whoever will execute them."""

    def offer(self, session: Session, runs: Sequence[Loose]) -> None:
        """Say that planned runs are in nobody's hands."""

    def recall(self, session: Session, wanted: Callable[[HeldRun], bool]) -> list[HeldRun]:
        """Take back the runs that were not started; give them back if the session rolls back."""

    def ended(self, session: Session, runs: Sequence[HeldRun]) -> None:
        """Forget runs whose attempt is over and written down."""

    def lost(self, session: Session, runs: Sequence[HeldRun]) -> None:
        """Forget runs that are somebody else's by now."""

    def again(self, session: Session, runs: Sequence[tuple[HeldRun, datetime]]) -> None:
        """Bring runs, now planned again, to whoever executes them next, not before their moments."""

    def tell(self, session: Session, message: str) -> None:
        """Tell all machines that something was changed."""


CHANGED = "changed"
"""The message that there may be something to decide."""

CANCEL, REPLACE = "cancel:", "replace:"
"""How the message begins that a run is to be cancelled: by hand, or because the next replaces it."""


class InProcessQueue:
    """Hands over in memory: held until due, then in the backlog until a slot is free."""

    is_shared = False

    def __init__(self, hold: Hold, backlog: Backlog, on_change: Callable[[], None] = lambda: None) -> None:
        self._hold = hold
        self._backlog = backlog
        self._on_change = on_change

    def hand_over(self, session: Session, runs: Sequence[HeldRun]) -> None:
        if runs:
            on_commit(session, lambda: self._hold.put(runs))

    def offer(self, session: Session, runs: Sequence[Loose]) -> None:
        if runs:
            self.tell(session, CHANGED)

    def recall(self, session: Session, wanted: Callable[[HeldRun], bool]) -> list[HeldRun]:
        taken = self._hold.take_back(wanted) + self._backlog.take_back(wanted)
        if taken:
            on_rollback(session, lambda: self._hold.put(taken))
        return taken

    def ended(self, session: Session, runs: Sequence[HeldRun]) -> None:
        pass

    def lost(self, session: Session, runs: Sequence[HeldRun]) -> None:
        pass

    def again(self, session: Session, runs: Sequence[tuple[HeldRun, datetime]]) -> None:
        if runs:
            self.tell(session, CHANGED)

    def tell(self, session: Session, message: str) -> None:
        on_commit(session, self._on_change)


class NoQueue:
    """For a process that changes jobs but executes nothing, such as the command line."""

    is_shared = False

    def hand_over(self, session: Session, runs: Sequence[HeldRun]) -> None:
        raise RuntimeError("this process does not execute runs")

    def offer(self, session: Session, runs: Sequence[Loose]) -> None:
        pass

    def recall(self, session: Session, wanted: Callable[[HeldRun], bool]) -> list[HeldRun]:
        return []

    def ended(self, session: Session, runs: Sequence[HeldRun]) -> None:
        pass

    def lost(self, session: Session, runs: Sequence[HeldRun]) -> None:
        pass

    def again(self, session: Session, runs: Sequence[tuple[HeldRun, datetime]]) -> None:
        pass

    def tell(self, session: Session, message: str) -> None:
        pass


def queue_of(session: Session) -> Queue:
    """Return the queue that carries the runs of this session."""
    queue: Queue = session.info[QUEUE]
    return queue

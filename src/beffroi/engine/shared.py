"""The queue that many machines share: PgQueuer carries the runs, the ledger says whose they are.

A run is enqueued in the very transaction that decides it, with the moment from which it may be taken: a
little before it is due, so that whoever takes it holds it until then. Runs that are due together travel
together, some to a ticket, for a ticket costs as much as a run. Taking a run is claiming it in the ledger
(see `feeder`); only who holds the present token may settle.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlmodel import Session, col

from beffroi.engine import nodes
from beffroi.engine import runs as ledger
from beffroi.engine.clock import Clock
from beffroi.engine.held import HeldRun
from beffroi.engine.loop import LONGEST_PAUSE
from beffroi.engine.models import Run
from beffroi.engine.queue import Loose
from beffroi.store import pgqueuer
from beffroi.store.endings import on_commit
from beffroi.store.pgqueuer import Item

LEAD = timedelta(milliseconds=250)
"""How long before its moment a run may be taken from the queue."""

LEASE = timedelta(seconds=8)
"""A machine that was silent for so long loses what it took."""

FORGOTTEN = timedelta(seconds=30)
"""A run that is due for so long and in nobody's hands is put into the queue again, if it is not there."""

CHANNEL = "beffroi"
"""Where machines tell each other what was changed."""

LARGEST = 64
"""Runs on one ticket."""

SHARES = 16
"""What is decided at once is spread over at least so many tickets, so that all machines get of it."""

A_LONG_TIME = timedelta(days=1)
"""How long the others may be silent while the database that carries their word was away itself."""

CLOSE = timedelta(milliseconds=50)
"""Runs whose moments are no further apart may share a ticket."""


class SharedQueue:
    """One machine's end of the queue: what it puts in, and what it has taken and not ended.

    `node_id`: who takes, once the machine has started.
    """

    is_shared = True

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.node_id = ""
        self._lock = threading.Lock()
        self._in_hand: dict[int, dict[str, HeldRun]] = {}
        self._valid_until = float("-inf")
        self._patient_until = float("-inf")
        self._strays: set[tuple[str, int]] = set()

    def hand_over(self, session: Session, runs: Sequence[HeldRun]) -> None:
        self.offer(session, [Loose(run.id, run.due_at, run.policy.priority) for run in runs])

    def offer(self, session: Session, runs: Sequence[Loose]) -> None:
        if runs:
            pgqueuer.enqueue(session, [self._item(bundle) for bundle in bundles(runs)])

    def recall(self, session: Session, wanted: Callable[[HeldRun], bool]) -> list[HeldRun]:
        return []  # what was taken begins any moment; what was not is in nobody's hands

    def ended(self, session: Session, runs: Sequence[HeldRun]) -> None:
        if done := self._used_up(runs):
            pgqueuer.finish(session, done)
        self.lost(session, runs)

    def lost(self, session: Session, runs: Sequence[HeldRun]) -> None:
        if runs:
            on_commit(session, lambda: self._forget(runs))

    def again(self, session: Session, runs: Sequence[tuple[HeldRun, datetime]]) -> None:
        self.offer(session, [Loose(run.id, due_at, run.policy.priority) for run, due_at in runs])

    def tell(self, session: Session, message: str) -> None:
        session.execute(
            text("SELECT pg_notify(:channel, :message)"), {"channel": CHANNEL, "message": message}
        )

    def take(self, session: Session, runs: Sequence[HeldRun]) -> None:
        """Note runs that are ours once the session has committed."""
        if runs:
            on_commit(session, lambda: self._note(runs))

    def has(self, ticket: int) -> bool:
        return ticket in self._in_hand

    @property
    def in_hand(self) -> list[HeldRun]:
        with self._lock:
            return [run for runs in self._in_hand.values() for run in runs.values()]

    def keep_alive(self, session: Session) -> list[HeldRun]:
        """Tell the queue that we live; return the runs that were taken from us, silent for too long."""
        began = self._clock.monotonic()
        lost = [] if self.is_ours() else self._taken_over(session)
        gone = {run.id for run in lost}
        if tickets := sorted({run.ticket or 0 for run in self.in_hand if run.id not in gone}):
            pgqueuer.keep_alive(session, tickets)
        self.lost(session, lost)
        on_commit(session, lambda: self._extend(began))
        return lost

    @property
    def silence(self) -> timedelta:
        """How long others may be silent before what they took is taken over.

        When the database was away, all were silent: whoever is back first must not take what belongs to
        those that try again a little later.
        """
        return A_LONG_TIME if self._clock.monotonic() < self._patient_until else LEASE

    def sweep(self, session: Session) -> int:
        """See that no open run is forgotten, whatever became of its ticket; return how many there were."""
        now = self._clock.now()
        found = nodes.release_dead(session, now - 2 * self.silence, now)
        found += self._let_strays_go(session, now)
        forgotten = pgqueuer.without_ticket(session, ledger.loose_since(session, now - FORGOTTEN))
        if forgotten:
            pgqueuer.enqueue(session, [Item([run_id], 0, timedelta(0)) for run_id in forgotten])
        return found + len(forgotten)

    def _let_strays_go(self, session: Session, now: datetime) -> int:
        """Release what the ledger says is ours and we know nothing of: a commit was told to have failed.

        Only what is so twice: between a commit and our noting it there is a moment.
        """
        known = {(run.id, run.token) for run in self.in_hand}
        strays = set(ledger.held_by(session, self.node_id)) - known
        lasting, self._strays = strays & self._strays, strays
        if not lasting:
            return 0
        return nodes.release(session, col(Run.id).in_([run_id for run_id, _ in lasting]), now, died=False)

    def tidy(self, session: Session) -> None:
        """Delete what the queue notes for itself."""
        pgqueuer.forget_journal(session)

    def is_ours(self) -> bool:
        """Whether what we took cannot have been given to another machine yet."""
        return self._clock.monotonic() < self._valid_until

    def _taken_over(self, session: Session) -> list[HeldRun]:
        held = self.in_hand
        rows = ledger.open_runs(session, [run.id for run in held]) if held else []
        ours = {(row.id, row.token) for row in rows if row.node_id == self.node_id}
        return [run for run in held if (run.id, run.token) not in ours]

    def _extend(self, began: float) -> None:
        if float("-inf") < self._valid_until <= began:
            self._patient_until = began + LEASE.total_seconds() + LONGEST_PAUSE
        self._valid_until = began + LEASE.total_seconds()

    def _item(self, bundle: Sequence[Loose]) -> Item:
        delay = max(timedelta(0), bundle[0].due_at - LEAD - self._clock.now())
        return Item([run.id for run in bundle], bundle[0].priority, delay)

    def _used_up(self, runs: Sequence[HeldRun]) -> list[int]:
        """Return the tickets of which these runs are the last."""
        ended: dict[int, set[str]] = {}
        for run in runs:
            if run.ticket is not None:
                ended.setdefault(run.ticket, set()).add(run.id)
        with self._lock:
            return [ticket for ticket, ids in ended.items() if not self._in_hand.get(ticket, {}).keys() - ids]

    def _note(self, runs: Sequence[HeldRun]) -> None:
        with self._lock:
            for run in runs:
                if run.ticket is not None:
                    self._in_hand.setdefault(run.ticket, {})[run.id] = run

    def _forget(self, runs: Sequence[HeldRun]) -> None:
        with self._lock:
            for run in runs:
                if run.ticket in self._in_hand:
                    self._in_hand[run.ticket].pop(run.id, None)
                    if not self._in_hand[run.ticket]:
                        del self._in_hand[run.ticket]


def bundles(runs: Sequence[Loose]) -> Iterator[list[Loose]]:
    """Put runs of one priority whose moments are close together, but never so many that few have all."""
    most = min(LARGEST, max(1, len(runs) // SHARES))
    bundle: list[Loose] = []
    for run in sorted(runs, key=lambda each: (each.priority, each.due_at)):
        if bundle and not (
            len(bundle) < most
            and run.priority == bundle[0].priority
            and run.due_at - bundle[0].due_at <= CLOSE
        ):
            yield bundle
            bundle = []
        bundle.append(run)
    if bundle:
        yield bundle

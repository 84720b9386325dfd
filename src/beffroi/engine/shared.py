"""The queue that many machines share: PgQueuer carries the runs, the ledger says whose they are.

A run is enqueued in the very transaction that decides it, with the moment from which it may be taken: a
little before it is due, so that whoever takes it holds it until then. Taking it is claiming it in the
ledger (see `feeder`); only who holds the present token may settle.
"""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import event, text
from sqlmodel import Session

from beffroi.engine import runs as ledger
from beffroi.engine.clock import Clock
from beffroi.engine.held import HeldRun
from beffroi.engine.queue import Loose
from beffroi.store import pgqueuer
from beffroi.store.pgqueuer import Item

LEAD = timedelta(milliseconds=250)
"""How long before its moment a run may be taken from the queue."""

LEASE = timedelta(seconds=8)
"""A machine that was silent for so long loses what it took."""

CHANNEL = "beffroi"
"""Where machines tell each other what was changed."""


class SharedQueue:
    """One machine's end of the queue: what it puts in, and what it has taken and not ended.

    `node_id`: who takes, once the machine has started.
    """

    is_shared = True

    def __init__(self, clock: Clock, lead: timedelta = LEAD, lease: timedelta = LEASE) -> None:
        self._clock = clock
        self._lead = lead
        self.lease = lease
        self.node_id = ""
        self._lock = threading.Lock()
        self._in_hand: dict[int, HeldRun] = {}
        self._valid_until = float("-inf")

    def hand_over(self, session: Session, runs: Sequence[HeldRun]) -> None:
        self.offer(session, [Loose(run.id, run.due_at, run.policy.priority) for run in runs])

    def offer(self, session: Session, runs: Sequence[Loose]) -> None:
        now = self._clock.now()
        if runs:
            pgqueuer.enqueue(
                session, [Item(run.id, run.priority, self._delay(run.due_at, now)) for run in runs]
            )

    def recall(self, session: Session, wanted: Callable[[HeldRun], bool]) -> list[HeldRun]:
        return []  # what was taken begins any moment; what was not is in nobody's hands

    def ended(self, session: Session, runs: Sequence[HeldRun]) -> None:
        tickets = [run.ticket for run in runs if run.ticket is not None]
        if tickets:
            pgqueuer.finish(session, tickets)
            self._forget_after_commit(session, tickets)

    def lost(self, session: Session, runs: Sequence[HeldRun]) -> None:
        self._forget_after_commit(session, [run.ticket for run in runs if run.ticket is not None])

    def again(self, session: Session, runs: Sequence[tuple[HeldRun, datetime]]) -> None:
        now = self._clock.now()
        tickets = []
        for run, due_at in runs:
            if run.ticket is not None:
                pgqueuer.put_back(session, run.ticket, self._delay(due_at, now))
                tickets.append(run.ticket)
        self._forget_after_commit(session, tickets)

    def tell(self, session: Session, message: str) -> None:
        session.execute(
            text("SELECT pg_notify(:channel, :message)"), {"channel": CHANNEL, "message": message}
        )

    def take(self, session: Session, runs: Sequence[HeldRun]) -> None:
        """Note runs that are ours once the session has committed."""
        taken = {run.ticket: run for run in runs if run.ticket is not None}
        event.listen(session, "after_commit", lambda _: self._in_hand.update(taken), once=True)

    def has(self, ticket: int) -> bool:
        return ticket in self._in_hand

    @property
    def in_hand(self) -> list[HeldRun]:
        with self._lock:
            return list(self._in_hand.values())

    def keep_alive(self, session: Session) -> list[HeldRun]:
        """Tell the queue that we live; return the runs that were taken from us, silent for too long."""
        began = self._clock.monotonic()
        held = self.in_hand
        lost = [] if self.is_ours() else self._taken_over(session, held)
        gone = {run.id for run in lost}
        if tickets := [run.ticket for run in held if run.ticket is not None and run.id not in gone]:
            pgqueuer.keep_alive(session, tickets)
        self.lost(session, lost)
        event.listen(session, "after_commit", lambda _: self._extend(began), once=True)
        return lost

    def _taken_over(self, session: Session, held: Sequence[HeldRun]) -> list[HeldRun]:
        rows = ledger.open_runs(session, [run.id for run in held]) if held else []
        ours = {(row.id, row.token) for row in rows if row.node_id == self.node_id}
        return [run for run in held if (run.id, run.token) not in ours]

    def is_ours(self) -> bool:
        """Whether what we took cannot have been given to another machine yet."""
        return self._clock.monotonic() < self._valid_until

    def _extend(self, began: float) -> None:
        self._valid_until = began + self.lease.total_seconds()

    def _delay(self, due_at: datetime, now: datetime) -> timedelta:
        return max(timedelta(0), due_at - self._lead - now)

    def _forget_after_commit(self, session: Session, tickets: Sequence[int]) -> None:
        if tickets:
            event.listen(session, "after_commit", lambda _: self._forget(tickets), once=True)

    def _forget(self, tickets: Sequence[int]) -> None:
        with self._lock:
            for ticket in tickets:
                self._in_hand.pop(ticket, None)

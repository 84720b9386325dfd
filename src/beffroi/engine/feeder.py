"""Takes runs from the shared queue shortly before their moment, as many as there is room for."""

from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta

from sqlmodel import Session

from beffroi.engine import runs
from beffroi.engine.backlog import Backlog
from beffroi.engine.claim import Claimed, claim
from beffroi.engine.clock import Clock
from beffroi.engine.held import HeldRun, Hold
from beffroi.engine.settle import Report, refusal
from beffroi.engine.shared import SharedQueue
from beffroi.store import pgqueuer
from beffroi.store.db import Database

MOST = 512
"""Runs taken in one transaction."""

AHEAD = 2048
"""So many may be held until due, beside those that have a slot."""

WAITING = timedelta(milliseconds=500)
"""What has waited for a slot for so long is given back."""

FULL = 5.0
"""Seconds after giving back in which no more is taken than there are slots free."""

BREATH = 0.02
"""Seconds between two looks: what falls due one by one is taken together."""

CROWDED = 0.005
"""Seconds between two looks whether there is room again; the database is not asked."""

LONGEST_SLEEP = 1.0
"""A notice can be lost with its connection, and a silent machine sends none."""


class Feeder:
    """One machine's taking. `is_draining`: it takes nothing more."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        queue: SharedQueue,
        hold: Hold,
        backlog: Backlog,
        report: Callable[[Report], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._queue = queue
        self._hold = hold
        self._backlog = backlog
        self._report = report
        self._full_until = 0.0
        self._usual_size = 1.0
        self._doubtful: deque[HeldRun] = deque()
        self.is_draining = False

    def poll(self) -> float:
        if not self._queue.is_ours():
            return LONGEST_SLEEP
        self._return()
        self._share()
        if self.is_draining:
            return LONGEST_SLEEP
        room = self._room()
        if room <= 0:
            return CROWDED
        self._hold.give_way()
        with self._database.write() as session:
            is_full, claimed = self._take(session, room)
            pause = None if is_full else pgqueuer.next_delay(session)
        self._hold.put(claimed.ours)
        now = self._clock.now()
        for run in claimed.refused:
            self._report(Report(run, None, now, refusal(run)))
        if is_full:
            return 0.0
        return LONGEST_SLEEP if pause is None else min(LONGEST_SLEEP, max(BREATH, pause.total_seconds()))

    def give_back(self, unstarted: Sequence[HeldRun]) -> None:
        """Put runs that were taken and not begun back into the queue."""
        if not unstarted:
            return
        now = self._clock.now()
        try:
            with self._database.write() as session:
                left = runs.let_go(session, unstarted)
                self._queue.again(session, [(run, max(now, run.due_at)) for run in left])
                self._queue.ended(session, left)
                self._queue.lost(session, unstarted)
        except BaseException:
            # It may have been written all the same: they are not started before they are known to be ours.
            self._doubtful.extend(unstarted)
            raise

    def _share(self) -> None:
        """Give back what waits for a slot here: another machine may have one free."""
        late = self._clock.now() - WAITING
        overdue = self._backlog.take_back(lambda run: max(run.due_at, run.taken_at or run.due_at) < late)
        if overdue:
            self._full_until = self._clock.monotonic() + FULL
            self.give_back(overdue)

    def doubt(self, run: HeldRun) -> None:
        """Take note of a run that came due while it may already have been another machine's."""
        self._doubtful.append(run)

    def _return(self) -> None:
        """Give back the doubtful ones that are still ours after all."""
        held = {run.id for run in self._queue.in_hand}
        doubtful = [self._doubtful.popleft() for _ in range(len(self._doubtful))]
        self.give_back([run for run in doubtful if run.id in held])

    def _take(self, session: Session, room: int) -> tuple[bool, Claimed]:
        """Take about so many runs as there is room for; return whether there may be more, and ours."""
        most = max(1, int(room / self._usual_size))
        tickets = pgqueuer.dequeue(session, most, self._queue.node_id, self._queue.silence)
        for ticket in tickets:
            self._usual_size += 0.1 * (len(ticket.subjects) - self._usual_size)
        # A late heartbeat gives us our own again: what we have in hand, we go on with.
        fresh = [ticket for ticket in tickets if not self._queue.has(ticket.id)]
        claimed = Claimed()
        if fresh:
            now, silence = self._clock.now(), self._queue.silence
            claimed = claim(session, fresh, self._queue.node_id, now, silence)
        self._queue.take(session, [*claimed.ours, *claimed.refused])
        return len(tickets) == most, claimed

    def _room(self) -> int:
        """Say how many may be taken: none while others wait; to hold until due, only when slots are free."""
        if self._backlog.waiting:
            return 0
        ahead = 0 if self._clock.monotonic() < self._full_until else AHEAD
        return min(MOST, self._backlog.slots + ahead - len(self._queue.in_hand))

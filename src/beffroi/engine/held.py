"""A run in somebody's hands, and the hold that keeps runs until their moment."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from beffroi.core.policies import Policy
from beffroi.engine.clock import Clock

NEAR = 0.0007
"""Seconds before a moment in which nothing else should be begun."""

START = 0.0003
"""Seconds that starting what is due takes."""

LATE = 0.005
"""Seconds after which giving way is no use: there is too much of everything already."""


@dataclass(slots=True)
class HeldRun:
    """All that is needed to execute a run and to settle it, without asking the database again.

    `ticket`: its place in the shared queue, when it came through that, and `taken_at` when it did.
    """

    id: str
    token: int
    attempt: int
    rescues: int
    job_id: int
    job_name: str
    kind: str
    action: str
    policy: Policy
    scheduled_for: datetime
    due_at: datetime
    node_id: str | None
    earlier: str | None = None
    ticket: int | None = None
    taken_at: datetime | None = None


class Hold:
    """Holds runs in memory and hands over, at once, all that are due.

    Whoever executes them rings: it waits until the earliest moment, and less when `wake` says that
    there is an earlier one. Waits are measured on the monotonic clock, so a jump of the wall clock
    cannot stretch them.
    """

    def __init__(self, clock: Clock, hand_over: Callable[[list[HeldRun]], None]) -> None:
        self._clock = clock
        self._hand_over = hand_over
        self._lock = threading.Lock()
        self._heap: list[tuple[float, int, HeldRun]] = []
        self._order = itertools.count()
        self.wake: Callable[[], None] = lambda: None

    def put(self, runs: Iterable[HeldRun]) -> None:
        offset = self._clock.monotonic() - self._clock.now().timestamp()
        # Made ready before the lock is taken: whoever waits for the next moment needs it too.
        entries = [(run.due_at.timestamp() + offset, next(self._order), run) for run in runs]
        with self._lock:
            earliest = self._heap[0][0] if self._heap else None
            for entry in entries:
                heapq.heappush(self._heap, entry)
            is_earlier = bool(self._heap) and self._heap[0][0] != earliest
        if is_earlier:
            self.wake()

    def take_back(self, wanted: Callable[[HeldRun], bool]) -> list[HeldRun]:
        """Remove and return the runs for which `wanted` holds; they will not be handed over."""
        with self._lock:
            taken = [run for _, _, run in self._heap if wanted(run)]
            if taken:
                self._heap = [entry for entry in self._heap if not wanted(entry[2])]
                heapq.heapify(self._heap)
            return taken

    def ring(self) -> float | None:
        """Hand over all that is due; return the seconds until the next is (None: nothing is held)."""
        with self._lock:
            now = self._clock.monotonic()
            if due := self._pop_due(now):
                # Under the lock: a run is always either held here or known to the executor.
                self._hand_over(due)
            return max(0.0, self._heap[0][0] - now) if self._heap else None

    def give_way(self) -> None:
        """Let what is due this very moment start first: for threads that have time.

        Python runs one thread at a time, so whoever computes while a run is due makes it late.
        """
        heap = self._heap
        if not heap:
            return
        left = heap[0][0] - self._clock.monotonic()
        if -LATE < left < NEAR:
            time.sleep(max(0.0, left) + START)

    def _pop_due(self, now: float) -> list[HeldRun]:
        due = []
        while self._heap and self._heap[0][0] <= now:
            due.append(heapq.heappop(self._heap)[2])
        return due

"""A run in somebody's hands, and the thread that holds runs until their moment."""

import heapq
import itertools
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from beffroi.core.policies import Policy
from beffroi.engine.clock import Clock


@dataclass(slots=True)
class HeldRun:
    """All that is needed to execute a run and to settle it, without asking the database again."""

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


class Hold:
    """Holds runs in memory and hands over, at once, all that are due.

    A plain thread waits on a condition until the earliest moment: an event loop's own timers round
    up to milliseconds. Waits are measured on the monotonic clock, so a jump of the wall clock cannot
    stretch them.
    """

    def __init__(self, clock: Clock, hand_over: Callable[[list[HeldRun]], None]) -> None:
        self._clock = clock
        self._hand_over = hand_over
        self._changed = threading.Condition()
        self._heap: list[tuple[float, int, HeldRun]] = []
        self._order = itertools.count()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="beffroi-hold", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> list[HeldRun]:
        """End the thread; return what was still held."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()
        return [run for _, _, run in self._heap]

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def put(self, runs: Iterable[HeldRun]) -> None:
        offset = self._clock.monotonic() - self._clock.now().timestamp()
        # Made ready before the lock is taken: the thread that waits for the next moment needs it too.
        entries = [(run.due_at.timestamp() + offset, next(self._order), run) for run in runs]
        with self._changed:
            earliest = self._heap[0][0] if self._heap else None
            for entry in entries:
                heapq.heappush(self._heap, entry)
            if self._heap and self._heap[0][0] != earliest:
                self._changed.notify()

    def take_back(self, wanted: Callable[[HeldRun], bool]) -> list[HeldRun]:
        """Remove and return the runs for which `wanted` holds; they will not be handed over."""
        with self._changed:
            taken = [run for _, _, run in self._heap if wanted(run)]
            if taken:
                self._heap = [entry for entry in self._heap if not wanted(entry[2])]
                heapq.heapify(self._heap)
            return taken

    def ring(self) -> float | None:
        """Hand over all that is due; return the seconds until the next is (None: nothing is held)."""
        with self._changed:
            now = self._clock.monotonic()
            if due := self._pop_due(now):
                # Under the lock: a run is always either held here or known to the executor.
                self._hand_over(due)
            return max(0.0, self._heap[0][0] - now) if self._heap else None

    def _run(self) -> None:
        with self._changed:
            while not self._stopping:
                self._changed.wait(self.ring())

    def _pop_due(self, now: float) -> list[HeldRun]:
        due = []
        while self._heap and self._heap[0][0] <= now:
            due.append(heapq.heappop(self._heap)[2])
        return due

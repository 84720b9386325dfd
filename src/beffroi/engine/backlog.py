"""Runs whose moment has come: which may start now, which must wait, which shall not run.

Slots are shared by all jobs, by priority; per job the overlap policy rules. This is the only state
that the timer's threads share with the executor, so every method takes the lock.
"""

import heapq
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from beffroi.core.policies import Overlap
from beffroi.engine.held import HeldRun


@dataclass(slots=True)
class Taken:
    """What to do next: start these, end those as skipped, cancel those to make room."""

    start: list[HeldRun] = field(default_factory=list)
    refused: list[HeldRun] = field(default_factory=list)
    replaced: list[HeldRun] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.start or self.refused or self.replaced)


class Backlog:
    """Due runs in order of priority, and the active runs of each job."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._lock = threading.Lock()
        self._heap: list[tuple[int, int, HeldRun]] = []
        self._order = itertools.count()
        self._active: dict[int, list[HeldRun]] = {}
        self._queued: dict[int, deque[HeldRun]] = {}
        self._busy = 0

    def add(self, runs: Iterable[HeldRun]) -> None:
        with self._lock:
            for run in runs:
                self._push(run)

    def take(self) -> Taken:
        """Take from the backlog all that can be decided now. What is started holds a slot until `done`."""
        taken = Taken()
        with self._lock:
            while self._heap and self._busy < self.slots:
                self._admit(heapq.heappop(self._heap)[2], taken)
        return taken

    def done(self, run: HeldRun) -> bool:
        """Give the slot back; return whether there is something to take now."""
        with self._lock:
            self._busy -= 1
            active = self._active[run.job_id]
            active.remove(run)
            if not active:
                del self._active[run.job_id]
                self._let_next_come(run.job_id)
            return bool(self._heap)

    def take_back(self, wanted: Callable[[HeldRun], bool]) -> list[HeldRun]:
        """Remove and return the runs, not started yet, for which `wanted` holds."""
        with self._lock:
            taken = [run for _, _, run in self._heap if wanted(run)]
            if taken:
                self._heap = [entry for entry in self._heap if not wanted(entry[2])]
                heapq.heapify(self._heap)
            for job_id, queue in list(self._queued.items()):
                taken += [run for run in queue if wanted(run)]
                self._queued[job_id] = deque(run for run in queue if not wanted(run))
                if not self._queued[job_id]:
                    del self._queued[job_id]
            return taken

    @property
    def busy(self) -> int:
        return self._busy

    @property
    def waiting(self) -> int:
        """How many runs wait for a slot."""
        return len(self._heap)

    def _push(self, run: HeldRun) -> None:
        heapq.heappush(self._heap, (-run.policy.priority, next(self._order), run))

    def _let_next_come(self, job_id: int) -> None:
        queue = self._queued.get(job_id)
        if queue:
            self._push(queue.popleft())
            if not queue:
                del self._queued[job_id]

    def _admit(self, run: HeldRun, taken: Taken) -> None:
        active = self._active.get(run.job_id)
        overlap = run.policy.overlap
        if not active or overlap is Overlap.ALLOW:
            self._active.setdefault(run.job_id, []).append(run)
            self._busy += 1
            taken.start.append(run)
        elif overlap is Overlap.SKIP:
            taken.refused.append(run)
        else:
            self._queue(run, active, taken)

    def _queue(self, run: HeldRun, active: list[HeldRun], taken: Taken) -> None:
        queue = self._queued.setdefault(run.job_id, deque())
        if run.policy.overlap is Overlap.REPLACE:
            # Only the newest waits for the slot of the one that is being cancelled.
            taken.refused.extend(queue)
            queue.clear()
            taken.replaced.extend(active)
        queue.append(run)

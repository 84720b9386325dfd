"""The machine: planner, hold, executor, settler and keeper, wired, started and stopped as one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy.exc import OperationalError

from beffroi import events
from beffroi.core.outcomes import Outcome
from beffroi.engine import nodes
from beffroi.engine.backlog import Backlog
from beffroi.engine.calls import ActionTable
from beffroi.engine.clock import Clock
from beffroi.engine.executor import Executor
from beffroi.engine.held import Hold
from beffroi.engine.history import History
from beffroi.engine.loop import Loop
from beffroi.engine.nodes import Keeper
from beffroi.engine.planner import Planner
from beffroi.engine.queue import QUEUE, InProcessQueue, NoQueue
from beffroi.engine.settle import Settler
from beffroi.store.db import Database


@dataclass(frozen=True, slots=True)
class Tuning:
    """The machine's numbers. `ahead`: how long before its moment a run is decided and held."""

    concurrency: int = 100
    ahead: timedelta = timedelta(seconds=1)
    drain: timedelta = timedelta(seconds=30)
    history: History = field(default_factory=History)


class Machine:
    """Makes what is due happen, once, from `start` until `stop`."""

    def __init__(self, database: Database, clock: Clock, actions: ActionTable, tuning: Tuning) -> None:
        self._database = database
        self._clock = clock
        self._actions = actions
        self._tuning = tuning
        self._loops: Mapping[str, Loop] = {}
        self._started_at: float | None = None

    def start(self) -> None:
        """Take back what a process before us left, then arm the timer."""
        now = self._clock.now()
        with self._database.write() as session:
            nodes.note_absence(session, now)
            self._node_id = nodes.register(session, now)
            session.flush()
            nodes.rescue(session, self._node_id, now, alone=self._database.is_sqlite)
        self._build()
        self._executor.start()
        for loop in self._loops.values():
            loop.start()
        self._started_at = self._clock.monotonic()
        events.machine_started(self._node_id, self._tuning.concurrency)

    def stop(self) -> None:
        """Start nothing new, let what runs end until the deadline, put the rest back, settle, sign off."""
        if self._started_at is None:
            return
        events.machine_stopping(self._tuning.drain.total_seconds())
        self._loops["planner"].stop()
        self._executor.let_go()
        interrupted = self._executor.stop(self._tuning.drain.total_seconds())
        self._loops["settler"].stop()
        self._loops["keeper"].stop()
        self._started_at = None
        self._database.info[QUEUE] = NoQueue()
        self._sign_off()
        events.machine_stopped(len(interrupted))

    def _sign_off(self) -> None:
        try:
            while self._settler.waiting:
                self._settler.flush()
            with self._database.write() as session:
                nodes.sign_off(session, self._node_id, self._clock.now())
        except OperationalError as error:
            # Whoever starts next finds our runs open and takes them back.
            events.sign_off_failed(error)

    def wake(self) -> None:
        """Look at once: something was changed."""
        if loop := self._loops.get("planner"):
            loop.wake()

    def cancel(self, run_id: str, verdict: Outcome) -> bool:
        """Cancel a run that is active here; False when it is not."""
        return self._started_at is not None and self._executor.cancel(run_id, verdict)

    @property
    def uptime(self) -> timedelta:
        if self._started_at is None:
            return timedelta(0)
        return timedelta(seconds=self._clock.monotonic() - self._started_at)

    @property
    def troubles(self) -> list[str]:
        """Say in sentences what keeps the timer from its work; empty when it is armed."""
        if self._started_at is None:
            return ["the timer is not started"]
        troubles = [trouble for loop in self._loops.values() if (trouble := loop.trouble)]
        if not self._executor.is_alive:
            troubles.append("the executor does not run")
        return troubles

    @property
    def figures(self) -> dict[str, Any]:
        """Return what the machine is busy with: runs active, outcomes not written yet."""
        if self._started_at is None:
            return {"active_runs": 0, "unwritten_outcomes": 0}
        return {"active_runs": self._backlog.busy, "unwritten_outcomes": self._settler.waiting}

    def _build(self) -> None:
        database, clock, tuning = self._database, self._clock, self._tuning
        self._backlog = Backlog(tuning.concurrency)
        hold = Hold(clock, self._backlog.add)
        self._settler = Settler(database, clock, self.wake, hold.give_way)
        self._executor = Executor(self._actions, hold, self._backlog, clock, self._settler.post)
        hold.wake = self._executor.look
        database.info[QUEUE] = InProcessQueue(hold, self._backlog)
        planner = Planner(database, clock, self._node_id, tuning.ahead, hold.give_way)
        keeper = Keeper(database, clock, self._node_id, tuning.history)
        self._loops = {
            "planner": Loop("planner", planner.poll),
            "settler": Loop("settler", self._settler.poll),
            "keeper": Loop("keeper", keeper.poll),
        }
        self._settler.wake = self._loops["settler"].wake

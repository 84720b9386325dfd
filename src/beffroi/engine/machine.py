"""The machine: planner, executor, settler and keeper, wired, started and stopped as one.

On PostgreSQL, where others do the same, a feeder takes runs from the queue that all share, and a listener
hears what the others say.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import OperationalError

from beffroi import events
from beffroi.core.errors import ConflictError
from beffroi.core.outcomes import Outcome, Reason, State
from beffroi.engine import nodes, runs
from beffroi.engine.backlog import Backlog
from beffroi.engine.calls import ActionTable
from beffroi.engine.clock import Clock
from beffroi.engine.executor import REPLACED, Executor
from beffroi.engine.held import HeldRun, Hold
from beffroi.engine.history import History
from beffroi.engine.janitor import Janitor
from beffroi.engine.keeper import Keeper
from beffroi.engine.loop import Loop
from beffroi.engine.models import Role
from beffroi.engine.planner import Planner
from beffroi.engine.queue import CANCEL, QUEUE, REPLACE, InProcessQueue, NoQueue
from beffroi.engine.settle import Settler
from beffroi.store.db import Database

if TYPE_CHECKING:
    from beffroi.engine.feeder import Feeder
    from beffroi.engine.shared import SharedQueue

CANCELLED_BY_HAND = Outcome(State.CANCELLED, Reason.BY_HAND, "Cancelled by hand.")
_TAKEN_OVER = Outcome(State.CANCELLED, Reason.LOST, "Taken over by another machine.")


@dataclass(frozen=True, slots=True)
class Tuning:
    """The machine's numbers. `ahead`: how long before its moment a run is decided.

    `concurrency`: runs at a time; 0: none, this node only decides. `role`: what the node is for.
    """

    concurrency: int = 100
    ahead: timedelta = timedelta(seconds=1)
    drain: timedelta = timedelta(seconds=30)
    history: History = field(default_factory=History)
    role: Role = Role.SERVE


class Machine:
    """Makes what is due happen, once, from `start` until `stop`."""

    def __init__(self, database: Database, clock: Clock, actions: ActionTable, tuning: Tuning) -> None:
        self._database = database
        self._clock = clock
        self._actions = actions
        self._tuning = tuning
        self._loops: dict[str, Loop] = {}
        self._planner: Planner | None = None
        self._feeder: Feeder | None = None
        self._started_at: float | None = None
        self._is_draining = False

    def start(self) -> None:
        """Take back what a process before us left, then arm the timer."""
        now = self._clock.now()
        shared = self._shared
        with self._database.write() as session:
            nodes.note_absence(session, now)
            self._node_id = nodes.register(session, now, self._tuning.role)
            session.flush()
            if shared is None:
                nodes.rescue(session, self._node_id, now)
            else:
                shared.node_id = self._node_id
                shared.keep_alive(session)
        self._build(shared)
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
        for name in ("planner", "feeder"):
            if name in self._loops:
                self._loops[name].stop()
        try:
            self._give_back()
        except OperationalError as error:
            events.sign_off_failed(error)
        interrupted = self._executor.stop(self._tuning.drain.total_seconds())
        for name in ("settler", "listener", "janitor", "keeper"):
            if name in self._loops:
                self._loops[name].stop()
        self._started_at = None
        self._sign_off()
        if self._shared is None:
            self._database.info[QUEUE] = NoQueue()
        events.machine_stopped(len(interrupted))

    def _sign_off(self) -> None:
        try:
            while self._settler.waiting:
                self._settler.flush()
            with self._database.write() as session:
                now = self._clock.now()
                nodes.sign_off(session, self._node_id, now)
                if shared := self._shared:
                    shared.again(session, [(run, run.due_at) for run in shared.in_hand])
                    shared.ended(session, shared.in_hand)
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

    def try_once(self, kind: str, params: str, name: str, seconds: float) -> "Future[Outcome]":
        """Call an action once, beside all jobs; ConflictError when this process executes nothing."""
        if self._started_at is None:
            raise ConflictError("The timer is not started; nothing can be tried here.")
        return self._executor.try_once(kind, params, name, seconds)

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

    @property
    def _shared(self) -> "SharedQueue | None":
        queue = self._database.info[QUEUE]
        return queue if queue.is_shared else None

    def _build(self, shared: "SharedQueue | None") -> None:
        database, clock, tuning = self._database, self._clock, self._tuning
        self._backlog = Backlog(tuning.concurrency)
        self._hold = hold = Hold(clock, self._backlog.add)
        self._settler = Settler(database, clock, hold.give_way)
        report = self._settler.post
        self._executor = Executor(self._actions, hold, self._backlog, clock, report, self._may_start)
        hold.wake = self._executor.look
        if shared is None:
            database.info[QUEUE] = InProcessQueue(hold, self._backlog, self.wake)
        keeper = Keeper(database, clock, self._node_id, shared)
        keeper.on_lost, keeper.on_drain = self._drop, self._drain
        janitor = Janitor(database, clock, tuning.history, shared)
        self._loops = {
            "settler": Loop("settler", self._settler.poll),
            "keeper": Loop("keeper", keeper.poll),
            "janitor": Loop("janitor", janitor.poll),
        }
        if tuning.role is Role.SERVE:
            self._planner = Planner(database, clock, self._node_id, tuning.ahead, hold.give_way)
            self._loops["planner"] = Loop("planner", self._planner.poll)
        if shared is not None:
            self._join(shared)
        self._settler.wake = self._loops["settler"].wake

    def _join(self, shared: "SharedQueue") -> None:
        """Take part in the queue that machines share."""
        from beffroi.engine.feeder import Feeder
        from beffroi.engine.listener import Listener

        loops = self._loops
        if self._tuning.concurrency:
            self._feeder = Feeder(
                self._database, self._clock, shared, self._hold, self._backlog, self._settler.post
            )
            loops["feeder"] = Loop("feeder", self._feeder.poll)
        grown = loops["feeder"].wake if self._feeder else lambda: None
        listener = Listener(self._database.url, self._hear, grown)
        loops["listener"] = Loop("listener", listener.poll, listener.close)

    def _hear(self, message: str) -> None:
        """Do what another machine says."""
        if message.startswith(CANCEL):
            self._executor.cancel(message.removeprefix(CANCEL), CANCELLED_BY_HAND)
        elif message.startswith(REPLACE):
            self._executor.cancel(message.removeprefix(REPLACE), REPLACED)
        else:
            self.wake()
            self._loops["keeper"].wake()

    def _may_start(self, run: HeldRun) -> bool:
        """Whether a run is ours for certain: silent for long, another machine may have it, and starts it."""
        shared = self._shared
        if shared is None or shared.is_ours():
            return True
        if self._feeder is not None:
            self._feeder.doubt(run)
        return False

    def _drop(self, lost: Sequence[HeldRun]) -> None:
        """Let go of runs that other machines have taken over."""
        events.lease_lost(len(lost))
        ids = {run.id for run in lost}
        self._hold.take_back(lambda run: run.id in ids)
        self._backlog.take_back(lambda run: run.id in ids)
        for run_id in ids:
            self._executor.cancel(run_id, _TAKEN_OVER)

    def _drain(self, is_draining: bool) -> None:
        """Take no more runs and give back those not begun; or begin again."""
        if is_draining == self._is_draining:
            return
        self._is_draining = is_draining
        events.draining(is_draining)
        if self._planner is not None:
            self._planner.is_draining = is_draining
        if self._feeder is not None:
            self._feeder.is_draining = is_draining
        if is_draining:
            self._give_back()
        self.wake()

    def _give_back(self) -> None:
        """Let others have, at once, what is held here and not begun."""
        unstarted = self._hold.take_back(lambda run: True) + self._backlog.take_back(lambda run: True)
        if self._feeder is not None:
            self._feeder.give_back(unstarted)
            return
        with self._database.write() as session:
            runs.let_go(session, unstarted)

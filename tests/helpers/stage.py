"""The engine on a real database, moved by hand: plan, ring, end, settle, one step at a time."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel
from sqlalchemy import text
from sqlmodel import col, select

from beffroi.core.outcomes import SUCCEEDED, Outcome, Reason, State
from beffroi.core.policies import Policy
from beffroi.core.triggers.base import Rule
from beffroi.engine import jobs, nodes
from beffroi.engine.backlog import Backlog
from beffroi.engine.feeder import Feeder
from beffroi.engine.held import HeldRun, Hold
from beffroi.engine.jobs import Definition
from beffroi.engine.models import Job, Run
from beffroi.engine.planner import Planner
from beffroi.engine.queue import QUEUE, InProcessQueue
from beffroi.engine.settle import Report, settle, settlement_of
from beffroi.engine.shared import SharedQueue
from beffroi.store.db import Database
from tests.helpers.clock import VirtualClock

AHEAD = timedelta(seconds=1)

_EVERYBODY_ELSE_IS_SILENT = "UPDATE pgqueuer SET heartbeat = now() - interval '1 day' WHERE status = 'picked'"

_AND_SO_ARE_THEIR_NODES = "UPDATE node SET heartbeat_at = 'epoch' WHERE id != :us"

_TURN_THE_QUEUES_CLOCK = """
    UPDATE pgqueuer
    SET execute_after = now() + CASE WHEN run.due_at <= :now THEN interval '-1 s' ELSE '1 day' END
    FROM run WHERE run.id = left(convert_from(payload, 'utf8'), 36)::uuid
"""

FAILED = Outcome(State.FAILED, Reason.ERROR, "no", retryable=True)


class Noop(BaseModel):
    """Parameters of an action that does nothing."""

    kind: Literal["noop"] = "noop"
    mark: str = ""


class Stage:
    """One node without threads."""

    def __init__(
        self, database: Database, clock: VirtualClock, slots: int = 100, *, silence_others: bool = True
    ) -> None:
        self._silence_others = silence_others
        self.database = database
        self.clock = clock
        self.backlog = Backlog(slots)
        self.hold = Hold(clock, self.backlog.add)
        self.active: list[HeldRun] = []
        self.planner: Planner
        self.take_over()

    def take_over(self) -> None:
        """Start as a new process would: whatever was held in memory is gone."""
        self.backlog = Backlog(self.backlog.slots)
        self.hold = Hold(self.clock, self.backlog.add)
        self.active = []
        self.waiting: list[Report] = []
        shared = None if self.database.is_sqlite else SharedQueue(self.clock)
        self.database.info[QUEUE] = shared or InProcessQueue(self.hold, self.backlog)
        with self.database.write() as session:
            self.node_id = nodes.register(session, self.clock.now())
            session.flush()
            if shared is None:
                nodes.rescue(session, self.node_id, self.clock.now())
            else:
                shared.node_id = self.node_id
                shared.keep_alive(session)
                if self._silence_others:
                    session.execute(text(_EVERYBODY_ELSE_IS_SILENT))
                    session.execute(text(_AND_SO_ARE_THEIR_NODES), {"us": self.node_id})
        self.planner = Planner(self.database, self.clock, self.node_id, AHEAD)
        self.feeder = (
            None
            if shared is None
            else Feeder(self.database, self.clock, shared, self.hold, self.backlog, self.waiting.append)
        )

    def add(self, trigger: Rule, policy: Policy | None = None, name: str = "job") -> int:
        with self.database.write() as session:
            definition = Definition(name, trigger, Noop(), policy or Policy())
            return jobs.id_of(jobs.add(session, definition, "api", self.clock.now()))

    def job(self, job_id: int) -> Job:
        with self.database.read() as session:
            found = session.get(Job, job_id)
            assert found is not None
            return found

    def runs(self, job_id: int | None = None) -> Sequence[Run]:
        """Return the ledger in order of the nominal moments."""
        query = select(Run).order_by(col(Run.scheduled_for), col(Run.id))
        if job_id is not None:
            query = query.where(col(Run.job_id) == job_id)
        with self.database.read() as session:
            return session.exec(query).all()

    def plan(self) -> None:
        """Let the planner look until it has nothing more to decide."""
        while self.planner.poll() == 0:
            pass

    def begin(self) -> list[HeldRun]:
        """Start what is due now; write that it began."""
        self._feed()
        self.hold.ring()
        now = self.clock.now()
        reports, self.waiting[:] = self.waiting[:], []
        begun = []
        while taken := self.backlog.take():
            refusal = Outcome(State.SKIPPED, Reason.OVERLAP, "active")
            reports += [Report(run, None, now, refusal) for run in taken.refused]
            reports += [Report(run, now) for run in taken.start]
            begun += taken.start
        self.report(reports)
        self.active += begun
        return begun

    def _feed(self) -> None:
        """Take from the shared queue, whose own clock cannot be turned, what is due by ours."""
        if self.feeder is None:
            return
        with self.database.write() as session:
            session.execute(text(_TURN_THE_QUEUES_CLOCK), {"now": self.clock.now()})
            session.info[QUEUE].keep_alive(session)
        while self.feeder.poll() == 0:
            pass

    def end(self, runs: Sequence[HeldRun], outcome: Outcome = SUCCEEDED) -> list[str]:
        """End runs; return the ids of those that were no longer ours."""
        now = self.clock.now()
        for run in runs:
            self.active.remove(run)
            self.backlog.done(run)
        return self.report([Report(run, now, now, outcome) for run in runs])

    def report(self, reports: Sequence[Report]) -> list[str]:
        now = self.clock.now()
        with self.database.write() as session:
            return settle(session, settlement_of(reports, now), now)

    def pass_time(self, span: timedelta, step: timedelta = timedelta(seconds=0.5)) -> None:
        """Let time pass with everything going well."""
        until = self.clock.now() + span
        while self.clock.now() < until:
            self.clock.advance(min(step, until - self.clock.now()))
            self.plan()
            while begun := self.begin():
                self.end(begun)


def ledger_count(runs: Sequence[Run], after: datetime, until: datetime) -> int:
    """Count the occurrences that the ledger holds in (after, until], gaps by their number."""
    return sum(
        run.occurrences for run in runs if run.origin == "schedule" and after < run.scheduled_for <= until
    )

"""Decides what is due, a little ahead, and writes it down before its moment.

One transaction: run rows + cursor + next moment. Then the runs are handed over and held until due,
so at the moment itself nothing is left but a wake-up.
"""

import json
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import and_, bindparam, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col

from beffroi import events
from beffroi.core.errors import BeffroiError
from beffroi.core.moments import EPOCH, MICROSECOND
from beffroi.core.outcomes import Reason, State
from beffroi.core.planning import Decision, WrittenOff, decide, write_off
from beffroi.core.policies import Policy, read_policy
from beffroi.core.triggers import read_trigger
from beffroi.engine import loose, runs, signals
from beffroi.engine.clock import Clock
from beffroi.engine.held import HeldRun
from beffroi.engine.models import IS_OPEN, Job, JobState, Run
from beffroi.engine.queue import queue_of
from beffroi.store.bulk import BulkSelect, BulkUpdate
from beffroi.store.db import Database
from beffroi.store.tables import table_of

BATCH = 512
"""At most so many jobs are decided in one transaction."""

SMALL_BATCH = 64
"""When nothing is late yet, fewer: each batch holds up, for a moment, whatever starts meanwhile."""

FORESIGHT = 0.47
"""The share of the look-ahead that is left when the planner looks again: late enough to gather a batch.

Not a half: in step with the runs, it would wake up when one of them is due.
"""

LONGEST_SLEEP = 2.0
"""The wall clock is looked at at least so often: it can jump."""

JUMP = timedelta(seconds=2)
"""A difference between the clocks beyond this is a jump, not drift."""

_jobs = table_of(Job)


class Due(NamedTuple):
    """A job that is to be looked at."""

    id: int
    version: int
    name: str
    trigger: str
    action: str
    action_kind: str
    policy: str
    state: JobState
    cursor: datetime
    next_due_at: datetime
    skips: str | None


_IS_DUE = and_(
    _jobs.c.next_due_at.is_not(None),
    _jobs.c.next_due_at <= bindparam("horizon"),
    or_(_jobs.c.state == JobState.ACTIVE, _jobs.c.next_due_at <= bindparam("now")),
)

_DUE = BulkSelect(
    select(*(_jobs.c[name] for name in Due._fields))
    .where(_IS_DUE)
    .order_by(_jobs.c.next_due_at)
    .limit(bindparam("most")),
    Due._make,
)

_TAKEN = (
    select(*(_jobs.c[name] for name in Due._fields))
    .where(_IS_DUE)
    .order_by(_jobs.c.next_due_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True, key_share=True)
    .cte("taken")
    .prefix_with("MATERIALIZED", dialect="postgresql")
)

_CLAIMED = BulkSelect(select(*_TAKEN.c), Due._make)
"""As `_DUE`, and no other planner decides these until we commit: each takes what is left."""


class Move(NamedTuple):
    """Where a decision leaves its job; it holds only for the version that was decided."""

    id: int
    version: int
    cursor: datetime
    next_due_at: datetime | None
    state: JobState
    skips: str | None


_MOVE = BulkUpdate(_jobs, ("id", "version"), Move._fields)

_RESUMED = update(_jobs).where(_jobs.c.id == bindparam("b_id")).values(paused_until=None, note=None)


class StalePlanError(BeffroiError):
    """A job was changed while it was being decided."""


@dataclass(slots=True)
class Plan:
    """What one look decided. `full`: there may be more, look again at once."""

    held: list[HeldRun] = field(default_factory=list)
    planned: list[runs.Planned] = field(default_factory=list)
    gone: list[tuple[int, WrittenOff]] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    resumed: list[dict[str, int]] = field(default_factory=list)
    broken: list[tuple[int, str]] = field(default_factory=list)
    full: bool = False


def due_jobs(session: Session, now: datetime, horizon: datetime, most: int = BATCH) -> Sequence[Due]:
    """Return the jobs to look at: due by the horizon, or paused until a moment that has come.

    Where several machines decide, they are this one's until the session ends.
    """
    due = _CLAIMED if queue_of(session).is_shared else _DUE
    return due.execute(session, {"now": now, "horizon": horizon, "most": most})


def decide_due(
    due: Sequence[Due],
    node_id: str | None,
    now: datetime,
    horizon: datetime,
    give_way: Callable[[], None] = lambda: None,
) -> Plan:
    """Decide all that falls due up to `horizon`. Nothing is written: nobody is kept waiting."""
    result = Plan()
    for row in due:
        give_way()
        try:
            _plan_job(result, row, node_id, now, horizon)
        except (ValueError, TypeError, ArithmeticError, LookupError) as error:
            result.broken.append((row.id, str(error)))
    result.full = any(move.next_due_at is not None and move.next_due_at <= horizon for move in result.moves)
    return result


def write_plan(session: Session, plan: Plan, node_id: str, now: datetime, horizon: datetime) -> None:
    """Write what was decided, and hand it over in the session's transaction, with what nobody holds.

    Raises StalePlanError when a job was changed after it was looked at: nothing of the plan holds.
    """
    if _MOVE.execute(session, plan.moves) != len(plan.moves):
        raise StalePlanError
    runs.insert_planned(session, plan.planned)
    runs.insert_written_off(session, plan.gone, now)
    if plan.resumed:
        session.execute(_RESUMED, plan.resumed)
    for job_id, reason in plan.broken:
        signals.park_broken(session, job_id, reason, now)
    queue = queue_of(session)
    queue.hand_over(session, plan.held)
    if not queue.is_shared:
        found = runs.loose_runs(session, horizon, BATCH)
        plan.full = plan.full or len(found) == BATCH
        queue.hand_over(session, loose.take(session, found, node_id, now))


def next_look(session: Session) -> datetime | None:
    """Return the earliest moment at which something is due that is not in the queue yet."""
    job = session.execute(
        select(func.min(_jobs.c.next_due_at)).where(_jobs.c.next_due_at.is_not(None))
    ).scalar()
    if queue_of(session).is_shared:
        return job
    run = session.execute(
        select(col(Run.due_at))
        .where(IS_OPEN, col(Run.state) == State.PLANNED.value, col(Run.node_id).is_(None))
        .order_by(col(Run.due_at))
        .limit(1)
    ).scalar()
    return min((moment for moment in (job, run) if moment is not None), default=None)


def start_of(job_id: int, nominal: datetime, policy: Policy) -> datetime:
    """Return when the occurrence is to start: put off by the jitter, always the same for the same one."""
    if not policy.jitter:
        return nominal
    share = zlib.crc32(f"{job_id}/{nominal.timestamp()}".encode()) / 2**32
    return nominal + policy.jitter * share


def _plan_job(result: Plan, row: Due, node_id: str | None, now: datetime, horizon: datetime) -> None:
    trigger, policy = read_trigger(row.trigger), read_policy(row.policy)
    skips = read_skips(row.skips)
    cursor = row.cursor
    paused: list[WrittenOff] = []
    if row.state is JobState.PAUSED:
        cursor = row.next_due_at
        gap = write_off(trigger, row.cursor, cursor, State.SKIPPED, Reason.PAUSED)
        paused = [gap] if gap else []
    decision = decide(trigger, policy, cursor, now, horizon, skips)
    # Everything that can fail has been done before the plan is touched: a job is in it as a whole.
    held = [_hold(row, nominal, policy, node_id) for nominal in decision.fires]
    move = _move(row, decision, skips)
    result.gone += [(row.id, gone) for gone in [*paused, *decision.written_off]]
    result.held += held
    result.planned += [runs.Planned(run.id, row.id, run.scheduled_for, run.due_at, node_id) for run in held]
    result.moves.append(move)
    if row.state is JobState.PAUSED:
        result.resumed.append({"b_id": row.id})
    for gone in decision.written_off:
        if gone.state is State.MISSED:
            events.occurrences_written_off(row.name, gone.state, gone.reason, gone.count)


def _hold(row: Due, nominal: datetime, policy: Policy, node_id: str | None) -> HeldRun:
    return HeldRun(
        id=runs.new_run_id(),
        token=runs.FIRST_TOKEN,
        attempt=1,
        rescues=0,
        job_id=row.id,
        job_name=row.name,
        kind=row.action_kind,
        action=row.action,
        policy=policy,
        scheduled_for=nominal,
        due_at=start_of(row.id, nominal, policy),
        node_id=node_id,
    )


def _move(row: Due, decision: Decision, skips: frozenset[datetime]) -> Move:
    state = JobState.FINISHED if decision.next_due is None else JobState.ACTIVE
    left = write_skips(moment for moment in skips if moment > decision.cursor) if skips else None
    return Move(row.id, row.version, decision.cursor, decision.next_due, state, left)


def read_skips(text: str | None) -> frozenset[datetime]:
    """Read the moments that are to be skipped, kept as microseconds since 1970."""
    return frozenset(EPOCH + micros * MICROSECOND for micros in json.loads(text)) if text else frozenset()


def write_skips(moments: Iterable[datetime]) -> str | None:
    """Write the moments that are to be skipped; None when there are none."""
    micros = sorted((moment - EPOCH) // MICROSECOND for moment in moments)
    return json.dumps(micros) if micros else None


class Planner:
    """The timer: looks, decides, and answers how long to sleep."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        node_id: str,
        ahead: timedelta,
        give_way: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._node_id = node_id
        self._ahead = ahead
        self._give_way = give_way
        self._drift: timedelta | None = None
        self.is_draining = False

    def poll(self) -> float:
        if self.is_draining:
            return LONGEST_SLEEP
        self._give_way()
        now = self._clock.now()
        self._watch_the_clock(now)
        try:
            full, upcoming = self._plan(now)
        except StalePlanError:
            return 0.0
        except IntegrityError:
            self._plan_one_by_one(now)
            return 0.0
        if full:
            return 0.0
        if upcoming is None:
            return LONGEST_SLEEP
        pause = upcoming - FORESIGHT * self._ahead - self._clock.now()
        return min(LONGEST_SLEEP, max(0.01, pause.total_seconds()))

    def _plan(self, now: datetime) -> tuple[bool, datetime | None]:
        horizon = now + self._ahead
        with self._database.read() as session:
            upcoming = next_look(session)
            if upcoming is None or upcoming > horizon:
                return False, upcoming
            most = BATCH if upcoming <= now else SMALL_BATCH
            self._give_way()
            due = due_jobs(session, now, horizon, most) if self._database.is_sqlite else None
        plan = self._decided(due, most, now) if due is not None else None
        self._give_way()
        with self._database.write() as session:
            self._give_way()
            plan = plan or self._decided(due_jobs(session, now, horizon, most), most, now)
            write_plan(session, plan, self._node_id, now, horizon)
            self._give_way()
            return plan.full, None if plan.full else next_look(session)

    def _decided(self, due: Sequence[Due], most: int, now: datetime) -> Plan:
        plan = decide_due(due, self._holder, now, now + self._ahead, self._give_way)
        plan.full = plan.full or len(due) == most
        return plan

    @property
    def _holder(self) -> str | None:
        """Who holds what is decided: this node, unless the runs go into a queue that is shared."""
        return self._node_id if self._database.is_sqlite else None

    def _plan_one_by_one(self, now: datetime) -> None:
        """The ledger refused a batch: find the job that contradicts it, and park that one alone."""
        horizon = now + self._ahead
        for _ in range(BATCH):
            due: Sequence[Due] = ()
            try:
                with self._database.write() as session:
                    due = due_jobs(session, now, horizon, 1)
                    plan = decide_due(due, self._holder, now, horizon)
                    write_plan(session, plan, self._node_id, now, horizon)
            except IntegrityError as error:
                with self._database.write() as session:
                    signals.park_broken(session, due[0].id, f"it contradicts the ledger: {error.orig}", now)
            if not due:
                return

    def _watch_the_clock(self, now: datetime) -> None:
        drift = (now - EPOCH) - timedelta(seconds=self._clock.monotonic())
        if self._drift is not None and abs(drift - self._drift) > JUMP:
            events.clock_jumped(drift - self._drift)
        self._drift = drift

"""Decides what is due, a little ahead, and writes it down before its moment.

One transaction: run rows + cursor + next moment. Then the runs are handed over and held until due,
so at the moment itself nothing is left but a wake-up.
"""

import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col

from beffroi import events
from beffroi.core.moments import EPOCH, MICROSECOND
from beffroi.core.outcomes import Reason, State
from beffroi.core.planning import Decision, WrittenOff, decide, write_off
from beffroi.core.policies import Policy, read_policy
from beffroi.core.triggers import read_trigger
from beffroi.engine import runs, signals
from beffroi.engine.clock import Clock
from beffroi.engine.held import HeldRun
from beffroi.engine.models import IS_OPEN, Job, JobState, Run
from beffroi.engine.queue import queue_of
from beffroi.store.db import Database

BATCH = 500
"""At most so many jobs are decided in one transaction."""

LONGEST_SLEEP = 1.0
"""The wall clock is looked at at least so often: it can jump."""

JUMP = timedelta(seconds=2)
"""A difference between the clocks beyond this is a jump, not drift."""

_jobs = Job.__table__  # type: ignore[attr-defined]

_DUE = (
    select(
        _jobs.c.id,
        _jobs.c.name,
        _jobs.c.trigger,
        _jobs.c.action,
        _jobs.c.action_kind,
        _jobs.c.policy,
        _jobs.c.state,
        _jobs.c.cursor,
        _jobs.c.next_due_at,
        _jobs.c.skips,
    )
    .where(
        _jobs.c.next_due_at.is_not(None),
        _jobs.c.next_due_at <= bindparam("horizon"),
        or_(_jobs.c.state == JobState.ACTIVE.value, _jobs.c.next_due_at <= bindparam("now")),
    )
    .order_by(_jobs.c.next_due_at)
    .limit(bindparam("most"))
)

_MOVE = (
    update(_jobs)
    .where(_jobs.c.id == bindparam("b_id"))
    .values(
        cursor=bindparam("b_cursor"),
        next_due_at=bindparam("b_next"),
        state=bindparam("b_state"),
        skips=bindparam("b_skips"),
    )
)

_RESUMED = update(_jobs).where(_jobs.c.id == bindparam("b_id")).values(paused_until=None, note=None)


@dataclass(slots=True)
class Plan:
    """What one look decided. `full`: there may be more, look again at once."""

    held: list[HeldRun] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    moves: list[dict[str, Any]] = field(default_factory=list)
    resumed: list[dict[str, Any]] = field(default_factory=list)
    full: bool = False


def due_jobs(session: Session, now: datetime, horizon: datetime) -> Sequence[Row[Any]]:
    """Return the jobs to look at: due by the horizon, or paused until a moment that has come."""
    return session.execute(_DUE, {"now": now, "horizon": horizon, "most": BATCH}).all()


def plan(session: Session, due: Sequence[Row[Any]], node_id: str, now: datetime, horizon: datetime) -> Plan:
    """Decide all that falls due up to `horizon`, write it, and enqueue it in the session's transaction."""
    result = Plan()
    for row in due:
        try:
            _plan_job(result, row, node_id, now, horizon)
        except (ValueError, TypeError, ArithmeticError, LookupError) as error:
            signals.park_broken(session, row.id, str(error), now)
    runs.insert_rows(session, result.rows)
    if result.moves:
        session.execute(_MOVE, result.moves)
    if result.resumed:
        session.execute(_RESUMED, result.resumed)
    loose = runs.claim_loose(session, node_id, horizon, BATCH)
    result.full = BATCH in (len(due), len(loose)) or any(
        move["b_next"] is not None and move["b_next"] <= horizon for move in result.moves
    )
    result.held += loose
    queue_of(session).enqueue(session, result.held)
    return result


def next_look(session: Session) -> datetime | None:
    """Return the earliest moment at which something is due that nobody holds yet."""
    job = session.execute(
        select(func.min(_jobs.c.next_due_at)).where(_jobs.c.next_due_at.is_not(None))
    ).scalar()
    loose = session.execute(
        select(col(Run.due_at))
        .where(IS_OPEN, col(Run.state) == State.PLANNED.value, col(Run.node_id).is_(None))
        .order_by(col(Run.due_at))
        .limit(1)
    ).scalar()
    return min((moment for moment in (job, loose) if moment is not None), default=None)


def start_of(job_id: int, nominal: datetime, policy: Policy) -> datetime:
    """Return when the occurrence is to start: put off by the jitter, always the same for the same one."""
    if not policy.jitter:
        return nominal
    share = zlib.crc32(f"{job_id}/{nominal.timestamp()}".encode()) / 2**32
    return nominal + policy.jitter * share


def _plan_job(result: Plan, row: Row[Any], node_id: str, now: datetime, horizon: datetime) -> None:
    trigger, policy = read_trigger(row.trigger), read_policy(row.policy)
    skips = read_skips(row.skips)
    cursor = row.cursor
    gone: list[WrittenOff] = []
    if row.state == JobState.PAUSED:
        cursor = row.next_due_at
        paused = write_off(trigger, row.cursor, cursor, State.SKIPPED, Reason.PAUSED)
        gone += [paused] if paused else []
        result.resumed.append({"b_id": row.id})
    decision = decide(trigger, policy, cursor, now, horizon, skips)
    gone += decision.written_off
    for occurrence in gone:
        result.rows.append(runs.written_off_row(row.id, occurrence, now))
        if occurrence.state is State.MISSED:
            events.occurrences_written_off(row.name, occurrence.state, occurrence.reason, occurrence.count)
    for nominal in decision.fires:
        due_at = start_of(row.id, nominal, policy)
        planned = runs.planned_row(row.id, nominal, due_at, node_id)
        result.rows.append(planned)
        result.held.append(
            HeldRun(
                id=planned["id"],
                token=runs.FIRST_TOKEN,
                attempt=1,
                rescues=0,
                job_id=row.id,
                job_name=row.name,
                kind=row.action_kind,
                action=row.action,
                policy=policy,
                scheduled_for=nominal,
                due_at=due_at,
                node_id=node_id,
            )
        )
    result.moves.append(_move(row.id, decision, skips))


def _move(job_id: int, decision: Decision, skips: frozenset[datetime]) -> dict[str, Any]:
    finished = decision.next_due is None
    return {
        "b_id": job_id,
        "b_cursor": decision.cursor,
        "b_next": decision.next_due,
        "b_state": (JobState.FINISHED if finished else JobState.ACTIVE).value,
        "b_skips": write_skips(moment for moment in skips if moment > decision.cursor) if skips else None,
    }


def read_skips(text: str | None) -> frozenset[datetime]:
    """Read the moments that are to be skipped, kept as microseconds since 1970."""
    return frozenset(EPOCH + micros * MICROSECOND for micros in json.loads(text)) if text else frozenset()


def write_skips(moments: Iterable[datetime]) -> str | None:
    """Write the moments that are to be skipped; None when there are none."""
    micros = sorted((moment - EPOCH) // MICROSECOND for moment in moments)
    return json.dumps(micros) if micros else None


class Planner:
    """The timer: looks, decides, and answers how long to sleep."""

    def __init__(self, database: Database, clock: Clock, node_id: str, ahead: timedelta) -> None:
        self._database = database
        self._clock = clock
        self._node_id = node_id
        self._ahead = ahead
        self._drift: timedelta | None = None

    def poll(self) -> float:
        now = self._clock.now()
        self._watch_the_clock(now)
        try:
            result, upcoming = self._plan(now)
        except IntegrityError:
            self._plan_one_by_one(now)
            return 0.0
        if result.full:
            return 0.0
        if upcoming is None:
            return LONGEST_SLEEP
        # Look again when the next one is half the look-ahead away: late enough to gather a batch.
        pause = upcoming - self._ahead / 2 - self._clock.now()
        return min(LONGEST_SLEEP, max(0.01, pause.total_seconds()))

    def _plan(self, now: datetime) -> tuple[Plan, datetime | None]:
        horizon = now + self._ahead
        with self._database.write() as session:
            result = plan(session, due_jobs(session, now, horizon), self._node_id, now, horizon)
            return result, None if result.full else next_look(session)

    def _plan_one_by_one(self, now: datetime) -> None:
        """The ledger refused a batch: find the job that contradicts it, and park that one alone."""
        horizon = now + self._ahead
        with self._database.read() as session:
            due = due_jobs(session, now, horizon)
        for row in due:
            try:
                with self._database.write() as session:
                    plan(session, [row], self._node_id, now, horizon)
            except IntegrityError as error:
                with self._database.write() as session:
                    signals.park_broken(session, row.id, f"it contradicts the ledger: {error.orig}", now)

    def _watch_the_clock(self, now: datetime) -> None:
        drift = (now - EPOCH) - timedelta(seconds=self._clock.monotonic())
        if self._drift is not None and abs(drift - self._drift) > JUMP:
            events.clock_jumped(drift - self._drift)
        self._drift = drift

"""The moves of rows in the ledger. Each is one statement, many rows at a time; policy lives in core."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, bindparam, delete, select, update
from sqlmodel import Session, col
from uuid_utils import uuid7

from beffroi.core.outcomes import Outcome, Reason, State
from beffroi.core.planning import WrittenOff
from beffroi.core.policies import Policy
from beffroi.engine.held import HeldRun
from beffroi.engine.models import IS_OPEN, Job, Origin, Run
from beffroi.store.bulk import BulkInsert, BulkUpdate
from beffroi.store.tables import table_of

FIRST_TOKEN = 0
"""The token of a run that was never taken over."""

_runs = table_of(Run)


def new_run_id() -> str:
    """Return a new id, unique everywhere and in order of time (UUID version 7)."""
    return str(uuid7())


class Planned(NamedTuple):
    """The row of a run just decided: held by a node, or (None) for any planner to pick up."""

    id: str
    job_id: int
    scheduled_for: datetime
    due_at: datetime
    node_id: str | None
    origin: Origin = Origin.SCHEDULE


class Gone(NamedTuple):
    """The one row of consecutive occurrences that will not run."""

    id: str
    job_id: int
    scheduled_for: datetime
    last_of_gap: datetime | None
    occurrences: int
    due_at: datetime
    state: State
    reason: Reason
    message: str
    finished_at: datetime


class Settled(NamedTuple):
    """What a run becomes when an attempt is over: final, or planned again in nobody's hands."""

    id: str
    token: int
    state: State
    reason: Reason | None
    message: str | None
    code: int | None
    output: str | None
    started_at: datetime | None
    finished_at: datetime | None
    due_at: datetime
    attempt: int
    node_id: str | None
    earlier: str | None


class Started(NamedTuple):
    """A run that has begun."""

    id: str
    token: int
    started_at: datetime


_FIRST = {"attempt": "1", "rescues": "0", "token": str(FIRST_TOKEN)}

_INSERT_PLANNED = BulkInsert(_runs, Planned._fields, {**_FIRST, "state": "'planned'", "occurrences": "1"})

_INSERT_GONE = BulkInsert(_runs, Gone._fields, {**_FIRST, "origin": "'schedule'"})

_MARK_STARTED = BulkUpdate(
    _runs, ("id", "token"), Started._fields, {"state": "'running'"}, "run.state = 'planned'"
)

_SETTLE = BulkUpdate(_runs, ("id", "token"), Settled._fields, condition="run.state IN ('planned', 'running')")

_AGAIN = BulkUpdate(
    _runs, ("id", "token"), Settled._fields, {"token": "run.token + 1"},
    "run.state IN ('planned', 'running')",
)  # fmt: skip
"""The token grows with each attempt: an outcome that is sent twice plans one more only once."""

_CLAIM = BulkUpdate(_runs, ("id", "token"), ("id", "token", "node_id"), {"token": "run.token + 1"})

_LET_GO = BulkUpdate(
    _runs, ("id", "token"), ("id", "token"), {"node_id": "NULL", "token": "run.token + 1"},
    "run.state = 'planned'",
)  # fmt: skip

_WITH_JOB = select(
    _runs.c.id,
    _runs.c.token,
    _runs.c.attempt,
    _runs.c.rescues,
    _runs.c.node_id,
    _runs.c.job_id,
    _runs.c.scheduled_for,
    _runs.c.due_at,
    _runs.c.earlier,
    col(Job.name),
    col(Job.action_kind),
    col(Job.action),
    col(Job.policy),
    col(Job.deleted_at),
).join(Job, col(Job.id) == _runs.c.job_id)

_LOOSE = (
    _WITH_JOB.where(
        IS_OPEN,
        _runs.c.state == State.PLANNED,
        _runs.c.node_id.is_(None),
        _runs.c.due_at <= bindparam("horizon"),
    )
    .order_by(_runs.c.due_at)
    .limit(bindparam("most"))
)

_WHY_GONE = {
    Reason.PAUSED: "The job was paused.",
    Reason.BY_HAND: "Skipped by hand.",
    Reason.TOO_LATE: "Too late: the misfire grace was over.",
    Reason.SLEPT_THROUGH: "Slept through; the catch-up policy runs no more of them.",
    Reason.OVER_LIMIT: "Slept through; beyond the catch-up limit.",
}


def insert_planned(session: Session, rows: Sequence[Planned]) -> None:
    _INSERT_PLANNED.execute(session, rows)


def insert_written_off(session: Session, gone: Sequence[tuple[int, WrittenOff]], now: datetime) -> None:
    """Write down, for each job id, consecutive occurrences that will not run."""
    _INSERT_GONE.execute(session, [_gone_row(job_id, occurrences, now) for job_id, occurrences in gone])


def _gone_row(job_id: int, gone: WrittenOff, now: datetime) -> Gone:
    last = gone.last if gone.count > 1 else None
    return Gone(
        new_run_id(), job_id, gone.first, last, gone.count, gone.first,
        gone.state, gone.reason, _WHY_GONE[gone.reason], now,
    )  # fmt: skip


def loose_runs(session: Session, horizon: datetime, most: int) -> Sequence[Row[Any]]:
    """Return the planned runs that nobody holds: said by hand, tried again, rescued."""
    return session.execute(_LOOSE, {"horizon": horizon, "most": most}).all()


def loose_since(session: Session, since: datetime) -> list[str]:
    """Return the planned runs in nobody's hands that were due before then."""
    loose = select(_runs.c.id).where(
        IS_OPEN, _runs.c.state == State.PLANNED, _runs.c.node_id.is_(None), _runs.c.due_at < since
    )
    return list(session.scalars(loose))


def held_by(session: Session, node_id: str) -> list[tuple[str, int]]:
    """Return the open runs, with their tokens, that are in a node's hands."""
    mine = select(_runs.c.id, _runs.c.token).where(IS_OPEN, _runs.c.node_id == node_id)
    return [(row.id, row.token) for row in session.execute(mine)]


def open_runs(session: Session, ids: Sequence[str]) -> Sequence[Row[Any]]:
    """Return those of the runs that are open, locked until the session ends."""
    mine = _runs.c.id.in_(ids)
    return session.execute(_WITH_JOB.where(IS_OPEN, mine).with_for_update(of=_runs)).all()


def held(
    row: Row[Any],
    policy: Policy,
    node_id: str,
    ticket: int | None = None,
    taken_at: datetime | None = None,
) -> HeldRun:
    """Return the run of a row as its next holder has it: with the next token (see `mark_claimed`)."""
    return HeldRun(
        id=row.id,
        token=row.token + 1,
        attempt=row.attempt,
        rescues=row.rescues,
        job_id=row.job_id,
        job_name=row.name,
        kind=row.action_kind,
        action=row.action,
        policy=policy,
        scheduled_for=row.scheduled_for,
        due_at=row.due_at,
        node_id=node_id,
        earlier=row.earlier,
        ticket=ticket,
        taken_at=taken_at,
    )


def mark_claimed(session: Session, claimed: Sequence[HeldRun]) -> None:
    """Write down who holds the runs."""
    _CLAIM.execute(session, [(run.id, run.token - 1, run.node_id) for run in claimed])


def put_away(session: Session, ids: Sequence[str], outcome: Outcome, now: datetime) -> None:
    """End runs without starting them; their tokens grow, so nobody else can settle them."""
    values = {"state": outcome.state, "reason": outcome.reason, "message": outcome.message}
    for start in range(0, len(ids), 500):
        mine = _runs.c.id.in_(ids[start : start + 500])
        session.execute(update(_runs).where(mine).values(**values, finished_at=now, token=_runs.c.token + 1))


def let_go(session: Session, held: Sequence[HeldRun]) -> list[HeldRun]:
    """Leave runs that were not begun to whoever picks them up next; return those that were ours to leave."""
    if _LET_GO.execute(session, [(run.id, run.token) for run in held]) == len(held):
        return list(held)
    mine = _runs.c.id.in_([run.id for run in held])
    rows = session.execute(select(_runs.c.id, _runs.c.token).where(IS_OPEN, mine, _runs.c.node_id.is_(None)))
    left = {(row.id, row.token - 1) for row in rows}
    return [run for run in held if (run.id, run.token) in left]


def mark_started(session: Session, starts: Sequence[Started]) -> None:
    _MARK_STARTED.execute(session, starts)


def write_outcomes(session: Session, rows: Sequence[Settled]) -> list[str]:
    """Write outcomes, fenced by their tokens; return the ids of the runs that were no longer ours."""
    final = [row for row in rows if row.state is not State.PLANNED]
    again = [row for row in rows if row.state is State.PLANNED]
    written = _SETTLE.execute(session, final) + _AGAIN.execute(session, again)
    if written == len(rows):
        return []
    ids = [row.id for row in rows]
    found = session.execute(select(_runs.c.id, _runs.c.token).where(_runs.c.id.in_(ids))).all()
    ours = {(row.id, row.token) for row in found}
    fenced = [row.id for row in final if (row.id, row.token) not in ours]
    return sorted([*fenced, *(row.id for row in again if (row.id, row.token + 1) not in ours)])


def attempts_with(
    earlier: str | None, attempt: int, outcome: Outcome, started: datetime | None, finished: datetime
) -> str:
    """Return the list of failed attempts, as JSON, with one more at its end."""
    attempts = json.loads(earlier) if earlier else []
    attempts.append(
        {
            "attempt": attempt,
            "started_at": started.isoformat() if started else None,
            "finished_at": finished.isoformat(),
            "reason": outcome.reason,
            "message": outcome.message,
            "code": outcome.code,
        }
    )
    return json.dumps(attempts)


def delete_rows(session: Session, ids: Sequence[str]) -> None:
    for start in range(0, len(ids), 500):
        session.execute(delete(_runs).where(_runs.c.id.in_(ids[start : start + 500])))

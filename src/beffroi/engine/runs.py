"""The moves of rows in the ledger. Each is one statement, many rows at a time; policy lives in core."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, insert, or_, select, update
from sqlmodel import Session, col
from uuid_utils import uuid7

from beffroi.core.outcomes import Outcome, Reason, State
from beffroi.core.planning import WrittenOff
from beffroi.core.policies import read_policy
from beffroi.engine.held import HeldRun
from beffroi.engine.models import IS_OPEN, Job, Origin, Run

_runs = Run.__table__  # type: ignore[attr-defined]
FIRST_TOKEN = 1
"""The token of a run that is held from its decision on."""


def new_run_id() -> str:
    """Return a new id, unique everywhere and in order of time (UUID version 7)."""
    return str(uuid7())


def insert_rows(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        session.execute(insert(_runs), rows)


def planned_row(
    job_id: int,
    scheduled_for: datetime,
    due_at: datetime,
    node_id: str | None,
    origin: Origin = Origin.SCHEDULE,
) -> dict[str, Any]:
    """Return the row of a run just decided: held by a node, or (None) for any planner to pick up."""
    return {
        "id": new_run_id(),
        "job_id": job_id,
        "origin": origin.value,
        "scheduled_for": scheduled_for,
        "last_of_gap": None,
        "occurrences": 1,
        "due_at": due_at,
        "state": State.PLANNED.value,
        "reason": None,
        "message": None,
        "attempt": 1,
        "rescues": 0,
        "token": FIRST_TOKEN if node_id else 0,
        "node_id": node_id,
        "finished_at": None,
    }


def written_off_row(job_id: int, gone: WrittenOff, now: datetime) -> dict[str, Any]:
    """Return the one row of consecutive occurrences that will not run."""
    return {
        "id": new_run_id(),
        "job_id": job_id,
        "origin": Origin.SCHEDULE.value,
        "scheduled_for": gone.first,
        "last_of_gap": gone.last if gone.count > 1 else None,
        "occurrences": gone.count,
        "due_at": gone.first,
        "state": gone.state.value,
        "reason": gone.reason.value,
        "message": _WRITTEN_OFF[gone.reason].format(count=gone.count),
        "attempt": 0,
        "rescues": 0,
        "token": 0,
        "node_id": None,
        "finished_at": now,
    }


_WRITTEN_OFF = {
    Reason.PAUSED: "The job was paused.",
    Reason.BY_HAND: "Skipped by hand.",
    Reason.TOO_LATE: "Too late: the misfire grace was over.",
    Reason.SLEPT_THROUGH: "Slept through; the catch-up policy runs no more of them.",
    Reason.OVER_LIMIT: "Slept through; beyond the catch-up limit.",
}

_LOOSE = (
    select(
        _runs.c.id,
        _runs.c.token,
        _runs.c.attempt,
        _runs.c.rescues,
        _runs.c.job_id,
        _runs.c.scheduled_for,
        _runs.c.due_at,
        _runs.c.earlier,
        col(Job.name),
        col(Job.action_kind),
        col(Job.action),
        col(Job.policy),
    )
    .join(Job, col(Job.id) == _runs.c.job_id)
    .where(
        IS_OPEN,
        _runs.c.state == State.PLANNED.value,
        _runs.c.node_id.is_(None),
        _runs.c.due_at <= bindparam("horizon"),
    )
    .order_by(_runs.c.due_at)
    .limit(bindparam("most"))
)

_CLAIM = (
    update(_runs)
    .where(_runs.c.id == bindparam("b_id"), _runs.c.token == bindparam("b_token"))
    .values(node_id=bindparam("b_node"), token=_runs.c.token + 1)
)


def claim_loose(session: Session, node_id: str, horizon: datetime, most: int) -> list[HeldRun]:
    """Take the planned runs that nobody holds: said by hand, tried again, rescued."""
    rows = session.execute(_LOOSE, {"horizon": horizon, "most": most}).all()
    if not rows:
        return []
    session.execute(_CLAIM, [{"b_id": row.id, "b_token": row.token, "b_node": node_id} for row in rows])
    return [
        HeldRun(
            id=row.id,
            token=row.token + 1,
            attempt=row.attempt,
            rescues=row.rescues,
            job_id=row.job_id,
            job_name=row.name,
            node_id=node_id,
            kind=row.action_kind,
            action=row.action,
            policy=read_policy(row.policy),
            scheduled_for=row.scheduled_for,
            due_at=row.due_at,
            earlier=row.earlier,
        )
        for row in rows
    ]


_STARTED = (
    update(_runs)
    .where(
        _runs.c.id == bindparam("b_id"),
        _runs.c.token == bindparam("b_token"),
        _runs.c.state == State.PLANNED.value,
    )
    .values(state=State.RUNNING.value, started_at=bindparam("b_started"))
)

_FINISHED = (
    update(_runs)
    .where(
        _runs.c.id == bindparam("b_id"),
        _runs.c.token == bindparam("b_token"),
        or_(_runs.c.state == State.PLANNED.value, _runs.c.state == State.RUNNING.value),
    )
    .values(
        state=bindparam("b_state"),
        reason=bindparam("b_reason"),
        message=bindparam("b_message"),
        code=bindparam("b_code"),
        output=bindparam("b_output"),
        started_at=bindparam("b_started"),
        finished_at=bindparam("b_finished"),
        due_at=bindparam("b_due"),
        attempt=bindparam("b_attempt"),
        node_id=bindparam("b_node"),
        earlier=bindparam("b_earlier"),
    )
)


def mark_started(session: Session, starts: Sequence[tuple[HeldRun, datetime]]) -> None:
    if starts:
        rows = [{"b_id": run.id, "b_token": run.token, "b_started": at} for run, at in starts]
        session.execute(_STARTED, rows)


def write_outcomes(session: Session, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Write outcomes, fenced by their tokens; return the ids of the runs that were no longer ours."""
    if not rows:
        return []
    written = session.execute(_FINISHED, rows).rowcount  # type: ignore[attr-defined]
    if written == len(rows):
        return []
    held = {(row["b_id"], row["b_token"]) for row in rows}
    ids = [row["b_id"] for row in rows]
    mine = session.execute(select(_runs.c.id, _runs.c.token).where(_runs.c.id.in_(ids))).all()
    return sorted(run_id for run_id, _ in held - {(row.id, row.token) for row in mine})


def earlier_attempts(run: HeldRun, outcome: Outcome, started: datetime | None, finished: datetime) -> str:
    """Return the run's list of failed attempts, as JSON, with this one at its end."""
    attempts = json.loads(run.earlier) if run.earlier else []
    attempts.append(
        {
            "attempt": run.attempt,
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

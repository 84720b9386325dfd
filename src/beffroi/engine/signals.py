"""Signals: the fact that the health of something changed, written with the change."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import insert, select, update
from sqlmodel import Session, col

from beffroi import events
from beffroi.core.outcomes import State
from beffroi.engine.models import IS_FAILING, Health, Job, JobState, Signal, SignalKind


class Verdict(Protocol):
    """What a run says of its job's health."""

    @property
    def id(self) -> str: ...
    @property
    def state(self) -> State: ...
    @property
    def message(self) -> str | None: ...


def park_broken(session: Session, job_id: int, reason: str, now: datetime) -> None:
    """Set a job aside whose row cannot be read. Nothing of it is deleted."""
    session.execute(
        update(Job)
        .where(col(Job.id) == job_id)
        .values(state=JobState.BROKEN.value, next_due_at=None, note=reason[:2000])
    )
    _write(session, {"kind": SignalKind.BROKEN.value, "at": now, "job_id": job_id, "message": reason[:2000]})
    events.job_broken(job_id, reason)


def absence(session: Session, since: datetime, until: datetime) -> None:
    """Record that nobody watched between the two moments."""
    _write(session, {"kind": SignalKind.ABSENCE.value, "at": until, "since": since})
    events.absence(since, until)


def note_outcomes(session: Session, last: Mapping[int, Verdict], now: datetime) -> None:
    """Compare the last outcome of each job (a settled row) with its health; write what changed."""
    if not last:
        return
    failing = set(session.scalars(select(col(Job.id)).where(IS_FAILING)))
    for job_id, row in last.items():
        failed = row.state is State.FAILED
        if failed != (job_id in failing):
            _change_health(session, job_id, Health.FAILING if failed else Health.OK, row, now)


def _change_health(session: Session, job_id: int, health: Health, row: Verdict, now: datetime) -> None:
    session.execute(update(Job).where(col(Job.id) == job_id).values(health=health.value))
    kind = SignalKind.FAILING if health is Health.FAILING else SignalKind.RECOVERED
    _write(
        session,
        {"kind": kind.value, "at": now, "job_id": job_id, "run_id": row.id, "message": row.message},
    )
    events.health_changed(job_id, health, row.message)


def _write(session: Session, row: dict[str, Any]) -> None:
    session.execute(insert(Signal), [row])

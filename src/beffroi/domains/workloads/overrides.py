"""Verbs on what people say by hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from beffroi.core.errors import ConflictError, InvalidError, NotFoundError
from beffroi.domains.workloads import targets, voices
from beffroi.domains.workloads.models import WorkloadOverride, WorkloadSchedule
from beffroi.domains.workloads.rules import Wanted, natural_end


@dataclass(frozen=True, slots=True)
class Said:
    """`until`: empty means the natural end, see `natural_end`."""

    wanted: Wanted
    until: datetime | None = None
    note: str | None = None


def override(
    session: Session, schedule: WorkloadSchedule, said: Said, author: str, now: datetime
) -> WorkloadOverride:
    """Say by hand what is wanted, from now until it ends by itself."""
    if not schedule.active:
        raise ConflictError("The schedule is not active, so it has no say; activate it first.")
    if said.until is not None and said.until <= now:
        raise InvalidError("until", "must lie ahead")
    windows = voices.of_schedule(session, schedule).windows
    made = WorkloadOverride(
        schedule_id=schedule.id or 0,
        wanted=said.wanted,
        since=now,
        until=said.until or natural_end(said.wanted, now, windows),
        author=author[:210],
        note=said.note,
    )
    session.add(made)
    session.flush()
    targets.heed(session, schedule.target_id, now)
    return made


def hand_over(session: Session, schedule: WorkloadSchedule, heir: WorkloadSchedule) -> None:
    """Let what was said about a schedule be said about another one of the same target."""
    mine = select(WorkloadOverride).where(col(WorkloadOverride.schedule_id) == schedule.id)
    for each in session.exec(mine):
        each.schedule_id = heir.id or 0
    session.flush()


def list_overrides(session: Session, schedule: WorkloadSchedule) -> Sequence[WorkloadOverride]:
    """Return what was said about a schedule, the newest first."""
    query = select(WorkloadOverride).where(col(WorkloadOverride.schedule_id) == schedule.id)
    return session.exec(query.order_by(col(WorkloadOverride.id).desc())).all()


def take_back(
    session: Session, schedule: WorkloadSchedule, override_id: int, now: datetime
) -> WorkloadOverride:
    """End an override now; it stays on record."""
    found = session.get(WorkloadOverride, override_id)
    if found is None or found.schedule_id != schedule.id:
        raise NotFoundError(f"Schedule {schedule.id} has no override {override_id}.")
    if found.until is not None and found.until <= now:
        raise ConflictError("The override has ended already.")
    found.until = now
    session.flush()
    targets.heed(session, schedule.target_id, now)
    return found

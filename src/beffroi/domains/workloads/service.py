"""Verbs on workload schedules."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from beffroi.core.errors import ConflictError, InvalidError, NotFoundError
from beffroi.core.moments import in_utc
from beffroi.core.triggers.edges import Edges
from beffroi.domains.workloads import targets
from beffroi.domains.workloads.models import (
    Origin,
    Status,
    WorkloadOverride,
    WorkloadSchedule,
    WorkloadTarget,
)
from beffroi.domains.workloads.params import WorkloadParams
from beffroi.domains.workloads.shapes import WorkloadScheduleCreate
from beffroi.domains.workloads.targets import OWNER, POLICY
from beffroi.domains.workloads.voices import edges_of
from beffroi.domains.workloads.windows import status_at
from beffroi.engine import jobs
from beffroi.engine.jobs import Definition


@dataclass(frozen=True, slots=True)
class ScheduleFilter:
    name: str | None = None
    status: Status | None = None
    active: bool | None = None
    target: str | None = None


def get(session: Session, schedule_id: int) -> WorkloadSchedule:
    schedule = session.get(WorkloadSchedule, schedule_id)
    if schedule is None:
        raise NotFoundError(f"There is no schedule {schedule_id}.")
    return schedule


def lock(session: Session, schedule_id: int) -> WorkloadSchedule:
    """Return a schedule to be changed."""
    schedule = session.get(WorkloadSchedule, schedule_id, with_for_update=True, populate_existing=True)
    if schedule is None:
        raise NotFoundError(f"There is no schedule {schedule_id}.")
    return schedule


def list_schedules(
    session: Session, wanted: ScheduleFilter, after: int | None, limit: int
) -> Sequence[WorkloadSchedule]:
    """Return schedules in order of their ids, from the one after `after` on."""
    query = select(WorkloadSchedule)
    if wanted.name:
        query = query.where(col(WorkloadSchedule.name).icontains(wanted.name, autoescape=True))
    if wanted.status is not None:
        query = query.where(col(WorkloadSchedule.status) == wanted.status)
    if wanted.active is not None:
        query = query.where(col(WorkloadSchedule.active) == wanted.active)
    if wanted.target is not None:
        mine = col(WorkloadTarget.id) == col(WorkloadSchedule.target_id)
        query = query.join(WorkloadTarget, mine).where(col(WorkloadTarget.name) == wanted.target)
    if after is not None:
        query = query.where(col(WorkloadSchedule.id) > after)
    return session.exec(query.order_by(col(WorkloadSchedule.id)).limit(limit)).all()


def create(
    session: Session,
    body: WorkloadScheduleCreate,
    default_zone: str,
    now: datetime,
    origin: Origin = Origin.API,
) -> WorkloadSchedule:
    schedule = WorkloadSchedule(
        name=body.name,
        timezone="",
        start_time=now,
        end_time=now,
        origin=origin,
        created_at=now,
        updated_at=now,
    )
    _fill(session, schedule, body, default_zone)
    edges = edges_of(schedule)
    session.add(schedule)
    session.flush()
    _arrange(session, schedule, edges, now)
    targets.heed(session, schedule.target_id, now)
    return schedule


def replace(
    session: Session,
    schedule: WorkloadSchedule,
    body: WorkloadScheduleCreate,
    default_zone: str,
    now: datetime,
) -> bool:
    """Make a schedule so; return whether that changed anything."""
    before, was = schedule.target_id, schedule.model_dump()
    _fill(session, schedule, body, default_zone)
    if schedule.model_dump() == was:
        return False
    schedule.version += 1
    schedule.updated_at = now
    _arrange(session, schedule, edges_of(schedule), now)
    for target_id in sorted({before, schedule.target_id} - {None}, key=lambda number: number or 0):
        targets.heed(session, target_id, now)
    return True


def delete(session: Session, schedule: WorkloadSchedule, now: datetime) -> None:
    """Delete a schedule and what was said about it; its target goes back to what the others say."""
    _drop_job(session, schedule, now)
    mine = col(WorkloadOverride.schedule_id) == schedule.id
    for override in session.exec(select(WorkloadOverride).where(mine)):
        session.delete(override)
    session.flush()
    target_id = schedule.target_id
    session.delete(schedule)
    session.flush()
    targets.heed(session, target_id, now)


def refuse_foreign(session: Session, thing: WorkloadSchedule | WorkloadTarget) -> None:
    """Refuse to change what an annotation defines: it would be set right again."""
    if is_foreign(session, thing):
        raise ConflictError("It comes from an annotation in its cluster; change it there.")


def is_foreign(session: Session, thing: WorkloadSchedule | WorkloadTarget) -> bool:
    """Whether a thing comes from an annotation that is still being read."""
    if thing.origin is not Origin.CLUSTER:
        return False
    target_id = thing.target_id if isinstance(thing, WorkloadSchedule) else thing.id
    target = session.get(WorkloadTarget, target_id)
    return target is not None and targets.is_followed(session, target)


def reconcile(session: Session, schedule_id: int, now: datetime) -> tuple[Status, Status]:
    """Bring a schedule to what the time says; return its status before and after."""
    schedule = lock(session, schedule_id)
    before = schedule.status
    if schedule.active:
        schedule.status = status_at(edges_of(schedule), now)
    return before, schedule.status


def _fill(
    session: Session, schedule: WorkloadSchedule, body: WorkloadScheduleCreate, default_zone: str
) -> None:
    """Write down what a body says. The status is not taken from it: the time says it."""
    zone = body.timezone or default_zone
    schedule.start_time, schedule.end_time = _times(body, zone)
    schedule.name, schedule.active = body.name, body.active
    schedule.timezone, schedule.recurrence = zone, body.recurrence
    schedule.replicas = body.replicas
    target = _target_of(session, body.target)
    schedule.target_id = target.id if target else None
    if body.replicas is not None and not targets.has_replicas(target):
        raise InvalidError("replicas", "is for a schedule whose target is in Kubernetes")


def _target_of(session: Session, name: str | None) -> WorkloadTarget | None:
    if name is None:
        return None
    target = targets.find(session, name)
    if target is None:
        raise InvalidError("target", f"there is no target named {name!r}; make it first: POST /targets")
    return target


def _arrange(session: Session, schedule: WorkloadSchedule, edges: Edges, now: datetime) -> None:
    """Set the status; without a target the schedule has a job of its own that keeps it, unless inactive."""
    schedule.reason = None
    if schedule.active or schedule.status is Status.FAILED:
        schedule.status = status_at(edges, now)
    if not schedule.active or schedule.target_id is not None:
        _drop_job(session, schedule, now)
        return
    definition = Definition(
        f"schedule {schedule.id}", edges, WorkloadParams(schedule_id=schedule.id or 0), POLICY
    )
    job = jobs.lock(session, schedule.job_id) if schedule.job_id is not None else None
    if job is not None:
        jobs.redefine(session, job, definition, now)
    else:
        schedule.job_id = jobs.add(session, definition, OWNER, now).id


def _drop_job(session: Session, schedule: WorkloadSchedule, now: datetime) -> None:
    job = jobs.lock(session, schedule.job_id) if schedule.job_id is not None else None
    if job is not None:
        jobs.remove(session, job, now)
    schedule.job_id = None
    session.flush()


def _times(body: WorkloadScheduleCreate, zone: str) -> tuple[datetime, datetime]:
    moments = []
    for field, value in (("start_time", body.start_time), ("end_time", body.end_time)):
        try:
            moments.append(in_utc(value, zone))
        except ValueError as error:
            raise InvalidError(field, str(error)) from None
    start, end = moments
    if end <= start:
        raise InvalidError(
            "end_time", "must lie after start_time; a window that ends before it begins is never up"
        )
    return start, end

"""Verbs on workload schedules."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from beffroi.core.errors import InvalidError, NotFoundError
from beffroi.core.moments import in_utc
from beffroi.core.policies import Overlap, Policy, Retries
from beffroi.core.triggers.edges import Edges
from beffroi.domains.workloads.models import Status, WorkloadSchedule
from beffroi.domains.workloads.params import WorkloadParams
from beffroi.domains.workloads.rules import status_at, window_of
from beffroi.domains.workloads.shapes import WorkloadScheduleCreate
from beffroi.engine import jobs
from beffroi.engine.jobs import Definition

OWNER = "workloads"

POLICY = Policy(
    timeout=timedelta(minutes=5),
    overlap=Overlap.QUEUE,
    retries=Retries(max=5, first_delay=timedelta(seconds=1)),
)


@dataclass(frozen=True, slots=True)
class ScheduleFilter:
    name: str | None = None
    status: Status | None = None
    active: bool | None = None


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
    if after is not None:
        query = query.where(col(WorkloadSchedule.id) > after)
    return session.exec(query.order_by(col(WorkloadSchedule.id)).limit(limit)).all()


def create(
    session: Session, body: WorkloadScheduleCreate, default_zone: str, now: datetime
) -> WorkloadSchedule:
    zone = body.timezone or default_zone
    start, end = _times(body, zone)
    schedule = WorkloadSchedule(
        name=body.name,
        start_time=start,
        end_time=end,
        status=body.status,
        active=body.active,
        timezone=zone,
        recurrence=body.recurrence,
        created_at=now,
        updated_at=now,
    )
    window = _window(schedule)
    session.add(schedule)
    session.flush()
    _arrange(session, schedule, window, now)
    return schedule


def replace(
    session: Session,
    schedule: WorkloadSchedule,
    body: WorkloadScheduleCreate,
    default_zone: str,
    now: datetime,
) -> None:
    zone = body.timezone or default_zone
    schedule.start_time, schedule.end_time = _times(body, zone)
    schedule.name, schedule.active, schedule.status = body.name, body.active, body.status
    schedule.timezone, schedule.recurrence = zone, body.recurrence
    schedule.version += 1
    schedule.updated_at = now
    _arrange(session, schedule, _window(schedule), now)


def delete(session: Session, schedule: WorkloadSchedule, now: datetime) -> None:
    _drop_job(session, schedule, now)
    session.delete(schedule)


def reconcile(session: Session, schedule_id: int, now: datetime) -> tuple[Status, Status]:
    """Bring a schedule to what the time says; return its status before and after."""
    schedule = lock(session, schedule_id)
    before = schedule.status
    if schedule.active:
        schedule.status = status_at(_window(schedule), now)
    return before, schedule.status


def _arrange(session: Session, schedule: WorkloadSchedule, window: Edges, now: datetime) -> None:
    """Set the status, and give the schedule the job that fires at the edges; none when inactive."""
    if not schedule.active:
        _drop_job(session, schedule, now)
        return
    schedule.status = status_at(window, now)
    definition = Definition(
        f"schedule {schedule.id}", window, WorkloadParams(schedule_id=schedule.id or 0), POLICY
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


def _window(schedule: WorkloadSchedule) -> Edges:
    try:
        return window_of(schedule.start_time, schedule.end_time, schedule.recurrence, schedule.timezone)
    except ValueError as error:
        raise InvalidError("recurrence", _reason(error)) from None


def _reason(error: ValueError) -> str:
    """Return the sentence inside a validation error."""
    text = str(error)
    lines = [line.strip() for line in text.splitlines() if "Value error, " in line]
    return lines[0].split("Value error, ", 1)[1].split(" [type=")[0] if lines else text

"""Workload schedules over JSON."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Request, Response, status
from sqlmodel import Session

from beffroi.domains.workloads import overrides, service, targets, voices
from beffroi.domains.workloads.models import Status, WorkloadSchedule
from beffroi.domains.workloads.overrides import Said
from beffroi.domains.workloads.service import ScheduleFilter
from beffroi.domains.workloads.shapes import (
    Created,
    ExplainView,
    OverrideCreate,
    OverrideView,
    WorkloadScheduleCreate,
    WorkloadScheduleView,
    body_of,
    explain_view,
    schedule_view,
)
from beffroi.web.access import OPERATOR, VIEWER, Known
from beffroi.web.deps import Ctx, IfMatch, Limit, Now, Reading, Writing, etag, moment_in_zone
from beffroi.web.errors import PROBLEMS
from beffroi.web.paging import page
from beffroi.web.patch import Deleted, merged

router = APIRouter(tags=["schedules"], responses=PROBLEMS, dependencies=[VIEWER])

ScheduleId = Annotated[int, Path(ge=1, le=2**31 - 1)]
OverrideId = Annotated[int, Path(ge=1, le=2**31 - 1)]


@router.get("/schedules")
def list_schedules(
    request: Request,
    response: Response,
    session: Reading,
    name: Annotated[str | None, Query(max_length=200, description="Part of the name.")] = None,
    status: Status | None = None,
    active: bool | None = None,
    target: Annotated[str | None, Query(max_length=200, description="The name of its target.")] = None,
    after: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
    limit: Limit = 1000,
) -> Sequence[WorkloadScheduleView]:
    """List schedules in order of their ids."""
    wanted = ScheduleFilter(name, status, active, target)
    found = service.list_schedules(session, wanted, after, limit + 1)
    rows = page(request, response, found, limit, [schedule.id for schedule in found])
    named = targets.by_ids(session, [schedule.target_id for schedule in rows])
    return [schedule_view(schedule, named.get(schedule.target_id)) for schedule in rows]


@router.post("/schedules", dependencies=[OPERATOR], status_code=status.HTTP_201_CREATED)
def create_schedule(
    body: WorkloadScheduleCreate, response: Response, session: Writing, context: Ctx, now: Now
) -> Created:
    """Create a schedule."""
    schedule = service.create(session, body, context.zone, now)
    response.headers["Location"] = f"/schedules/{schedule.id}"
    response.headers["ETag"] = etag(schedule.version)
    return Created(id=schedule.id or 0)


@router.get("/schedules/{schedule_id}")
def read_schedule(schedule_id: ScheduleId, response: Response, session: Reading) -> WorkloadScheduleView:
    """Read a schedule."""
    schedule = service.get(session, schedule_id)
    response.headers["ETag"] = etag(schedule.version)
    return _view(session, schedule)


@router.put("/schedules/{schedule_id}", dependencies=[OPERATOR])
def replace_schedule(
    schedule_id: ScheduleId,
    body: WorkloadScheduleCreate,
    response: Response,
    session: Writing,
    context: Ctx,
    now: Now,
    expected: IfMatch,
) -> WorkloadScheduleView:
    """Replace a schedule."""
    schedule = service.lock(session, schedule_id)
    expected.check(schedule.version)
    service.refuse_foreign(session, schedule)
    service.replace(session, schedule, body, context.zone, now)
    response.headers["ETag"] = etag(schedule.version)
    return _view(session, schedule)


@router.patch("/schedules/{schedule_id}", dependencies=[OPERATOR])
def change_schedule(
    schedule_id: ScheduleId,
    changes: Annotated[dict[str, Any], Body(examples=[{"active": False}])],
    response: Response,
    session: Writing,
    context: Ctx,
    now: Now,
    expected: IfMatch,
) -> WorkloadScheduleView:
    """Change parts of a schedule (JSON Merge Patch, RFC 7396)."""
    schedule = service.lock(session, schedule_id)
    expected.check(schedule.version)
    service.refuse_foreign(session, schedule)
    body = merged(WorkloadScheduleCreate, _body(session, schedule), changes)
    service.replace(session, schedule, body, context.zone, now)
    response.headers["ETag"] = etag(schedule.version)
    return _view(session, schedule)


@router.delete("/schedules/{schedule_id}", dependencies=[OPERATOR])
def delete_schedule(schedule_id: ScheduleId, session: Writing, now: Now, expected: IfMatch) -> Deleted:
    """Delete a schedule, and the job at its edges. The runs stay in the ledger."""
    schedule = service.lock(session, schedule_id)
    expected.check(schedule.version)
    service.refuse_foreign(session, schedule)
    service.delete(session, schedule, now)
    return Deleted()


@router.get("/schedules/{schedule_id}/explain")
def explain_schedule(
    schedule_id: ScheduleId,
    session: Reading,
    context: Ctx,
    now: Now,
    at: Annotated[datetime | None, Query(description="The moment; now when not said.")] = None,
) -> ExplainView:
    """Say what is wanted at a moment, which window or override says so, and what comes next."""
    schedule = service.get(session, schedule_id)
    moment = moment_in_zone("at", at, schedule.timezone) or now
    return explain_view(voices.of_schedule(session, schedule).explain(moment), schedule.timezone)


@router.post(
    "/schedules/{schedule_id}/override", status_code=status.HTTP_201_CREATED, dependencies=[OPERATOR]
)
def override_schedule(
    schedule_id: ScheduleId, body: OverrideCreate, session: Writing, caller: Known, now: Now
) -> OverrideView:
    """Say by hand: up, down, or leave alone, until a moment or the natural end."""
    schedule = service.lock(session, schedule_id)
    until = moment_in_zone("until", body.until, schedule.timezone)
    made = overrides.override(session, schedule, Said(body.wanted, until, body.note), caller.name, now)
    return OverrideView.model_validate(made.model_dump())


@router.get("/schedules/{schedule_id}/overrides")
def list_overrides(schedule_id: ScheduleId, session: Reading) -> list[OverrideView]:
    """List what was said by hand about a schedule, the newest first."""
    found = overrides.list_overrides(session, service.get(session, schedule_id))
    return [OverrideView.model_validate(each.model_dump()) for each in found]


@router.delete("/schedules/{schedule_id}/overrides/{override_id}", dependencies=[OPERATOR])
def take_back_override(
    schedule_id: ScheduleId,
    override_id: OverrideId,
    session: Writing,
    now: Now,
) -> OverrideView:
    """End an override now. It stays on record."""
    schedule = service.lock(session, schedule_id)
    ended = overrides.take_back(session, schedule, override_id, now)
    return OverrideView.model_validate(ended.model_dump())


def _view(session: Session, schedule: WorkloadSchedule) -> WorkloadScheduleView:
    named = targets.by_ids(session, [schedule.target_id])
    return schedule_view(schedule, named.get(schedule.target_id))


def _body(session: Session, schedule: WorkloadSchedule) -> dict[str, Any]:
    return body_of(schedule, targets.by_ids(session, [schedule.target_id]).get(schedule.target_id))

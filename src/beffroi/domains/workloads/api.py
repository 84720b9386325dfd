"""Workload schedules over JSON."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Request, Response, status

from beffroi.domains.workloads import service
from beffroi.domains.workloads.models import Status
from beffroi.domains.workloads.service import ScheduleFilter
from beffroi.domains.workloads.shapes import (
    Created,
    WorkloadScheduleCreate,
    WorkloadScheduleView,
    body_of,
    schedule_view,
)
from beffroi.web.access import OPERATOR, VIEWER
from beffroi.web.deps import Ctx, IfMatch, Limit, Now, Reading, Writing, etag
from beffroi.web.errors import PROBLEMS
from beffroi.web.paging import page
from beffroi.web.patch import Deleted, merged

router = APIRouter(tags=["schedules"], responses=PROBLEMS, dependencies=[VIEWER])

ScheduleId = Annotated[int, Path(ge=1, le=2**31 - 1)]


@router.get("/schedules")
def list_schedules(
    request: Request,
    response: Response,
    session: Reading,
    name: Annotated[str | None, Query(max_length=200, description="Part of the name.")] = None,
    status: Status | None = None,
    active: bool | None = None,
    after: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
    limit: Limit = 1000,
) -> Sequence[WorkloadScheduleView]:
    """List schedules in order of their ids."""
    found = service.list_schedules(session, ScheduleFilter(name, status, active), after, limit + 1)
    rows = page(request, response, found, limit, [schedule.id for schedule in found])
    return [schedule_view(schedule) for schedule in rows]


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
    return schedule_view(schedule)


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
    service.replace(session, schedule, body, context.zone, now)
    response.headers["ETag"] = etag(schedule.version)
    return schedule_view(schedule)


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
    body = merged(WorkloadScheduleCreate, body_of(schedule), changes)
    service.replace(session, schedule, body, context.zone, now)
    response.headers["ETag"] = etag(schedule.version)
    return schedule_view(schedule)


@router.delete("/schedules/{schedule_id}", dependencies=[OPERATOR])
def delete_schedule(schedule_id: ScheduleId, session: Writing, now: Now, expected: IfMatch) -> Deleted:
    """Delete a schedule, and the job at its edges. The runs stay in the ledger."""
    schedule = service.lock(session, schedule_id)
    expected.check(schedule.version)
    service.delete(session, schedule, now)
    return Deleted()

"""Targets over JSON."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Request, Response, status
from sqlmodel import Session

from beffroi.core.access import Caller, Role
from beffroi.core.moments import zone_of
from beffroi.domains.workloads import service, targets, voices
from beffroi.domains.workloads.hours import hours
from beffroi.domains.workloads.models import WorkloadTarget
from beffroi.domains.workloads.shapes import Created, ExplainView, explain_view
from beffroi.domains.workloads.target_shapes import (
    TargetSpec,
    TargetView,
    spec_of,
    target_view,
)
from beffroi.domains.workloads.targets import TargetFilter
from beffroi.web.access import OPERATOR, VIEWER, Known
from beffroi.web.context import Context
from beffroi.web.deps import Ctx, IfMatch, Limit, Now, Reading, Writing, etag, moment_in_zone
from beffroi.web.errors import PROBLEMS
from beffroi.web.paging import page
from beffroi.web.patch import Deleted, merged

router = APIRouter(tags=["targets"], responses=PROBLEMS, dependencies=[VIEWER])

TargetId = Annotated[int, Path(ge=1, le=2**31 - 1)]


@router.get("/targets")
def list_targets(
    request: Request,
    response: Response,
    session: Reading,
    context: Ctx,
    caller: Known,
    now: Now,
    name: Annotated[str | None, Query(max_length=200, description="Part of the name.")] = None,
    trouble: Annotated[bool | None, Query(description="Whether it is in trouble.")] = None,
    after: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
    limit: Limit = 1000,
) -> Sequence[TargetView]:
    """List targets in order of their ids: what is wanted, what was found, what was done."""
    found = targets.list_targets(session, TargetFilter(name, trouble), after, limit + 1)
    rows = page(request, response, found, limit, [target.id for target in found])
    return views(session, rows, caller, context, now)


@router.post("/targets", dependencies=[OPERATOR], status_code=status.HTTP_201_CREATED)
def create_target(body: TargetSpec, response: Response, session: Writing, context: Ctx, now: Now) -> Created:
    """Create a target. Nothing is done to it until a schedule names it."""
    target = targets.create(session, body, context.resync, now)
    response.headers["Location"] = f"/targets/{target.id}"
    response.headers["ETag"] = etag(target.version)
    return Created(id=target.id or 0)


@router.get("/targets/explain")
def explain_target(
    session: Reading,
    context: Ctx,
    now: Now,
    target: Annotated[str, Query(min_length=1, max_length=200, description="Its name.")],
    at: Annotated[datetime | None, Query(description="The moment; now when not said.")] = None,
) -> ExplainView:
    """Say what is wanted of a target at a moment, who says so, who is overruled, and what comes next."""
    number = targets.named(session, target).id or 0
    moment = moment_in_zone("at", at, context.zone) or now
    return explain_view(voices.of_targets(session, [number])[number].explain(moment), context.zone)


@router.get("/targets/{target_id:int}")
def read_target(
    target_id: TargetId, response: Response, session: Reading, context: Ctx, caller: Known, now: Now
) -> TargetView:
    """Read a target."""
    target = targets.get(session, target_id)
    response.headers["ETag"] = etag(target.version)
    return views(session, [target], caller, context, now)[0]


@router.put("/targets/{target_id:int}", dependencies=[OPERATOR])
def replace_target(
    target_id: TargetId,
    body: TargetSpec,
    response: Response,
    session: Writing,
    context: Ctx,
    caller: Known,
    now: Now,
    expected: IfMatch,
) -> TargetView:
    """Replace a target."""
    target = targets.lock(session, target_id)
    expected.check(target.version)
    service.refuse_foreign(session, target)
    targets.replace(session, target, body, now)
    response.headers["ETag"] = etag(target.version)
    return views(session, [target], caller, context, now)[0]


@router.patch("/targets/{target_id:int}", dependencies=[OPERATOR])
def change_target(
    target_id: TargetId,
    changes: Annotated[dict[str, Any], Body(examples=[{"dry_run": True}])],
    response: Response,
    session: Writing,
    context: Ctx,
    caller: Known,
    now: Now,
    expected: IfMatch,
) -> TargetView:
    """Change parts of a target (JSON Merge Patch, RFC 7396)."""
    target = targets.lock(session, target_id)
    expected.check(target.version)
    service.refuse_foreign(session, target)
    targets.replace(session, target, merged(TargetSpec, spec_of(target), changes), now)
    response.headers["ETag"] = etag(target.version)
    return views(session, [target], caller, context, now)[0]


@router.delete("/targets/{target_id:int}", dependencies=[OPERATOR])
def delete_target(target_id: TargetId, session: Writing, now: Now, expected: IfMatch) -> Deleted:
    """Delete a target that no schedule names and that is not down by us."""
    target = targets.lock(session, target_id)
    expected.check(target.version)
    service.refuse_foreign(session, target)
    targets.delete(session, target, now)
    return Deleted()


def views(
    session: Session, found: Sequence[WorkloadTarget], caller: Caller, context: Context, now: datetime
) -> Sequence[TargetView]:
    """Shape targets, with their hours since the month began in the default zone."""
    ids = [target.id or 0 for target in found]
    lived = targets.stretches_of(session, ids, month_of(now, context.zone), now)
    named = targets.schedules_of(session, ids)
    shows_headers = caller.role.includes(Role.OPERATOR)
    return [
        target_view(
            target,
            hours(lived[target.id or 0]),
            named.get(target.id or 0, []),
            context.zone,
            shows_headers=shows_headers,
        )
        for target in found
    ]


def month_of(now: datetime, zone: str) -> datetime:
    """Return when the present month began in a zone."""
    return now.astimezone(zone_of(zone)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)

"""Pages of the targets: the table, the form, one target with its past and future."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from sqlalchemy import and_, func
from sqlmodel import Session, col, select
from starlette.responses import Response

from beffroi.core.access import Role
from beffroi.domains.workloads import forms, service, targets, voices
from beffroi.domains.workloads.calendar import Stripe, strip
from beffroi.domains.workloads.hours import Stretch, hours
from beffroi.domains.workloads.models import WorkloadOverride, WorkloadSchedule, WorkloadTarget
from beffroi.domains.workloads.pages import AHEAD, BACK, moment_asked_for
from beffroi.domains.workloads.target_shapes import workload_of
from beffroi.domains.workloads.targets import TargetFilter
from beffroi.domains.workloads.targets_api import TargetId, month_of
from beffroi.engine.models import IS_FAILING, Job
from beffroi.web.access import OPERATOR, VIEWER
from beffroi.web.concerns import Concern, Concerns
from beffroi.web.context import context_of
from beffroi.web.deps import Ctx, Now, Reading, Writing
from beffroi.web.forms import Errors, Fields, refused_as, version_seen
from beffroi.web.frame import see_other
from beffroi.web.paging import links
from beffroi.web.secrets import without_headers
from beffroi.web.viewer import current
from beffroi.web.words import mark as _
from beffroi.web.words import ngettext

router = APIRouter(prefix="/ui", tags=["targets"], include_in_schema=False, dependencies=[VIEWER])

PAGE = 50
NEW: Mapping[str, str] = {"kind": "kubernetes", "dry_run": "on"}


@router.get("/targets")
def targets_page(
    request: Request,
    context: Ctx,
    after: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
    trouble: bool = False,
) -> Response:
    """The table of targets, or of those in trouble."""

    def shown(session: Session) -> dict[str, Any]:
        now = current().now
        found = targets.list_targets(session, TargetFilter(in_trouble=trouble or None), after, PAGE + 1)
        rows = found[:PAGE]
        ids = [each.id or 0 for each in rows]
        lived = targets.stretches_of(session, ids, month_of(now, context.zone), now)
        heard = voices.of_targets(session, ids, now)
        return {
            "rows": [
                {
                    "target": each,
                    "hours": hours(lived[each.id or 0]),
                    "verdict": heard[each.id or 0].at(now),
                }
                for each in rows
            ],
            "in_trouble": trouble,
            **links(request, after, rows[-1].id if len(found) > PAGE else None),
        }

    return context.frame.page(request, "workloads/targets.html", shown)


@router.get("/targets/new", dependencies=[OPERATOR])
def new_target_page(request: Request) -> Response:
    """The form of a new target; the first time it only says what it would do."""
    return _form(request, None, NEW, {})


@router.post("/targets", name="create_target", dependencies=[OPERATOR])
def create_target(request: Request, fields: Fields, session: Writing, context: Ctx, now: Now) -> Response:
    """Make the target that the form describes."""
    with refused_as(lambda found, status: _form(request, None, fields, found, status)):
        target = targets.create(session, forms.target_of_form(fields), context.resync, now)
    return see_other(f"/ui/targets/{target.id}", _("The target is made; a schedule says when it is up."))


@router.get("/targets/{target_id}")
def target_page(
    request: Request, target_id: TargetId, context: Ctx, at: Annotated[str, Query(max_length=25)] = ""
) -> Response:
    """One target."""
    return context.frame.page(
        request, "workloads/target.html", lambda session: _target(session, target_id, at, context.zone)
    )


@router.get("/targets/{target_id}/change", dependencies=[OPERATOR])
def change_target_page(request: Request, target_id: TargetId, session: Reading) -> Response:
    """The form of a target as it is."""
    target = targets.get(session, target_id)
    return _form(request, target_id, {**forms.fields_of_target(target), "version": str(target.version)}, {})


@router.post("/targets/{target_id}", name="change_target", dependencies=[OPERATOR])
def change_target(
    request: Request, target_id: TargetId, fields: Fields, session: Writing, now: Now
) -> Response:
    """Change a target."""
    target = targets.lock(session, target_id)
    with refused_as(lambda found, status: _form(request, target_id, fields, found, status)):
        service.refuse_foreign(session, target)
        version_seen(fields).check(target.version)
        spec = forms.target_of_form(fields)
        targets.replace(session, target, forms.with_what_no_form_shows(spec, target), now)
    return see_other(f"/ui/targets/{target_id}", _("The target is changed."))


@router.get("/targets/{target_id}/delete", dependencies=[OPERATOR])
def ask_delete_target(request: Request, target_id: TargetId, session: Reading) -> Response:
    """Ask whether a target is really to be deleted."""
    return _ask(request, targets.get(session, target_id), {})


@router.post("/targets/{target_id}/delete", name="delete_target", dependencies=[OPERATOR])
def delete_target(request: Request, target_id: TargetId, session: Writing, now: Now) -> Response:
    """Delete a target."""
    target = targets.lock(session, target_id)
    with refused_as(lambda found, status: _ask(request, target, found, status)):
        service.refuse_foreign(session, target)
        targets.delete(session, target, now)
    return see_other("/ui/targets", _("The target is deleted."))


def _target(session: Session, target_id: int, at: str, zone: str) -> dict[str, Any]:
    viewer = current()
    now = viewer.now
    target = targets.get(session, target_id)
    heard = voices.of_targets(session, [target_id])[target_id]
    moment, wrong = moment_asked_for(at, viewer.zone_name)
    query = select(WorkloadSchedule).where(col(WorkloadSchedule.target_id) == target_id)
    schedules = session.exec(query.order_by(col(WorkloadSchedule.id))).all()
    said = select(WorkloadOverride).where(
        col(WorkloadOverride.schedule_id).in_([each.id for each in schedules])
    )
    seen = targets.stretches_of(session, [target_id], now - BACK, now)[target_id]
    lived = targets.stretches_of(session, [target_id], month_of(now, zone), now)[target_id]
    may_see = viewer.caller is not None and viewer.caller.role.includes(Role.OPERATOR)
    workload = workload_of(target)
    return {
        "target": target,
        "is_foreign": service.is_foreign(session, target),
        "workload": workload if may_see else without_headers(workload),
        "explained": heard.explain(moment or now),
        "at": at,
        "wrong": wrong,
        "stripes": strip(heard, now - BACK, now + AHEAD),
        "found_stripes": _stripes(seen, BACK),
        "now_at": 1000 * BACK / (BACK + AHEAD),
        "hours": hours(lived),
        "schedules": schedules,
        "speaker": next((each.id for each in schedules if each.active), None),
        "overrides": session.exec(said.order_by(col(WorkloadOverride.id).desc()).limit(20)).all(),
    }


def watch(session: Session, most: int) -> Concerns | None:
    """Say which targets are in trouble, but for those whose job is failing: they are told of already."""
    is_told = and_(col(Job.id) == col(WorkloadTarget.job_id), IS_FAILING)
    alone = and_(col(WorkloadTarget.trouble).is_not(None), ~select(Job).where(is_told).exists())
    count = session.scalar(select(func.count()).select_from(WorkloadTarget).where(alone)) or 0
    if not count:
        return None
    first = session.scalars(
        select(WorkloadTarget).where(alone).order_by(col(WorkloadTarget.name)).limit(most)
    )
    words = ngettext("%(num)d target in trouble", "%(num)d targets in trouble", count) % {"num": count}
    told = [Concern(each.name, f"/ui/targets/{each.id}", each.trouble or "") for each in first]
    return Concerns(words, "/ui/targets?trouble=true", count, told)


def _stripes(found: Sequence[Stretch], whole: timedelta) -> list[Stripe]:
    start = found[0].since
    return [
        Stripe(
            round((each.since - start) / whole * 1000, 2),
            round((each.until - each.since) / whole * 1000, 2),
            each.observed,
            each.since,
            each.until,
        )
        for each in found
    ]


def _form(
    request: Request,
    target_id: int | None,
    fields: Mapping[str, str],
    found: Errors,
    status: HTTPStatus = HTTPStatus.OK,
) -> Response:
    shown = {"id": target_id, "fields": fields, "found": found}
    return context_of(request).frame.show(request, "workloads/target_form.html", shown, status)


def _ask(
    request: Request, target: WorkloadTarget, found: Errors, status: HTTPStatus = HTTPStatus.OK
) -> Response:
    shown = {
        "id": target.id,
        "name": target.name,
        "verb": "delete_target",
        "found": found,
        "fields": {},
        "back": f"/ui/targets/{target.id}",
    }
    return context_of(request).frame.show(request, "workloads/act.html", shown, status)

"""Pages of the jobs: the table, the form, one job with its past and future, and what can be done to it."""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from sqlmodel import Session
from starlette.responses import Response

from beffroi.core.durations import parse_duration
from beffroi.core.errors import InvalidError
from beffroi.core.moments import in_utc
from beffroi.domains.jobs import forms, listing, service, wording
from beffroi.domains.jobs.action import installed_entry_points
from beffroi.domains.jobs.api import JobId
from beffroi.domains.jobs.listing import Sort
from beffroi.domains.jobs.occurrences import meaning_of, of_job
from beffroi.domains.jobs.service import JobFilter
from beffroi.domains.jobs.shapes import JobSpec, spec_of
from beffroi.engine import jobs as engine
from beffroi.engine.models import Health, Job, JobState
from beffroi.web.access import OPERATOR, VIEWER
from beffroi.web.context import Context, context_of
from beffroi.web.deps import RECORDED, Ctx, Now, Reading, Writing
from beffroi.web.drawing import history, sparkline
from beffroi.web.forms import Errors, Fields, refused_as, version_seen
from beffroi.web.frame import MenuItem, see_other
from beffroi.web.paging import links
from beffroi.web.patch import merged
from beffroi.web.search import Hit
from beffroi.web.viewer import made_for, viewer_of
from beffroi.web.words import mark as _

router = APIRouter(prefix="/ui", tags=["jobs"], include_in_schema=False, dependencies=[VIEWER])

MENU = MenuItem(_("Jobs"), "/ui/jobs")
Verb = Literal["pause", "resume", "run", "skip", "delete"]
PAGE = 50
HISTORY = 60
NEW: Mapping[str, str] = {"trigger": "cron", "action": "http"}


def find(session: Session, text: str, most: int) -> list[Hit]:
    """Find jobs by a part of their name."""
    found, _cursor = listing.page_of_jobs(session, JobFilter(name=text), Sort.NAME, None, most)
    return [
        Hit(_("job"), job.name, f"/ui/jobs/{job.id}", wording.stored_in_words(job.trigger)) for job in found
    ]


@router.get("/jobs")
def jobs_page(
    request: Request,
    context: Ctx,
    name: Annotated[str | None, Query(max_length=200)] = None,
    state: Annotated[str, Query(max_length=20)] = "",
    sort: Sort = Sort.NAME,
    after: Annotated[str | None, Query(max_length=300)] = None,
) -> Response:
    """The table of jobs."""
    wanted = JobFilter(
        name=name or None,
        state=JobState(state) if state in list(JobState) else None,
        health=Health.FAILING if state == Health.FAILING else None,
    )

    def shown(session: Session) -> dict[str, Any]:
        found, following = listing.page_of_jobs(session, wanted, sort, after, PAGE)
        rows = [
            {
                "job": row.job,
                "when": wording.stored_in_words(row.job.trigger),
                "spark": sparkline(row.last, listing.LAST),
                "last": row.last[-1] if row.last else None,
            }
            for row in listing.with_runs(session, found)
        ]
        return {
            "rows": rows,
            "counts": listing.counts(session),
            "sort": sort,
            "state": state,
            "name": name or "",
            **links(request, after, following),
        }

    return context.frame.page(request, "jobs/list.html", shown)


@router.get("/jobs/new", dependencies=[OPERATOR])
def new_job_page(request: Request, copy: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None) -> Response:
    """The form of a new job, empty or filled in like another one."""
    if copy is None:
        return _form(request, {**NEW, "trigger.cron.zone": viewer_of(request).zone_name}, {})
    with context_of(request).database.read() as session:
        spec = service.present_spec(service.get(session, copy))
    return _form(request, forms.fields_of({**spec, "name": f"{spec['name']} (2)"}), {})


@router.post("/jobs", name="create_job", dependencies=[OPERATOR])
def create_job(request: Request, fields: Fields, session: Writing, context: Ctx, now: Now) -> Response:
    """Make the job that the form describes."""
    with refused_as(lambda found, status: _form(request, fields, found, status)):
        spec = forms.spec_of_form(fields, viewer_of(request).zone_name)
        job = service.create(session, spec, context.commands, service.OWNER_API, now)
    return see_other(f"/ui/jobs/{job.id}", _("The job is made."))


@router.post("/jobs/preview", dependencies=[OPERATOR])
def preview_job(request: Request, fields: Fields) -> Response:
    """Show in words and moments what a form means as it is."""
    return _form(request, fields, {}, preview=_preview(request, fields))


@router.post("/jobs/try", name="try_action", dependencies=[OPERATOR, RECORDED])
def try_action(request: Request, fields: Fields, context: Ctx) -> Response:
    """Call the action of a form once, beside all jobs."""
    spec = {"name": "try", "trigger": {"kind": "interval", "every": "1h"}}
    with refused_as(lambda found, status: _form(request, fields, found, tried={"errors": found})):
        given = forms.parts_of_form({**fields, "trigger": "interval"}, "UTC")
        action = merged(JobSpec, {}, {**spec, "action": given.get("action", {})}).action
        service.check_action(JobSpec.model_validate({**spec, "action": action}), context.commands)
        seconds = _patience(fields)
        future = context.machine.try_once(action.kind, action.model_dump_json(), "try", seconds)
    return _form(request, fields, {}, tried={"outcome": future.result(seconds + 5)})


@router.get("/jobs/{job_id}")
def job_page(request: Request, job_id: JobId, context: Ctx) -> Response:
    """One job."""
    return context.frame.page(request, "jobs/job.html", lambda session: _job(session, job_id, context))


@router.post("/jobs/{job_id}", name="change_job", dependencies=[OPERATOR])
def change_job(
    request: Request, job_id: JobId, fields: Fields, session: Writing, context: Ctx, now: Now
) -> Response:
    """Change one section of a job's definition."""
    job = service.lock(session, job_id)
    with refused_as(lambda found, status: _refused_change(request, job_id, fields, found, status)):
        version_seen(fields).check(job.version)
        changes = forms.parts_of_form(fields, viewer_of(request).zone_name)
        spec = merged(JobSpec, {}, {**service.present_spec(job), **changes})
        service.replace(session, job, spec, context.commands, now)
    return see_other(f"/ui/jobs/{job_id}", _("The job is changed."))


@router.get("/jobs/{job_id}/{verb}", dependencies=[OPERATOR])
def ask_page(
    request: Request, job_id: JobId, verb: Verb, session: Reading, at: datetime | None = None
) -> Response:
    """Ask whether something is really to be done; a script shows it as a dialog."""
    return _act(request, service.get(session, job_id), verb, at=at)


@router.post("/jobs/{job_id}/pause", name="pause_job", dependencies=[OPERATOR])
def pause_job(request: Request, job_id: JobId, fields: Fields, session: Writing, now: Now) -> Response:
    """Pause a job, until a moment or until somebody resumes it."""
    job = service.lock(session, job_id)
    with refused_as(lambda found, status: _act(request, job, "pause", found, fields, status)):
        service.refuse_foreign(job)
        until = _moment("until", fields.get("until"), viewer_of(request).zone_name)
        note = fields.get("note", "").strip()[:2000] or None
        engine.pause(session, job, until, note, now)
    return see_other(f"/ui/jobs/{job_id}", _("The job is paused."))


@router.post("/jobs/{job_id}/resume", name="resume_job", dependencies=[OPERATOR])
def resume_job(request: Request, job_id: JobId, session: Writing, now: Now) -> Response:
    """Resume a paused job from now on."""
    job = service.lock(session, job_id)
    with refused_as(lambda found, status: _act(request, job, "resume", found, status=status)):
        service.refuse_foreign(job)
        engine.resume(session, job, now)
    return see_other(f"/ui/jobs/{job_id}", _("The job goes on."))


@router.post("/jobs/{job_id}/run", name="run_job", dependencies=[OPERATOR])
def run_job(request: Request, job_id: JobId, session: Writing, now: Now) -> Response:
    """Run a job now, beside its schedule."""
    job = service.lock(session, job_id)
    with refused_as(lambda found, status: _act(request, job, "run", found, status=status)):
        run_id = engine.run_now(session, job, now)
    return see_other(f"/ui/runs/{run_id}", _("The run is under way."))


@router.post("/jobs/{job_id}/skip", name="skip_occurrence", dependencies=[OPERATOR])
def skip_occurrence(request: Request, job_id: JobId, fields: Fields, session: Writing, now: Now) -> Response:
    """Leave out one occurrence to come."""
    job = service.lock(session, job_id)
    with refused_as(lambda found, status: _act(request, job, "skip", found, status=status)):
        service.refuse_foreign(job)
        at = _moment("at", fields.get("at"), "UTC")
        engine.skip(session, job, at, now)
    return see_other(f"/ui/jobs/{job_id}", _("The occurrence is left out."))


@router.post("/jobs/{job_id}/delete", name="delete_job", dependencies=[OPERATOR])
def delete_job(request: Request, job_id: JobId, session: Writing, now: Now) -> Response:
    """Delete a job. Its runs stay in the ledger."""
    job = service.lock(session, job_id)
    with refused_as(lambda found, status: _act(request, job, "delete", found, status=status)):
        service.delete(session, job, now)
    return see_other("/ui/jobs", _("The job is deleted; its runs stay in the ledger."))


def _job(session: Session, job_id: int, context: Context) -> dict[str, Any]:
    job = service.get(session, job_id)
    now = context.clock.now()
    last = listing.last_runs(session, [job_id], HISTORY)[job_id]
    return {
        "job": job,
        "when": wording.stored_in_words(job.trigger),
        "what": wording.action_in_words(job.action),
        "is_ours": job.owner in service.OUR_OWNERS,
        "occurrences": of_job(job, now),
        "history": history(last),
        "last": last[::-1][:10],
        "fields": _present_fields(job),
        "found": {},
        **_choices(context),
    }


def _present_fields(job: Job) -> dict[str, str]:
    try:
        return forms.fields_of(spec_of(job))
    except ValueError:
        return {}


def _refused_change(
    request: Request, job_id: int, fields: Mapping[str, str], found: Errors, status: HTTPStatus
) -> Response:
    """The job's page again, with what was typed and what is wrong with it."""
    context = context_of(request)
    with context.database.read() as session, made_for(viewer_of(request)):
        shown = _job(session, job_id, context)
    # Only the section that was sent: a field of it that is missing was left empty.
    section = fields.get("section", "")
    kept = {name: text for name, text in shown["fields"].items() if not name.startswith(f"{section}.")}
    shown |= {"fields": {**kept, **fields}, "found": found}
    return context.frame.show(request, "jobs/job.html", shown, status)


def _form(
    request: Request,
    fields: Mapping[str, str],
    found: Errors,
    status: HTTPStatus = HTTPStatus.OK,
    preview: Mapping[str, Any] | None = None,
    tried: Mapping[str, Any] | None = None,
) -> Response:
    context = context_of(request)
    shown = {
        "fields": fields,
        "found": found,
        "preview": preview or _preview(request, fields),
        "tried": tried,
        **_choices(context),
    }
    return context.frame.show(request, "jobs/new.html", shown, status)


def _choices(context: Context) -> dict[str, Any]:
    return {
        "commands": sorted(context.commands),
        "entry_points": installed_entry_points(),
        "defaults": forms.defaults(),
    }


def _preview(request: Request, fields: Mapping[str, str]) -> dict[str, Any]:
    """Say what the trigger of a form means, or what is wrong with it."""
    viewer = viewer_of(request)
    given = forms.parts_of_form({**fields, "name": "x"}, viewer.zone_name)
    if len(given.get("trigger", {})) < 2:
        return {"meaning": None, "error": None}
    try:
        action = {"kind": "http", "url": "http://x"}
        spec = merged(JobSpec, {}, {"name": "x", "trigger": given["trigger"], "action": action})
    except RequestValidationError as error:
        first = error.errors()[0]
        is_begun = first["type"] != "missing"
        return {
            "meaning": None,
            "error": str(first["msg"]).removeprefix("Value error, ") if is_begun else None,
        }
    with made_for(viewer):
        return {"meaning": meaning_of(spec.trigger, viewer.now), "error": None}


def _act(
    request: Request,
    job: Job,
    verb: Verb,
    found: Errors | None = None,
    fields: Mapping[str, str] | None = None,
    status: HTTPStatus = HTTPStatus.OK,
    at: datetime | None = None,
) -> Response:
    """The page that asks whether a thing is really to be done; a script shows it as a dialog."""
    shown = {
        "id": job.id,
        "name": job.name,
        "verb": verb,
        "found": found or {},
        "fields": fields or {},
        "at": at,
    }
    return context_of(request).frame.show(request, "jobs/act.html", shown, status)


def _moment(field: str, text: str | None, zone: str) -> datetime | None:
    if not text:
        return None
    try:
        return in_utc(datetime.fromisoformat(text), zone)
    except ValueError as error:
        raise InvalidError(field, str(error)) from None


def _patience(fields: Mapping[str, str]) -> float:
    """Return how long a try may take: the action's own limit, but nobody waits longer than half a minute."""
    try:
        return min(30.0, parse_duration(fields.get("action.http.timeout") or "30s").total_seconds())
    except ValueError:
        return 30.0

"""Pages of the schedules: the week, the list, the form, one schedule, and what is said by hand."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Literal, NamedTuple

from babel.dates import format_date
from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from sqlmodel import Session
from starlette.responses import Response

from beffroi.core.errors import BeffroiError, InvalidError
from beffroi.core.moments import in_utc
from beffroi.core.triggers.edges import Edges
from beffroi.domains.workloads import forms, overrides, service, targets, voices
from beffroi.domains.workloads.api import OverrideId, ScheduleId
from beffroi.domains.workloads.calendar import Shown, strip, week_of, windows_between
from beffroi.domains.workloads.models import Status, WorkloadSchedule
from beffroi.domains.workloads.overrides import Said
from beffroi.domains.workloads.rules import Wanted
from beffroi.domains.workloads.service import ScheduleFilter
from beffroi.domains.workloads.targets import TargetFilter
from beffroi.domains.workloads.windows import window_of
from beffroi.web.access import OPERATOR, VIEWER, Known
from beffroi.web.context import Context, context_of
from beffroi.web.deps import Ctx, Now, Reading, Writing
from beffroi.web.forms import Errors, Fields, refused_as, version_seen
from beffroi.web.frame import MenuItem, see_other
from beffroi.web.paging import links
from beffroi.web.search import Hit
from beffroi.web.viewer import current, made_for, viewer_of
from beffroi.web.words import mark as _

router = APIRouter(prefix="/ui", tags=["schedules"], include_in_schema=False, dependencies=[VIEWER])

MENU = MenuItem(_("Schedules"), "/ui/schedules", also="/ui/targets")
PAGE = 50
MOST_SHOWN = 500
"""Schedules that a calendar shows; more would not be seen."""

AHEAD, BACK = timedelta(days=5), timedelta(days=2)
Verb = Literal["override", "delete"]
FIRST_YEAR, LAST_YEAR = 1970, 2999


class _Asked(NamedTuple):
    """What a question about a schedule shows of it; it outlives the session, which a refusal ends."""

    id: int | None
    name: str
    back: str

    @classmethod
    def of(cls, schedule: WorkloadSchedule) -> "_Asked":
        return cls(schedule.id, schedule.name, _back(schedule))


def find(session: Session, text: str, most: int) -> list[Hit]:
    """Find schedules and targets by a part of their name."""
    schedules = service.list_schedules(session, ScheduleFilter(name=text), None, most)
    found = [Hit(_("schedule"), each.name, f"/ui/schedules/{each.id}", each.status) for each in schedules]
    things = targets.list_targets(session, TargetFilter(text), None, most)
    return [
        *found,
        *(Hit(_("target"), each.name, f"/ui/targets/{each.id}", each.why or "") for each in things),
    ]


@router.get("/schedules")
def calendar_page(
    request: Request,
    context: Ctx,
    week: Annotated[
        str | None, Query(max_length=20, description="A day in it; another text means today.")
    ] = None,
) -> Response:
    """The week, with a block for each window."""
    day = _day(week, viewer_of(request).now.astimezone(viewer_of(request).zone).date())
    return context.frame.page(request, "workloads/calendar.html", lambda session: _calendar(session, day))


@router.get("/schedules/list")
def schedules_page(
    request: Request,
    context: Ctx,
    name: Annotated[str | None, Query(max_length=200)] = None,
    status: Annotated[str, Query(max_length=20)] = "",
    after: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
) -> Response:
    """The table of schedules."""
    wanted = ScheduleFilter(name or None, Status(status) if status in list(Status) else None)

    def shown(session: Session) -> dict[str, Any]:
        found = service.list_schedules(session, wanted, after, PAGE + 1)
        rows = found[:PAGE]
        following = str(rows[-1].id) if len(found) > PAGE else None
        named = targets.by_ids(session, [each.target_id for each in rows])
        return {
            "rows": [(each, named.get(each.target_id)) for each in rows],
            "name": name or "",
            "status": status,
            **links(request, None if after is None else str(after), following),
        }

    return context.frame.page(request, "workloads/list.html", shown)


@router.get("/schedules/new", dependencies=[OPERATOR])
def new_schedule_page(
    request: Request,
    start: Annotated[str, Query(max_length=16)] = "",
    end: Annotated[str, Query(max_length=16)] = "",
    target: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """The form of a new schedule, filled in with what was drawn on the calendar."""
    fields = {
        "start_time": start,
        "end_time": end,
        "target": target,
        "timezone": viewer_of(request).zone_name,
        "repeat": forms.WEEKLY if start else forms.WORKDAYS,
        "active": "on",
    }
    return _form(request, None, fields, {})


@router.post("/schedules", name="create_schedule", dependencies=[OPERATOR])
def create_schedule(request: Request, fields: Fields, session: Writing, context: Ctx, now: Now) -> Response:
    """Make the schedule that the form describes."""
    with refused_as(lambda found, status: _form(request, None, fields, found, status)):
        body = forms.schedule_of_form(fields, viewer_of(request).zone_name)
        schedule = service.create(session, body, context.zone, now)
    return see_other(f"/ui/schedules/{schedule.id}", _("The schedule is made."))


@router.post("/schedules/preview", dependencies=[OPERATOR])
def preview_schedule(request: Request, fields: Fields) -> Response:
    """Show the windows that a form means as it is."""
    return _form(request, None, fields, {})


@router.get("/schedules/{schedule_id}")
def schedule_page(
    request: Request,
    schedule_id: ScheduleId,
    context: Ctx,
    at: Annotated[str, Query(max_length=25)] = "",
) -> Response:
    """One schedule."""
    return context.frame.page(
        request, "workloads/schedule.html", lambda session: _schedule(session, schedule_id, at)
    )


@router.post("/schedules/{schedule_id}", name="change_schedule", dependencies=[OPERATOR])
def change_schedule(
    request: Request, schedule_id: ScheduleId, fields: Fields, session: Writing, context: Ctx, now: Now
) -> Response:
    """Change a schedule."""
    schedule = service.lock(session, schedule_id)
    with refused_as(lambda found, status: _form(request, schedule_id, fields, found, status)):
        service.refuse_foreign(session, schedule)
        version_seen(fields).check(schedule.version)
        body = forms.schedule_of_form(fields, schedule.timezone)
        service.replace(session, schedule, body, context.zone, now)
    return see_other(f"/ui/schedules/{schedule_id}", _("The schedule is changed."))


@router.get("/schedules/{schedule_id}/change", dependencies=[OPERATOR])
def change_page(request: Request, schedule_id: ScheduleId, session: Reading) -> Response:
    """The form of a schedule as it is."""
    schedule = service.get(session, schedule_id)
    target = targets.by_ids(session, [schedule.target_id]).get(schedule.target_id)
    fields = {**forms.fields_of_schedule(schedule, target), "version": str(schedule.version)}
    return _form(request, schedule_id, fields, {})


@router.get("/schedules/{schedule_id}/{verb}", dependencies=[OPERATOR])
def ask_page(
    request: Request, schedule_id: ScheduleId, verb: Verb, session: Reading, wanted: Wanted = Wanted.UP
) -> Response:
    """Ask whether something is really to be done; a script shows it as a dialog."""
    asked = _Asked.of(service.get(session, schedule_id))
    return _act(request, asked, verb, fields={"wanted": wanted})


@router.post("/schedules/{schedule_id}/override", name="override_schedule", dependencies=[OPERATOR])
def override_schedule(
    request: Request, schedule_id: ScheduleId, fields: Fields, session: Writing, caller: Known, now: Now
) -> Response:
    """Say by hand what is wanted."""
    schedule = service.lock(session, schedule_id)
    asked = _Asked.of(schedule)
    with refused_as(lambda found, status: _act(request, asked, "override", found, fields, status)):
        wanted = fields.get("wanted", "")
        if wanted not in list(Wanted):
            raise InvalidError("wanted", "is one of up, down, leave")
        until = forms.moment_of("until", fields.get("until"), viewer_of(request).zone_name)
        note = fields.get("note", "").strip()[:2000] or None
        overrides.override(session, schedule, Said(Wanted(wanted), until, note), caller.name, now)
    return see_other(_back(schedule), _("It is said, and being done."))


@router.post(
    "/schedules/{schedule_id}/overrides/{override_id}", name="take_back_override", dependencies=[OPERATOR]
)
def take_back_override(
    request: Request, schedule_id: ScheduleId, override_id: OverrideId, session: Writing, now: Now
) -> Response:
    """End an override now."""
    schedule = service.lock(session, schedule_id)
    overrides.take_back(session, schedule, override_id, now)
    return see_other(_back(schedule), _("The override is over."))


@router.post("/schedules/{schedule_id}/delete", name="delete_schedule", dependencies=[OPERATOR])
def delete_schedule(request: Request, schedule_id: ScheduleId, session: Writing, now: Now) -> Response:
    """Delete a schedule."""
    schedule = service.lock(session, schedule_id)
    asked = _Asked.of(schedule)
    with refused_as(lambda found, status: _act(request, asked, "delete", found, status=status)):
        service.refuse_foreign(session, schedule)
        service.delete(session, schedule, now)
    return see_other("/ui/schedules", _("The schedule is deleted."))


def _back(schedule: WorkloadSchedule) -> str:
    return f"/ui/targets/{schedule.target_id}" if schedule.target_id else f"/ui/schedules/{schedule.id}"


def _day(text: str | None, today: date) -> date:
    try:
        day = date.fromisoformat(text) if text else today
    except ValueError:
        return today
    return day if FIRST_YEAR <= day.year <= LAST_YEAR else today


def _calendar(session: Session, day: date) -> dict[str, Any]:
    viewer = current()
    monday = day - timedelta(days=day.weekday())
    schedules = service.list_schedules(session, ScheduleFilter(), None, MOST_SHOWN)
    shown = [
        Shown(each.id or 0, each.name, edges, each.active)
        for each in schedules
        if (edges := _edges(each)) is not None
    ]
    now = viewer.now.astimezone(viewer.zone)
    days = [monday + timedelta(days=number) for number in range(7)]
    return {
        "monday": monday,
        "days": [format_date(each, "EEE d MMM", locale=viewer.locale) for each in days],
        "today": (now.date() - monday).days,
        "minute": now.hour * 60 + now.minute,
        "blocks": week_of(monday, viewer.zone, shown),
        "before": (monday - timedelta(days=7)).isoformat(),
        "after": (monday + timedelta(days=7)).isoformat(),
        "has_any": bool(schedules),
        "is_cut": len(schedules) == MOST_SHOWN,
    }


def _schedule(session: Session, schedule_id: int, at: str) -> dict[str, Any]:
    viewer = current()
    schedule = service.get(session, schedule_id)
    heard = voices.of_schedule(session, schedule)
    moment, wrong = moment_asked_for(at, viewer.zone_name)
    return {
        "schedule": schedule,
        "is_foreign": service.is_foreign(session, schedule),
        "target": targets.by_ids(session, [schedule.target_id]).get(schedule.target_id),
        "explained": heard.explain(moment or viewer.now),
        "at": at,
        "wrong": wrong,
        "stripes": strip(heard, viewer.now - BACK, viewer.now + AHEAD),
        "now_at": 1000 * BACK / (BACK + AHEAD),
        "overrides": overrides.list_overrides(session, schedule)[:20],
        "windows": _next_windows(schedule, viewer.now),
    }


def moment_asked_for(text: str, zone: str) -> tuple[datetime | None, str | None]:
    """Read the moment of an explanation; or say what is wrong with it."""
    try:
        return (in_utc(datetime.fromisoformat(text), zone) if text else None), None
    except ValueError:
        return None, _("is not a moment; write such as 2026-12-24T19:00")


def _edges(schedule: WorkloadSchedule) -> Edges | None:
    """Return the edges of a schedule; None when it has none that make sense: it says so itself."""
    if schedule.end_time <= schedule.start_time:
        return None
    try:
        return voices.edges_of(schedule)
    except InvalidError:
        return None


def _next_windows(
    schedule: WorkloadSchedule, now: datetime, most: int = 5
) -> Sequence[tuple[datetime, datetime]]:
    edges = _edges(schedule)
    found = windows_between(edges, now, now + timedelta(days=400)) if edges else ()
    return [window for window, _place in zip(found, range(most), strict=False)]


def _form(
    request: Request,
    schedule_id: int | None,
    fields: Mapping[str, str],
    found: Errors,
    status: HTTPStatus = HTTPStatus.OK,
) -> Response:
    context = context_of(request)
    with context.database.read() as session:
        names = [each.name for each in targets.list_targets(session, TargetFilter(), None, 1000)]
    shown = {
        "id": schedule_id,
        "fields": fields,
        "found": found,
        "names": names,
        "preview": _preview(request, context, fields),
    }
    return context.frame.show(request, "workloads/form.html", shown, status)


def _preview(request: Request, context: Context, fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the next windows that a form means, or what is wrong with it."""
    viewer = viewer_of(request)
    try:
        body = forms.schedule_of_form({**fields, "name": "x"}, viewer.zone_name)
        zone = body.timezone or context.zone
        start, end = in_utc(body.start_time, zone), in_utc(body.end_time, zone)
        if end <= start:
            return {"windows": [], "error": "end_time: must lie after start_time"}
        edges = window_of(start, end, body.recurrence, zone)
    except RequestValidationError:
        return {"windows": [], "error": None}  # not typed yet
    except BeffroiError as error:
        return {"windows": [], "error": error.message}
    except ValueError as error:
        return {"windows": [], "error": voices.reason_of(error).splitlines()[0]}
    since = max(viewer.now, start - timedelta(seconds=1))
    with made_for(viewer):
        found = list(zip(windows_between(edges, since, since + timedelta(days=400)), range(5), strict=False))
    return {"windows": [window for window, _place in found], "error": None}


def _act(
    request: Request,
    asked: _Asked,
    verb: Verb,
    found: Errors | None = None,
    fields: Mapping[str, str] | None = None,
    status: HTTPStatus = HTTPStatus.OK,
) -> Response:
    shown = {
        "id": asked.id,
        "name": asked.name,
        "verb": verb,
        "found": found or {},
        "fields": fields or {},
        "back": asked.back,
    }
    return context_of(request).frame.show(request, "workloads/act.html", shown, status)

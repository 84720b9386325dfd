"""Pages of the runs: the ledger as it grows, one run in full, and cancelling it."""

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from sqlmodel import Session
from starlette.responses import Response

from beffroi.core.outcomes import State
from beffroi.domains.jobs import service
from beffroi.domains.jobs.service import RunFilter
from beffroi.domains.jobs.shapes import run_view
from beffroi.engine.models import Job, Node, Run
from beffroi.web.access import OPERATOR, VIEWER
from beffroi.web.context import context_of
from beffroi.web.deps import Ctx, Now, Reading, Writing
from beffroi.web.forms import Errors, refused_as
from beffroi.web.frame import MenuItem, see_other
from beffroi.web.paging import links
from beffroi.web.search import Hit
from beffroi.web.words import mark as _

router = APIRouter(prefix="/ui", tags=["runs"], include_in_schema=False, dependencies=[VIEWER])

MENU = MenuItem(_("Runs"), "/ui/runs")
PAGE = 50
SHORTEST_PREFIX = 6


def find(session: Session, text: str, most: int) -> list[Hit]:
    """Find runs by the beginning of their id."""
    digits = text.lower().replace("-", "")
    if len(digits) < SHORTEST_PREFIX or len(digits) > 32 or set(digits) - set("0123456789abcdef"):
        return []
    low, high = str(UUID(digits.ljust(32, "0"))), str(UUID(digits.ljust(32, "f")))
    found = service.runs_between(session, low, high, most)
    return [Hit(_("run"), f"{name}, {run.state}", f"/ui/runs/{run.id}", run.id) for run, name in found]


@router.get("/runs")
def runs_page(
    request: Request,
    context: Ctx,
    job: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    state: Annotated[str, Query(max_length=20)] = "",
    after: UUID | None = None,
) -> Response:
    """The ledger, the newest first."""
    states = [State(state)] if state in list(State) else []

    def shown(session: Session) -> dict[str, Any]:
        wanted = RunFilter(job_id=job, states=states)
        found = service.list_runs(session, wanted, str(after) if after else None, PAGE + 1)
        following = found[PAGE - 1][0].id if len(found) > PAGE else None
        of_job = session.get(Job, job) if job is not None else None
        return {
            "rows": [run_view(run, name) for run, name in found[:PAGE]],
            "of_job": of_job,
            "job": job,
            "state": state,
            "states": [each.value for each in State],
            **links(request, after, following),
        }

    return context.frame.page(request, "jobs/runs.html", shown)


@router.get("/runs/{run_id}")
def run_page(request: Request, run_id: UUID, context: Ctx) -> Response:
    """One run: timing, attempts, answer, reason."""

    def shown(session: Session) -> dict[str, Any]:
        run, name = service.get_run(session, str(run_id))
        node = session.get(Node, run.node_id) if run.node_id else None
        job = session.get(Job, run.job_id)
        return {
            "run": run_view(run, name),
            "node": node,
            "is_open": run.state in (State.PLANNED, State.RUNNING),
            "job_is_there": job is not None and job.deleted_at is None,
        }

    return context.frame.page(request, "jobs/run.html", shown)


@router.get("/runs/{run_id}/cancel", dependencies=[OPERATOR])
def cancel_page(request: Request, run_id: UUID, session: Reading) -> Response:
    return _ask(request, *service.get_run(session, str(run_id)))


@router.post("/runs/{run_id}/cancel", name="cancel_run", dependencies=[OPERATOR])
def cancel_run(request: Request, run_id: UUID, session: Writing, context: Ctx, now: Now) -> Response:
    """Cancel a run: one that waits does not start, one that runs is stopped."""
    run, name = service.get_run(session, str(run_id))
    with refused_as(lambda found, status: _ask(request, run, name, found, status)):
        service.cancel(session, context.machine, run, now)
    return see_other(f"/ui/runs/{run_id}", _("The run is being cancelled."))


def _ask(
    request: Request,
    run: Run,
    name: str,
    found: Errors | None = None,
    status: HTTPStatus = HTTPStatus.OK,
) -> Response:
    shown = {"id": run.id, "name": name, "verb": "cancel", "found": found or {}, "fields": {}, "at": None}
    return context_of(request).frame.show(request, "jobs/act.html", shown, status)

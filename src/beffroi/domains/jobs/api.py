"""Jobs and runs over JSON."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query, Request, Response, status

from beffroi.core.access import Role
from beffroi.core.outcomes import State
from beffroi.domains.jobs import service
from beffroi.domains.jobs.service import JobFilter, RunFilter
from beffroi.domains.jobs.shapes import (
    UPCOMING,
    CancelAnswer,
    JobSpec,
    JobView,
    PauseRequest,
    RunAnswer,
    RunView,
    SkipAnswer,
    SkipRequest,
    Upcoming,
    job_view,
    run_view,
    upcoming,
)
from beffroi.engine import jobs as engine
from beffroi.engine.models import Health, Job, JobState
from beffroi.web.access import OPERATOR, VIEWER, Known
from beffroi.web.deps import Ctx, IfMatch, Limit, Now, Reading, Writing, etag, moment_in_zone
from beffroi.web.errors import PROBLEMS
from beffroi.web.paging import page
from beffroi.web.patch import Deleted, merged

router = APIRouter(tags=["jobs"], responses=PROBLEMS, dependencies=[VIEWER])
runs_router = APIRouter(tags=["runs"], responses=PROBLEMS, dependencies=[VIEWER])

JobId = Annotated[int, Path(ge=1, le=2**31 - 1)]


@router.get("/jobs")
def list_jobs(
    request: Request,
    response: Response,
    session: Reading,
    caller: Known,
    now: Now,
    name: Annotated[str | None, Query(max_length=200, description="Part of the name.")] = None,
    state: JobState | None = None,
    health: Health | None = None,
    owner: Annotated[
        str | None, Query(max_length=40, description="`api`, `file`, or the tool it belongs to.")
    ] = None,
    after: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
    limit: Limit = 100,
) -> Sequence[JobView]:
    """List jobs in order of their ids."""
    wanted = JobFilter(name, state, health, owner)
    found = service.list_jobs(session, wanted, after, limit + 1)
    rows = page(request, response, found, limit, [job.id for job in found])
    shows = caller.role.includes(Role.OPERATOR)
    return [job_view(job, now, shows_headers=shows) for job in rows]


@router.post("/jobs", dependencies=[OPERATOR], status_code=status.HTTP_201_CREATED)
def create_job(
    spec: JobSpec,
    response: Response,
    session: Writing,
    context: Ctx,
    now: Now,
    owner: Annotated[Literal["api", "file"], Query(description="`file`: made by `beffroi apply`.")] = "api",
) -> JobView:
    """Create a job. The answer shows its next occurrences."""
    job = service.create(session, spec, context.commands, owner, now)
    response.headers["Location"] = f"/jobs/{job.id}"
    return _tagged(response, job, now)


@router.get("/jobs/{job_id}")
def read_job(job_id: JobId, response: Response, session: Reading, caller: Known, now: Now) -> JobView:
    """Read a job. To a viewer the values of its headers are hidden."""
    job = service.get(session, job_id)
    response.headers["ETag"] = etag(job.version)
    return job_view(job, now, shows_headers=caller.role.includes(Role.OPERATOR))


@router.put("/jobs/{job_id}", dependencies=[OPERATOR])
def replace_job(
    job_id: JobId,
    spec: JobSpec,
    response: Response,
    session: Writing,
    context: Ctx,
    now: Now,
    expected: IfMatch,
) -> JobView:
    """Replace a job's definition. What was decided stays; what is to come follows the new one."""
    job = service.lock(session, job_id)
    expected.check(job.version)
    service.replace(session, job, spec, context.commands, now)
    return _tagged(response, job, now)


@router.patch("/jobs/{job_id}", dependencies=[OPERATOR])
def change_job(
    job_id: JobId,
    changes: Annotated[dict[str, Any], Body(examples=[{"trigger": {"every": "10s"}}])],
    response: Response,
    session: Writing,
    context: Ctx,
    now: Now,
    expected: IfMatch,
) -> JobView:
    """Change parts of a job's definition (JSON Merge Patch, RFC 7396)."""
    job = service.lock(session, job_id)
    expected.check(job.version)
    spec = merged(JobSpec, service.present_spec(job), changes)
    service.replace(session, job, spec, context.commands, now)
    return _tagged(response, job, now)


@router.delete("/jobs/{job_id}", dependencies=[OPERATOR])
def delete_job(job_id: JobId, session: Writing, now: Now, expected: IfMatch) -> Deleted:
    """Delete a job. Its runs stay in the ledger."""
    job = service.lock(session, job_id)
    expected.check(job.version)
    service.delete(session, job, now)
    return Deleted()


@router.post("/jobs/{job_id}/pause", dependencies=[OPERATOR])
def pause_job(
    job_id: JobId,
    response: Response,
    session: Writing,
    now: Now,
    expected: IfMatch,
    request: PauseRequest | None = None,
) -> JobView:
    """Pause a job, until a moment or until it is resumed. Its occurrences are `skipped`."""
    job = service.lock(session, job_id)
    expected.check(job.version)
    service.refuse_foreign(job)
    said = request or PauseRequest()
    engine.pause(session, job, said.until, said.note, now)
    return _tagged(response, job, now)


@router.post("/jobs/{job_id}/resume", dependencies=[OPERATOR])
def resume_job(job_id: JobId, response: Response, session: Writing, now: Now, expected: IfMatch) -> JobView:
    """Resume a paused job from now on."""
    job = service.lock(session, job_id)
    expected.check(job.version)
    service.refuse_foreign(job)
    engine.resume(session, job, now)
    return _tagged(response, job, now)


@router.post("/jobs/{job_id}/run", dependencies=[OPERATOR], status_code=status.HTTP_202_ACCEPTED)
def run_job(job_id: JobId, response: Response, session: Writing, now: Now) -> RunAnswer:
    """Run a job now, beside its schedule; also a paused one."""
    run_id = engine.run_now(session, service.lock(session, job_id), now)
    response.headers["Location"] = f"/runs/{run_id}"
    return RunAnswer(run_id=run_id)


@router.post("/jobs/{job_id}/skip", dependencies=[OPERATOR])
def skip_occurrence(
    job_id: JobId,
    response: Response,
    session: Writing,
    now: Now,
    expected: IfMatch,
    request: SkipRequest | None = None,
) -> SkipAnswer:
    """Leave out one occurrence to come: the next one, or the one named."""
    job = service.lock(session, job_id)
    expected.check(job.version)
    service.refuse_foreign(job)
    moment = engine.skip(session, job, (request or SkipRequest()).at, now)
    response.headers["ETag"] = etag(job.version)
    return SkipAnswer(skipped=moment, next=upcoming(job, UPCOMING, now))


@router.get("/jobs/{job_id}/next")
def next_occurrences(
    job_id: JobId,
    session: Reading,
    now: Now,
    n: Annotated[int, Query(ge=1, le=1000, description="How many.")] = 10,
) -> list[Upcoming]:
    """List the next occurrences of a job."""
    return upcoming(service.get(session, job_id), n, now)


@runs_router.get("/runs")
def list_runs(
    request: Request,
    response: Response,
    session: Reading,
    context: Ctx,
    job: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Of this job.")] = None,
    state: Annotated[list[State] | None, Query(description="In one of these states.")] = None,
    since: Annotated[datetime | None, Query(description="Scheduled at or after.")] = None,
    until: Annotated[datetime | None, Query(description="Scheduled before.")] = None,
    after: Annotated[UUID | None, Query(description="The id of the last run of the page before.")] = None,
    limit: Limit = 100,
) -> Sequence[RunView]:
    """List the ledger, the newest first."""
    zone = context.zone
    wanted = RunFilter(
        job, state or (), moment_in_zone("since", since, zone), moment_in_zone("until", until, zone)
    )
    found = service.list_runs(session, wanted, str(after) if after else None, limit + 1)
    rows = page(request, response, found, limit, [run.id for run, _ in found])
    return [run_view(run, name) for run, name in rows]


@runs_router.get("/runs/{run_id}")
def read_run(run_id: UUID, session: Reading) -> RunView:
    """Read one run: timing, outcome, reason, the tail of the answer, earlier attempts."""
    return run_view(*service.get_run(session, str(run_id)))


@runs_router.post("/runs/{run_id}/cancel", dependencies=[OPERATOR])
def cancel_run(run_id: UUID, session: Writing, context: Ctx, now: Now) -> CancelAnswer:
    """Cancel a run: one that waits does not start, one that runs is stopped."""
    run, _ = service.get_run(session, str(run_id))
    return CancelAnswer(status=service.cancel(session, context.machine, run, now))


def _tagged(response: Response, job: Job, now: datetime) -> JobView:
    response.headers["ETag"] = etag(job.version)
    return job_view(job, now)

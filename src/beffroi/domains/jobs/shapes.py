"""The JSON shapes of jobs and runs."""

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from beffroi.core.moments import Moment
from beffroi.core.outcomes import Reason, State
from beffroi.core.policies import Policy, read_policy
from beffroi.core.triggers import AnyTrigger, enumerate_moments, read_trigger
from beffroi.domains.jobs.action import Action
from beffroi.engine.jobs import id_of
from beffroi.engine.models import Health, Job, JobState, Origin, Run
from beffroi.engine.planner import read_skips
from beffroi.web.secrets import without_headers

UPCOMING = 5
"""How many occurrences to come an answer shows by itself."""

JobName = Annotated[
    str,
    Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$", description="Unique among the jobs."),
]

EXAMPLE: dict[str, JsonValue] = {
    "name": "warm the cache",
    "trigger": {"kind": "interval", "every": "5s"},
    "action": {"kind": "http", "url": "http://127.0.0.1:9000/warm", "method": "POST"},
    "policy": {"timeout": "1m", "overlap": "skip", "retries": {"max": 3, "first_delay": "1s"}},
}


class JobSpec(BaseModel):
    """What defines a job."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE]})

    name: JobName
    trigger: AnyTrigger
    action: Action
    policy: Policy = Policy()


class Upcoming(BaseModel):
    """A nominal moment to come. `skipped`: it was taken out by hand."""

    at: datetime
    skipped: bool = False


class JobView(BaseModel):
    """A job as it stands. A broken one shows its stored texts as they are."""

    id: int
    name: str
    owner: str
    trigger: Any
    action: Any
    policy: Any
    state: JobState
    health: Health
    note: Annotated[str | None, Field(description="The note of a pause, or why the job is broken.")]
    paused_until: datetime | None
    cursor: Annotated[datetime, Field(description="Everything up to here is in the ledger.")]
    next: Annotated[list[Upcoming], Field(description="The next occurrences.")]
    version: int
    created_at: datetime
    updated_at: datetime


class RunView(BaseModel):
    """A row of the ledger. `occurrences` above 1: a gap, up to `last_of_gap`, in one row."""

    id: str
    job_id: int
    job_name: str
    origin: Origin
    scheduled_for: datetime
    occurrences: int
    last_of_gap: datetime | None
    due_at: datetime
    state: State
    reason: Reason | None
    message: str | None
    attempt: int
    rescues: int
    started_at: datetime | None
    finished_at: datetime | None
    lateness_seconds: Annotated[float | None, Field(description="From due to started.")]
    duration_seconds: Annotated[float | None, Field(description="From started to finished.")]
    code: Annotated[int | None, Field(description="HTTP status or exit code.")]
    output: Annotated[str | None, Field(description="The tail of the answer or of the output.")]
    earlier_attempts: list[Any]
    node_id: str | None


class PauseRequest(BaseModel):
    """Until when, and why; both may be left out."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"note": "disk is being changed"}]}
    )

    until: Moment | None = None
    note: Annotated[str | None, Field(max_length=2000)] = None


class SkipRequest(BaseModel):
    """Which occurrence to leave out; the next one when not said."""

    model_config = ConfigDict(extra="forbid")

    at: Moment | None = None


class SkipAnswer(BaseModel):
    skipped: datetime
    next: list[Upcoming]


class CancelAnswer(BaseModel):
    """`cancelled`: it will not start. `cancelling`: it is being stopped."""

    status: Literal["cancelled", "cancelling"]


class RunAnswer(BaseModel):
    run_id: str


def job_view(job: Job, now: datetime, *, shows_headers: bool = True) -> JobView:
    """Shape a job, with its occurrences to come after `now`; headers may be hidden."""
    return JobView(
        id=id_of(job),
        name=job.name,
        owner=job.owner,
        trigger=_loaded(job.trigger),
        action=_loaded(job.action) if shows_headers else without_headers(_loaded(job.action)),
        policy=_loaded(job.policy),
        state=job.state,
        health=job.health,
        note=job.note,
        paused_until=job.paused_until,
        cursor=job.cursor,
        next=upcoming(job, UPCOMING, now),
        version=job.version,
        created_at=job.created_at,
        updated_at=job.updated_at,
    )


def upcoming(job: Job, most: int, now: datetime) -> list[Upcoming]:
    """Return the next occurrences of an active job, or of a paused one after its pause."""
    if job.state == JobState.ACTIVE:
        after = now
    elif job.state == JobState.PAUSED and job.paused_until is not None:
        after = job.paused_until
    else:
        return []
    skips = read_skips(job.skips)
    try:
        trigger = read_trigger(job.trigger)
    except ValueError:
        return []  # the planner will park it as broken when it comes to it
    return [Upcoming(at=at, skipped=at in skips) for at in enumerate_moments(trigger, after, most)]


def run_view(run: Run, job_name: str) -> RunView:
    """Shape a row of the ledger."""
    fields = run.model_dump(exclude={"token", "earlier"})
    return RunView(
        job_name=job_name,
        lateness_seconds=_seconds(run.due_at, run.started_at),
        duration_seconds=_seconds(run.started_at, run.finished_at),
        earlier_attempts=json.loads(run.earlier) if run.earlier else [],
        **fields,
    )


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    """Return the time between two moments; a clock that was set back does not make it negative."""
    return max((end - start).total_seconds(), 0.0) if start and end else None


def spec_of(job: Job) -> dict[str, Any]:
    """Return what defines a job, as it could be written in a file: defaults left out."""
    spec = JobSpec(
        name=job.name,
        trigger=_loaded(job.trigger),
        action=_loaded(job.action),
        policy=read_policy(job.policy),
    )
    written: dict[str, Any] = {"name": spec.name}
    for part in ("trigger", "action"):
        value = getattr(spec, part)
        written[part] = {
            "kind": value.kind,
            **value.model_dump(mode="json", exclude_defaults=True, exclude_none=True),
        }
    policy = spec.policy.model_dump(mode="json", exclude_defaults=True)
    return {**written, "policy": policy} if policy else written


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text

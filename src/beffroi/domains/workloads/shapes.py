"""The JSON shapes of workload schedules."""

from datetime import datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from beffroi.core.moments import ZoneName, zone_of
from beffroi.domains.workloads.models import Origin, Status, WorkloadSchedule, WorkloadTarget
from beffroi.domains.workloads.reasons import because
from beffroi.domains.workloads.rules import Claim, Override, Wanted
from beffroi.domains.workloads.voices import Explanation

EXAMPLE: dict[str, JsonValue] = {
    "name": "Backup Database",
    "start_time": "2025-04-20T10:00:00",
    "end_time": "2025-04-20T11:00:00",
    "status": "scheduled",
    "active": True,
}

ScheduleName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class WorkloadScheduleCreate(BaseModel):
    """A window in which a workload is wanted up. Times without an offset are read in `timezone`."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE]})

    name: ScheduleName
    start_time: datetime
    end_time: datetime
    status: Annotated[
        Status, Field(description="Accepted for compatibility; Beffroi sets it to what the time says.")
    ] = Status.SCHEDULED
    active: Annotated[bool, Field(description="An inactive schedule takes no part.")] = True
    timezone: Annotated[ZoneName | None, Field(description="Unset: the default zone of the settings.")] = None
    recurrence: Annotated[
        str | None,
        Field(min_length=1, max_length=1000, description="When it begins again: a cron line or an RRULE."),
    ] = None
    target: Annotated[
        str | None, Field(min_length=1, max_length=200, description="The name of what is up in the window.")
    ] = None
    replicas: Annotated[
        int | None,
        Field(ge=0, le=100_000, description="How many, in the window; unset: as many as there were."),
    ] = None


class WorkloadScheduleView(BaseModel):
    """A schedule as it stands; times in its own zone, with their offset."""

    id: int
    name: str
    start_time: datetime
    end_time: datetime
    status: Status
    active: bool
    timezone: str
    recurrence: str | None
    target: str | None
    replicas: int | None
    reason: Annotated[str | None, Field(description="Why it `failed`.")]
    origin: Origin
    job_id: Annotated[
        int | None, Field(description="The job that fires at the edges: its own, or its target's.")
    ]
    version: int


class Created(BaseModel):
    status: Literal["created"] = "created"
    id: int


class OverrideCreate(BaseModel):
    """`up`, `down`, or `leave` alone. Without `until`, "up" runs to the end of its window or of the next one;
    the others stay to the next boundary."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"wanted": "up", "note": "the demo runs late"}]}
    )

    wanted: Wanted
    until: Annotated[
        datetime | None, Field(description="Without an offset it is read in the schedule's zone.")
    ] = None
    note: Annotated[str | None, Field(max_length=2000)] = None


class OverrideView(BaseModel):
    """What somebody said by hand. `until` empty: until it is taken back."""

    id: int
    schedule_id: int
    wanted: Wanted
    since: datetime
    until: datetime | None
    author: str
    note: str | None


class ClaimView(BaseModel):
    """One voice: a window of a schedule, or an override, and the stretch it speaks for."""

    kind: Literal["window", "override"]
    id: Annotated[int, Field(description="Of the schedule, or of the override.")]
    name: Annotated[str, Field(description="The schedule's name, or the author's.")]
    wanted: Wanted
    since: datetime
    until: datetime | None
    note: str | None


class ExplainView(BaseModel):
    """What is wanted at a moment, who says so, and who is overruled."""

    at: datetime
    wanted: Wanted
    because: Annotated[str, Field(description="In a sentence.")]
    replicas: Annotated[int | None, Field(description="How many, when up; null: as many as there were.")]
    winner: ClaimView | None
    overruled: list[ClaimView]
    next_change: datetime | None
    next_wanted: Wanted | None


def explain_view(found: Explanation, zone_name: str) -> ExplainView:
    """Shape an explanation; times in the schedule's zone."""
    zone = zone_of(zone_name)
    verdict = found.verdict
    return ExplainView(
        at=found.at.astimezone(zone),
        wanted=verdict.wanted,
        because=because(verdict, zone_name),
        replicas=found.replicas if verdict.wanted is Wanted.UP else None,
        winner=_claim_view(verdict.winner, zone) if verdict.winner else None,
        overruled=[_claim_view(claim, zone) for claim in verdict.overruled],
        next_change=found.then[0].astimezone(zone) if found.then else None,
        next_wanted=found.then[1] if found.then else None,
    )


def _claim_view(claim: Claim, zone: ZoneInfo) -> ClaimView:
    source = claim.source
    return ClaimView(
        kind="override" if isinstance(source, Override) else "window",
        id=source.id if isinstance(source, Override) else source.schedule_id,
        name=source.author if isinstance(source, Override) else source.name,
        wanted=claim.wanted,
        since=claim.since.astimezone(zone),
        until=claim.until.astimezone(zone) if claim.until else None,
        note=source.note if isinstance(source, Override) else None,
    )


def schedule_view(schedule: WorkloadSchedule, target: WorkloadTarget | None) -> WorkloadScheduleView:
    """Shape a schedule; times in its zone."""
    zone = zone_of(schedule.timezone)
    fields: dict[str, Any] = schedule.model_dump()
    fields["start_time"] = schedule.start_time.astimezone(zone)
    fields["end_time"] = schedule.end_time.astimezone(zone)
    if target is not None:
        fields |= {"target": target.name, "job_id": target.job_id}
    return WorkloadScheduleView.model_validate({"target": None, **fields})


def body_of(schedule: WorkloadSchedule, target: WorkloadTarget | None) -> dict[str, Any]:
    """Return what a PUT that changes nothing would hold."""
    view = schedule_view(schedule, target).model_dump(mode="json", exclude_none=True)
    return {name: view[name] for name in WorkloadScheduleCreate.model_fields if name in view}


def spec_of(schedule: WorkloadSchedule, target: WorkloadTarget | None) -> dict[str, Any]:
    """Return what defines a schedule, as it could be written in a file: defaults left out."""
    body = WorkloadScheduleCreate.model_validate({**body_of(schedule, target), "status": Status.SCHEDULED})
    spec = body.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    return {**spec, "timezone": schedule.timezone}

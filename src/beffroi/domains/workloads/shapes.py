"""The JSON shapes of workload schedules."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from beffroi.core.moments import ZoneName, zone_of
from beffroi.domains.workloads.models import Status, WorkloadSchedule

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
    job_id: Annotated[int | None, Field(description="The job that fires at the edges of the window.")]
    version: int


class Created(BaseModel):
    status: Literal["created"] = "created"
    id: int


def schedule_view(schedule: WorkloadSchedule) -> WorkloadScheduleView:
    """Shape a schedule."""
    zone = zone_of(schedule.timezone)
    fields: dict[str, Any] = schedule.model_dump()
    fields["start_time"] = schedule.start_time.astimezone(zone)
    fields["end_time"] = schedule.end_time.astimezone(zone)
    return WorkloadScheduleView.model_validate(fields)


def body_of(schedule: WorkloadSchedule) -> dict[str, Any]:
    """Return what a PUT that changes nothing would hold."""
    view = schedule_view(schedule).model_dump(mode="json", exclude_none=True)
    return {name: view[name] for name in WorkloadScheduleCreate.model_fields if name in view}

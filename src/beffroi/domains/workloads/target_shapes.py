"""The JSON shapes of targets."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic_core import from_json

from beffroi.core.errors import InvalidError
from beffroi.core.moments import zone_of
from beffroi.domains.workloads.hours import Hours
from beffroi.domains.workloads.kinds import AnyWorkload, read_workload
from beffroi.domains.workloads.models import Observed, Origin, WorkloadTarget
from beffroi.domains.workloads.rules import Wanted
from beffroi.web.secrets import without_headers

TargetName = Annotated[
    str,
    Field(min_length=1, max_length=190, pattern=r"^[^\x00-\x1f\x7f]+$", description="Unique among targets."),
]

EXAMPLE: dict[str, JsonValue] = {
    "name": "web of the shop",
    "workload": {"kind": "kubernetes", "resource": "deployment", "namespaces": ["shop"], "name": "web"},
}


class TargetSpec(BaseModel):
    """Something that schedules bring up and down. `dry_run`: say what would be done, and do nothing."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE]})

    name: TargetName
    workload: AnyWorkload
    dry_run: bool = False


class HoursView(BaseModel):
    """Since the month began, in the default zone: hours found up, and down, and the share of the latter."""

    up: float
    down: float
    saved: float | None


class TargetView(BaseModel):
    """A target: what is wanted of it and why, what was found, what was done last."""

    id: int
    name: str
    workload: Annotated[dict[str, JsonValue], Field(description="A viewer does not see values of headers.")]
    dry_run: bool
    origin: Origin
    wanted: Wanted | None
    why: str | None
    observed: Observed
    done: str | None
    done_at: datetime | None
    trouble: Annotated[str | None, Field(description="Why it is not as it is wanted.")]
    hours: HoursView
    schedules: list[int]
    job_id: int | None
    version: int


def target_view(
    target: WorkloadTarget, hours: Hours, schedules: list[int], zone_name: str, *, shows_headers: bool
) -> TargetView:
    """Shape a target; times in the default zone."""
    zone = zone_of(zone_name)
    workload = workload_of(target)
    return TargetView(
        **target.model_dump(exclude={"params", "created_at", "updated_at", "done_at"}),
        done_at=target.done_at.astimezone(zone) if target.done_at else None,
        workload=workload if shows_headers else without_headers(workload),
        hours=HoursView(
            up=round(hours.up.total_seconds() / 3600, 2),
            down=round(hours.down.total_seconds() / 3600, 2),
            saved=None if hours.saved is None else round(hours.saved, 4),
        ),
        schedules=schedules,
    )


def workload_of(target: WorkloadTarget) -> Any:
    """Return what a target is made of, as it could be written in a file: defaults left out.

    What cannot be read is returned as it is stored.
    """
    try:
        value = read_workload(target.params)
    except InvalidError:
        return from_json(target.params)
    return {"kind": value.kind, **value.model_dump(mode="json", exclude_defaults=True, exclude_none=True)}


def spec_of(target: WorkloadTarget) -> dict[str, Any]:
    """Return what defines a target, as it could be written in a file."""
    spec: dict[str, Any] = {"name": target.name, "workload": workload_of(target)}
    return {**spec, "dry_run": True} if target.dry_run else spec

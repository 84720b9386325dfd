"""Tables of the workload schedules."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, String, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from beffroi.domains.workloads.rules import Wanted
from beffroi.store.types import UNAUDITED, EnumText, UtcDateTime


class Status(StrEnum):
    """Where a schedule stands, seen from now. `failed`: its target could not be brought to what it says."""

    SCHEDULED = "scheduled"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


class Origin(StrEnum):
    """Who defines a thing: people, a file, or the annotation of a workload in its cluster."""

    API = "api"
    FILE = "file"
    CLUSTER = "cluster"


class Observed(StrEnum):
    """What was found. `partly`: some of a target's workloads are up; `unknown`: it cannot be seen."""

    UP = "up"
    DOWN = "down"
    PARTLY = "partly"
    ABSENT = "absent"
    UNKNOWN = "unknown"


class WorkloadTarget(SQLModel, table=True):
    """Something that is brought up and down, and what became of that last. `params`: how, as JSON."""

    __tablename__ = "workload_target"
    __table_args__ = (
        UniqueConstraint("name", name="workload_target_name"),
        Index("workload_target_job", "job_id"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(sa_type=String(200))
    params: str = Field(sa_type=Text)
    dry_run: bool = Field(default=False)
    origin: Origin = Field(default=Origin.API, sa_type=EnumText(Origin))
    job_id: int | None = Field(default=None, foreign_key="job.id")
    wanted: Wanted | None = Field(default=None, sa_type=EnumText(Wanted))
    observed: Observed = Field(default=Observed.UNKNOWN, sa_type=EnumText(Observed))
    why: str | None = Field(default=None, sa_type=Text)
    done: str | None = Field(default=None, sa_type=Text)
    done_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    trouble: str | None = Field(default=None, sa_type=Text)
    version: int = Field(default=1)
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)


class WorkloadObject(SQLModel, table=True):
    """One thing of a target that was touched, and what is remembered of it; see `sizes.Memory`.

    Written before the thing itself is: after a crash between the two the next pass knows what was meant.
    """

    __tablename__ = "workload_object"
    __table_args__ = (
        UniqueConstraint("place", name="workload_object_place"),
        Index("workload_object_target", "target_id"),
        {"sqlite_autoincrement": True, **UNAUDITED},
    )

    id: int | None = Field(default=None, primary_key=True)
    target_id: int = Field(foreign_key="workload_target.id")
    place: str = Field(sa_type=String(700))
    uid: str = Field(default="", sa_type=String(64))
    original: int | None = Field(default=None)
    size: int | None = Field(default=None)
    meant: int | None = Field(default=None)
    applied: Wanted | None = Field(default=None, sa_type=EnumText(Wanted))
    written_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    rival: str | None = Field(default=None, sa_type=Text)
    version: int = Field(default=1)


class WorkloadChange(SQLModel, table=True):
    """A target was found up, or down, from here on."""

    __tablename__ = "workload_change"
    __table_args__ = (
        Index("workload_change_target", "target_id", "at"),
        {"sqlite_autoincrement": True, **UNAUDITED},
    )

    id: int | None = Field(default=None, primary_key=True)
    target_id: int = Field(foreign_key="workload_target.id")
    at: datetime = Field(sa_type=UtcDateTime)
    observed: Observed = Field(sa_type=EnumText(Observed))
    why: str | None = Field(default=None, sa_type=Text)


class WorkloadSchedule(SQLModel, table=True):
    """A window `[start_time, end_time)`, once or recurring, in which its target is wanted up.

    Without a target it has a job of its own, which keeps the status; else the target's job does.
    """

    __tablename__ = "workload_schedule"
    __table_args__ = (
        Index("workload_schedule_name", "name"),
        Index("workload_schedule_job", "job_id"),
        Index("workload_schedule_target", "target_id"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(sa_type=String(200))
    start_time: datetime = Field(sa_type=UtcDateTime)
    end_time: datetime = Field(sa_type=UtcDateTime)
    status: Status = Field(default=Status.SCHEDULED, sa_type=EnumText(Status))
    reason: str | None = Field(default=None, sa_type=Text)
    active: bool = Field(default=True)
    timezone: str = Field(sa_type=String(64))
    recurrence: str | None = Field(default=None, sa_type=Text)
    replicas: int | None = Field(default=None)
    target_id: int | None = Field(default=None, foreign_key="workload_target.id")
    origin: Origin = Field(default=Origin.API, sa_type=EnumText(Origin))
    job_id: int | None = Field(default=None, foreign_key="job.id")
    version: int = Field(default=1)
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)


class WorkloadOverride(SQLModel, table=True):
    """What somebody said by hand about what a schedule brings up and down, in `[since, until)`."""

    __tablename__ = "workload_override"
    __table_args__ = (Index("workload_override_schedule", "schedule_id"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, primary_key=True)
    schedule_id: int = Field(foreign_key="workload_schedule.id")
    wanted: Wanted = Field(sa_type=EnumText(Wanted))
    since: datetime = Field(sa_type=UtcDateTime)
    until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    author: str = Field(sa_type=String(210))
    note: str | None = Field(default=None, sa_type=Text)

"""Tables of the workload schedules."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, String, Text
from sqlmodel import Field, SQLModel

from beffroi.store.types import EnumText, UtcDateTime


class Status(StrEnum):
    """Where a schedule stands, seen from now."""

    SCHEDULED = "scheduled"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


class WorkloadSchedule(SQLModel, table=True):
    """A window `[start_time, end_time)`, once or recurring, and the job that fires at its edges."""

    __tablename__ = "workload_schedule"
    __table_args__ = (
        Index("workload_schedule_name", "name"),
        Index("workload_schedule_job", "job_id"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(sa_type=String(200))
    start_time: datetime = Field(sa_type=UtcDateTime)
    end_time: datetime = Field(sa_type=UtcDateTime)
    status: Status = Field(default=Status.SCHEDULED, sa_type=EnumText(Status))
    active: bool = Field(default=True)
    timezone: str = Field(sa_type=String(64))
    recurrence: str | None = Field(default=None, sa_type=Text)
    job_id: int | None = Field(default=None, foreign_key="job.id")
    version: int = Field(default=1)
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)

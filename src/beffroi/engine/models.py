"""The engine's facts: Job, Run, Node, Signal."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, Index, String, Text, Uuid, text
from sqlmodel import Field, SQLModel

from beffroi.core.outcomes import Reason, State
from beffroi.store.types import EnumText, UtcDateTime


class JobState(StrEnum):
    """`finished`: no occurrence is to come. `broken`: the row cannot be read; it is kept, not run."""

    ACTIVE = "active"
    PAUSED = "paused"
    FINISHED = "finished"
    BROKEN = "broken"


class Health(StrEnum):
    """What the last finished run said."""

    OK = "ok"
    FAILING = "failing"


class Origin(StrEnum):
    """Where a run comes from: the job's trigger, or a person who said "now"."""

    SCHEDULE = "schedule"
    MANUAL = "manual"


# SQLite uses a partial index only for a query that repeats its condition to the letter; a bound
# parameter will not do. So the conditions are written once, here, for the indexes and the queries.
IS_OPEN = text("run.state IN ('planned', 'running')")
WENT_WRONG = text("run.state IN ('failed', 'missed', 'skipped', 'cancelled')")
IS_SET_ASIDE = text("job.state IN ('paused', 'broken')")
IS_FAILING = text("job.health = 'failing'")


class Job(SQLModel, table=True):
    """A trigger, an action and a policy, with what is already decided of it.

    The ledger is complete up to `cursor`. `next_due_at` is when the planner must look at the job
    again: the next occurrence, or the end of a pause; empty when there is nothing to wait for.
    A deleted job keeps its row as long as it has runs in the ledger.
    """

    __table_args__ = (
        Index(
            "job_due",
            "next_due_at",
            sqlite_where=text("next_due_at IS NOT NULL"),
            postgresql_where=text("next_due_at IS NOT NULL"),
        ),
        Index(
            "job_name",
            "name",
            unique=True,
            sqlite_where=text("deleted_at IS NULL"),
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index(
            "job_failing",
            "id",
            sqlite_where=text("health = 'failing'"),
            postgresql_where=text("health = 'failing'"),
        ),
        Index(
            "job_set_aside",
            "state",
            sqlite_where=text("state IN ('paused', 'broken')"),
            postgresql_where=text("state IN ('paused', 'broken')"),
        ),
        Index("job_owner", "owner"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(sa_type=String(200))
    owner: str = Field(sa_type=String(40))
    trigger: str = Field(sa_type=Text)
    action: str = Field(sa_type=Text)
    action_kind: str = Field(sa_type=String(40))
    policy: str = Field(sa_type=Text)
    state: JobState = Field(default=JobState.ACTIVE, sa_type=EnumText(JobState))
    health: Health = Field(default=Health.OK, sa_type=EnumText(Health))
    cursor: datetime = Field(sa_type=UtcDateTime)
    next_due_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    skips: str | None = Field(default=None, sa_type=Text)
    paused_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    note: str | None = Field(default=None, sa_type=Text)
    version: int = Field(default=1)
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)
    deleted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Run(SQLModel, table=True):
    """A row of the ledger: one occurrence, or a gap of `occurrences` of them up to `last_of_gap`.

    `token` fences: it grows whenever the run changes hands, and only who holds the present one may
    write the outcome. `attempt` counts starts, `rescues` those that died with their process.
    """

    __table_args__ = (
        Index("run_occurrence", "job_id", "scheduled_for", "origin", unique=True),
        # Only where several machines take runs is it asked which runs of a job are in somebody's hands. The
        # condition does not name the node: that would make each claim write all indexes anew.
        Index("run_in_hand", "job_id", postgresql_where=text("state IN ('planned', 'running')")).ddl_if(
            dialect="postgresql"
        ),
        # Few among many: what a person looks for is not to be searched for in the whole ledger.
        Index(
            "run_went_wrong",
            "job_id",
            "scheduled_for",
            sqlite_where=text("state IN ('failed', 'missed', 'skipped', 'cancelled')"),
            postgresql_where=text("state IN ('failed', 'missed', 'skipped', 'cancelled')"),
        ),
        Index(
            "run_wrong_newest",
            "id",
            sqlite_where=text("state IN ('failed', 'missed', 'skipped', 'cancelled')"),
            postgresql_where=text("state IN ('failed', 'missed', 'skipped', 'cancelled')"),
        ),
        Index(
            "run_open",
            "due_at",
            sqlite_where=text("state IN ('planned', 'running')"),
            postgresql_where=text("state IN ('planned', 'running')"),
        ),
    )

    id: str = Field(primary_key=True, sa_type=Uuid(as_uuid=False))
    job_id: int = Field(foreign_key="job.id")
    origin: Origin = Field(default=Origin.SCHEDULE, sa_type=EnumText(Origin))
    scheduled_for: datetime = Field(sa_type=UtcDateTime)
    last_of_gap: datetime | None = Field(default=None, sa_type=UtcDateTime)
    occurrences: int = Field(default=1, sa_type=BigInteger)
    due_at: datetime = Field(sa_type=UtcDateTime)
    state: State = Field(sa_type=EnumText(State))
    reason: Reason | None = Field(default=None, sa_type=EnumText(Reason))
    message: str | None = Field(default=None, sa_type=Text)
    attempt: int = Field(default=1)
    rescues: int = Field(default=0)
    token: int = Field(default=0)
    node_id: str | None = Field(default=None, sa_type=Uuid(as_uuid=False))
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    code: int | None = Field(default=None)
    output: str | None = Field(default=None, sa_type=Text)
    earlier: str | None = Field(default=None, sa_type=Text)


class Role(StrEnum):
    """`serve`: answers requests and decides, and executes too unless it is told not to; `work`: executes."""

    SERVE = "serve"
    WORK = "work"


class Node(SQLModel, table=True):
    """A process that runs the engine, and when it last said that it lives.

    `draining_at`: since when it takes no more runs, because somebody said so.
    """

    id: str = Field(primary_key=True, sa_type=Uuid(as_uuid=False))
    role: Role = Field(
        default=Role.SERVE, sa_type=EnumText(Role), sa_column_kwargs={"server_default": "serve"}
    )
    draining_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    host: str = Field(sa_type=String(255))
    pid: int
    version: str = Field(sa_type=String(40))
    started_at: datetime = Field(sa_type=UtcDateTime)
    heartbeat_at: datetime = Field(sa_type=UtcDateTime)
    stopped_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class SignalKind(StrEnum):
    """`absence`: nobody watched from `since` to `at`."""

    FAILING = "failing"
    RECOVERED = "recovered"
    BROKEN = "broken"
    ABSENCE = "absence"


class Signal(SQLModel, table=True):
    """The fact that the health of something changed. Alerts are sent from these."""

    __table_args__ = (Index("signal_at", "at"),)

    id: int | None = Field(default=None, primary_key=True)
    kind: SignalKind = Field(sa_type=EnumText(SignalKind))
    at: datetime = Field(sa_type=UtcDateTime)
    since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    job_id: int | None = Field(default=None, foreign_key="job.id")
    run_id: str | None = Field(default=None, sa_type=Uuid(as_uuid=False))
    message: str | None = Field(default=None, sa_type=Text)

"""Verbs on jobs and runs, as people and programs say them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, and_, or_
from sqlalchemy import select as select_rows
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from beffroi.core.errors import ConflictError, InvalidError, NotFoundError
from beffroi.core.outcomes import OPEN, State
from beffroi.domains.jobs.action import CommandParams, PythonParams, installed_entry_points
from beffroi.domains.jobs.shapes import JobSpec, spec_of
from beffroi.engine import jobs
from beffroi.engine.jobs import Definition
from beffroi.engine.machine import CANCELLED_BY_HAND, Machine
from beffroi.engine.models import IS_OPEN, WENT_WRONG, Health, Job, JobState, Run
from beffroi.engine.queue import CANCEL, queue_of

OWNER_API = "api"
OWNER_FILE = "file"
OUR_OWNERS = (OWNER_API, OWNER_FILE)
"""Jobs of these owners are changed here; those of other tools are changed through their tool."""


@dataclass(frozen=True, slots=True)
class JobFilter:
    name: str | None = None
    state: JobState | None = None
    health: Health | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class RunFilter:
    job_id: int | None = None
    states: Sequence[State] = ()
    since: datetime | None = None
    until: datetime | None = None


def get(session: Session, job_id: int) -> Job:
    job = session.get(Job, job_id)
    if job is None or job.deleted_at is not None:
        raise NotFoundError(f"There is no job {job_id}.")
    return job


def lock(session: Session, job_id: int) -> Job:
    """Return a job to be changed."""
    job = jobs.lock(session, job_id)
    if job is None or job.deleted_at is not None:
        raise NotFoundError(f"There is no job {job_id}.")
    return job


def find(session: Session, name: str) -> Job | None:
    """Return the job of that name, to be changed, if there is one."""
    query = select(Job).where(col(Job.name) == name, col(Job.deleted_at).is_(None))
    return session.exec(query.with_for_update(key_share=True)).first()


def list_jobs(session: Session, wanted: JobFilter, after: int | None, limit: int) -> Sequence[Job]:
    """Return jobs in order of their ids, from the one after `after` on."""
    query = filtered(select(Job), wanted)
    if after is not None:
        query = query.where(col(Job.id) > after)
    return session.exec(query.order_by(col(Job.id)).limit(limit)).all()


def filtered(query: SelectOfScalar[Job], wanted: JobFilter) -> SelectOfScalar[Job]:
    """Leave out the jobs that are deleted, or not wanted."""
    query = query.where(col(Job.deleted_at).is_(None))
    if wanted.name:
        query = query.where(col(Job.name).icontains(wanted.name, autoescape=True))
    for column, value in ((Job.state, wanted.state), (Job.health, wanted.health), (Job.owner, wanted.owner)):
        if value is not None:
            query = query.where(col(column) == value)
    return query


def present_spec(job: Job) -> dict[str, Any]:
    """Return what defines the job now; ConflictError when its row cannot be read."""
    try:
        return spec_of(job)
    except ValueError:
        raise ConflictError("The job cannot be read; replace it as a whole (PUT) or delete it.") from None


def create(session: Session, spec: JobSpec, commands: Collection[str], owner: str, now: datetime) -> Job:
    check_action(spec, commands)
    return jobs.add(session, definition_of(spec), owner, now)


def replace(session: Session, job: Job, spec: JobSpec, commands: Collection[str], now: datetime) -> Job:
    refuse_foreign(job)
    check_action(spec, commands)
    jobs.redefine(session, job, definition_of(spec), now)
    return job


def delete(session: Session, job: Job, now: datetime) -> None:
    refuse_foreign(job)
    jobs.remove(session, job, now)


def get_run(session: Session, run_id: str) -> tuple[Run, str]:
    """Return a run and the name of its job."""
    query = _RUNS.where(col(Run.id) == run_id)
    found = session.execute(query).first()
    if found is None:
        raise NotFoundError(f"There is no run {run_id}.")
    return found


def runs_between(session: Session, low: str, high: str, most: int) -> Sequence[tuple[Run, str]]:
    """Return runs whose ids lie in a range, with the names of their jobs."""
    query = _RUNS.where(col(Run.id).between(low, high)).order_by(col(Run.id)).limit(most)
    return [(run, name) for run, name in session.execute(query)]


def list_runs(
    session: Session, wanted: RunFilter, after: str | None, limit: int
) -> Sequence[tuple[Run, str]]:
    """Return runs from the one after `after` on: of one job by their moment, of all by their decision."""
    query = _filtered(_RUNS, wanted)
    if wanted.job_id is None:
        query = query.order_by(col(Run.id).desc())
        query = query.where(col(Run.id) < after) if after is not None else query
    else:
        query = query.order_by(col(Run.scheduled_for).desc(), col(Run.id).desc())
        query = query.where(_comes_after(session, after)) if after is not None else query
    return [(run, name) for run, name in session.execute(query.limit(limit))]


def _comes_after(session: Session, run_id: str) -> ColumnElement[bool]:
    moment = session.scalar(select_rows(col(Run.scheduled_for)).where(col(Run.id) == run_id))
    if moment is None:
        raise InvalidError("after", "names no run of the ledger")
    same_moment = and_(col(Run.scheduled_for) == moment, col(Run.id) < run_id)
    return or_(col(Run.scheduled_for) < moment, same_moment)


def cancel(session: Session, machine: Machine, run: Run, now: datetime) -> Literal["cancelled", "cancelling"]:
    """Stop a run here, or tell whoever has it; or take it out of the plan."""
    if machine.cancel(run.id, CANCELLED_BY_HAND):
        return "cancelling"
    if run.state is State.RUNNING and queue_of(session).is_shared:
        queue_of(session).tell(session, f"{CANCEL}{run.id}")
        return "cancelling"
    cancel_planned(session, run, now)
    return "cancelled"


def cancel_planned(session: Session, run: Run, now: datetime) -> None:
    """End a run that has not started, by hand."""
    if run.state != State.PLANNED:
        raise ConflictError(f"The run is {run.state}; only one that is planned or running can be cancelled.")
    jobs.cancel_run(session, run, CANCELLED_BY_HAND, now)


_RUNS = select_rows(Run, col(Job.name)).join(Job, col(Job.id) == col(Run.job_id))


def refuse_foreign(job: Job) -> None:
    """Refuse to change a job that a tool owns: its tool would set it right again."""
    if job.owner not in OUR_OWNERS:
        raise ConflictError(f"The job belongs to {job.owner}; change it there.")


def check_action(spec: JobSpec, commands: Collection[str]) -> None:
    """Refuse an action that names what this program does not have."""
    action = spec.action
    if isinstance(action, CommandParams) and action.command not in commands:
        raise InvalidError(
            "action.command", _unknown("command", "the configuration file names", sorted(commands))
        )
    if isinstance(action, PythonParams) and action.entry_point not in installed_entry_points():
        raise InvalidError(
            "action.entry_point", _unknown("entry point", "installed are", installed_entry_points())
        )


def definition_of(spec: JobSpec) -> Definition:
    return Definition(spec.name, spec.trigger, spec.action, spec.policy)


def _unknown(thing: str, known: str, names: Sequence[str]) -> str:
    return f"names no known {thing}; {known}: {', '.join(names) or 'none'}"


def _filtered(query: Select[Run, str], wanted: RunFilter) -> Select[Run, str]:
    if wanted.job_id is not None:
        query = query.where(col(Run.job_id) == wanted.job_id)
    if wanted.states:
        query = query.where(col(Run.state).in_([state.value for state in wanted.states]))
        if set(wanted.states) <= set(OPEN):
            # Not the condition alone: the newest first, SQLite would walk the whole ledger for it.
            query = query.where(col(Run.id).in_(select_rows(col(Run.id)).where(IS_OPEN)))
        elif not set(wanted.states) & {*OPEN, State.SUCCEEDED}:
            query = query.where(WENT_WRONG)
    if wanted.since is not None:
        query = query.where(col(Run.scheduled_for) >= wanted.since)
    if wanted.until is not None:
        query = query.where(col(Run.scheduled_for) < wanted.until)
    return query

"""Jobs as people look through them: sorted, paged, each with what became of its last runs."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import and_, func, or_, select, union_all
from sqlmodel import Session, col
from sqlmodel import select as select_rows

from beffroi.core.outcomes import State
from beffroi.domains.jobs.service import JobFilter, filtered
from beffroi.engine.jobs import id_of
from beffroi.engine.models import IS_FAILING, Job, JobState, Run

LAST = 30


class Sort(StrEnum):
    NAME = "name"
    NEXT = "next"


class Past(NamedTuple):
    """A run as a drawing needs it."""

    id: str
    state: State
    scheduled_for: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def seconds(self) -> float:
        if self.started_at is None or self.finished_at is None:
            return 0.0
        return max(0.0, (self.finished_at - self.started_at).total_seconds())


@dataclass(frozen=True, slots=True)
class Row:
    """A job in the table. `last`: its last runs, the oldest first."""

    job: Job
    last: Sequence[Past]


def page_of_jobs(
    session: Session, wanted: JobFilter, sort: Sort, after: str | None, limit: int
) -> tuple[Sequence[Job], str | None]:
    """Return a page of jobs, and the cursor of the next page if there is one."""
    query = filtered(select_rows(Job), wanted)
    if sort is Sort.NEXT and wanted.state in (None, JobState.ACTIVE):
        query = query.where(col(Job.next_due_at).is_not(None)).order_by(col(Job.next_due_at), col(Job.id))
        if (place := _place(after)) is not None:
            moment, job_id = place
            later = and_(col(Job.next_due_at) == moment, col(Job.id) > job_id)
            query = query.where(or_(col(Job.next_due_at) > moment, later))
    else:  # what is not active has nothing next
        sort = Sort.NAME
        query = query.order_by(col(Job.name))
        query = query.where(col(Job.name) > after) if after else query
    found = session.exec(query.limit(limit + 1)).all()
    if len(found) <= limit:
        return found, None
    return found[:limit], _cursor(found[limit - 1], sort)


def with_runs(session: Session, jobs: Sequence[Job], last: int = LAST) -> list[Row]:
    """Return the jobs with what became of their last runs."""
    runs = last_runs(session, [id_of(job) for job in jobs], last)
    return [Row(job, runs[id_of(job)]) for job in jobs]


def last_runs(session: Session, job_ids: Sequence[int], most: int) -> dict[int, list[Past]]:
    """Return the last runs of each job, the oldest first, by one statement that reads no more than these."""
    columns = (
        col(Run.job_id), col(Run.id), col(Run.state), col(Run.scheduled_for), col(Run.started_at),
        col(Run.finished_at),
    )  # fmt: skip
    newest = [
        select(*columns)
        .where(col(Run.job_id) == job_id, col(Run.state) != State.PLANNED)
        .order_by(col(Run.scheduled_for).desc())
        .limit(most)
        .subquery()
        for job_id in job_ids
    ]
    found: dict[int, list[Past]] = defaultdict(list)
    if newest:
        for job_id, *rest in session.execute(union_all(*(select(each) for each in newest))):
            found[job_id].append(Past(*rest))
    return defaultdict(list, {job_id: runs[::-1] for job_id, runs in found.items()})


@dataclass(frozen=True, slots=True)
class Counts:
    jobs: int
    failing: int


def counts(session: Session) -> Counts:
    """Count the jobs, and those that fail."""
    living = col(Job.deleted_at).is_(None)
    jobs = session.scalar(select(func.count()).select_from(Job).where(living)) or 0
    failing = session.scalar(select(func.count()).select_from(Job).where(IS_FAILING, living)) or 0
    return Counts(jobs, failing)


def _cursor(job: Job, sort: Sort) -> str:
    if sort is Sort.NEXT and job.next_due_at is not None:
        return f"{job.next_due_at.isoformat()}~{job.id}"
    return job.name


def _place(after: str | None) -> tuple[datetime, int] | None:
    moment, _, job_id = (after or "").rpartition("~")
    try:
        return datetime.fromisoformat(moment), int(job_id)
    except ValueError:
        return None

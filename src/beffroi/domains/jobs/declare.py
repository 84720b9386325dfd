"""Jobs as a section of the document."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from beffroi.domains.jobs import service
from beffroi.domains.jobs.service import OUR_OWNERS, OWNER_FILE
from beffroi.domains.jobs.shapes import EXAMPLE, JobSpec, spec_of
from beffroi.engine import jobs
from beffroi.engine.models import Job, JobState
from beffroi.web.context import Context
from beffroi.web.documents import Deed, Pruned, Section


def _apply_one(session: Session, spec: JobSpec, context: Context, now: datetime) -> Collection[Deed]:
    job = service.find(session, spec.name)
    if job is None:
        service.create(session, spec, context.commands, OWNER_FILE, now)
        return ["created"]
    service.refuse_foreign(job)
    deeds: list[Deed] = []
    if job.owner != OWNER_FILE:
        job.owner = OWNER_FILE
        deeds.append("taken_over")
    if jobs.is_defined_so(job, service.definition_of(spec), now):
        return [*deeds, "unchanged"]
    service.replace(session, job, spec, context.commands, now)
    return [*deeds, "changed"]


def _prune(session: Session, names: Collection[str], now: datetime) -> Pruned:
    query = select(Job).where(col(Job.deleted_at).is_(None), col(Job.owner) == OWNER_FILE)
    gone = [job for job in session.exec(query.order_by(col(Job.name))).all() if job.name not in names]
    for job in gone:
        jobs.remove(session, job, now)
    return Pruned([job.name for job in gone])


def _export(session: Session) -> Sequence[dict[str, Any]]:
    """Return what defines each of our jobs, by name; broken ones cannot be written and are left out."""
    query = select(Job).where(
        col(Job.deleted_at).is_(None), col(Job.owner).in_(OUR_OWNERS), col(Job.state) != JobState.BROKEN
    )
    return [spec_of(job) for job in session.exec(query.order_by(col(Job.name)))]


JOBS = Section("jobs", "job", JobSpec, _apply_one, _prune, _export, EXAMPLE)

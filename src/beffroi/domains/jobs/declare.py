"""Jobs as a document: what it says is made so, and what is can be written back."""

from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlmodel import Session, col, select

from beffroi.core.errors import BeffroiError, InvalidError
from beffroi.domains.jobs import service
from beffroi.domains.jobs.service import OUR_OWNERS, OWNER_FILE
from beffroi.domains.jobs.shapes import EXAMPLE, JobSpec, spec_of
from beffroi.engine import jobs
from beffroi.engine.models import Job, JobState


class Document(BaseModel):
    """Jobs by name. `prune`: jobs that came from a document and are not in this one are deleted."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"jobs": [EXAMPLE]}]})

    jobs: Annotated[list[JobSpec], Field(max_length=10_000)]
    prune: bool = False
    dry_run: bool = False

    @model_validator(mode="after")
    def _names_are_unique(self) -> "Document":
        seen: set[str] = set()
        for job in self.jobs:
            if job.name in seen:
                raise ValueError(f"two jobs are named {job.name!r}")
            seen.add(job.name)
        return self


class ApplyReport(BaseModel):
    """The names of the jobs, by what was done to them.

    `taken_over`: made by somebody else, they belong to a file from now on, and can be pruned.
    """

    taken_over: list[str] = []
    created: list[str] = []
    changed: list[str] = []
    unchanged: list[str] = []
    deleted: list[str] = []


def apply(session: Session, document: Document, commands: Collection[str], now: datetime) -> ApplyReport:
    """Make the document's jobs so, in the session's transaction; a mistake names the job."""
    report = ApplyReport()
    for spec in document.jobs:
        try:
            _apply_one(session, spec, commands, report, now)
        except BeffroiError as error:
            field = f".{error.field}" if isinstance(error, InvalidError) else ""
            raise InvalidError(f"jobs[{spec.name}]{field}", error.message) from None
    if document.prune:
        _prune(session, {spec.name for spec in document.jobs}, report, now)
    return report


def export(session: Session) -> list[dict[str, Any]]:
    """Return what defines each of our jobs, by name; broken ones cannot be written and are left out."""
    query = select(Job).where(
        col(Job.deleted_at).is_(None), col(Job.owner).in_(OUR_OWNERS), col(Job.state) != JobState.BROKEN
    )
    return [spec_of(job) for job in session.exec(query.order_by(col(Job.name)))]


def _apply_one(
    session: Session, spec: JobSpec, commands: Collection[str], report: ApplyReport, now: datetime
) -> None:
    job = service.find(session, spec.name)
    if job is None:
        service.create(session, spec, commands, OWNER_FILE, now)
        report.created.append(spec.name)
        return
    service.refuse_foreign(job)
    if job.owner != OWNER_FILE:
        job.owner = OWNER_FILE
        report.taken_over.append(spec.name)
    if jobs.is_defined_so(job, service.definition_of(spec), now):
        report.unchanged.append(spec.name)
        return
    service.replace(session, job, spec, commands, now)
    report.changed.append(spec.name)


def _prune(session: Session, names: set[str], report: ApplyReport, now: datetime) -> None:
    query = select(Job).where(col(Job.deleted_at).is_(None), col(Job.owner) == OWNER_FILE)
    for job in session.exec(query.order_by(col(Job.name))).all():
        if job.name not in names:
            jobs.remove(session, job, now)
            report.deleted.append(job.name)

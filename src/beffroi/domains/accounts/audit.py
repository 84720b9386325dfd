"""Reading the audit: who changed what."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from beffroi.domains.accounts.models import AuditEntry


@dataclass(frozen=True, slots=True)
class AuditFilter:
    actor: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def list_audit(session: Session, wanted: AuditFilter, after: int | None, limit: int) -> Sequence[AuditEntry]:
    """Return the audit, the newest first, from the entry after `after` on."""
    query = select(AuditEntry)
    if wanted.actor:
        query = query.where(col(AuditEntry.actor).icontains(wanted.actor, autoescape=True))
    if wanted.subject:
        query = query.where(col(AuditEntry.subject).startswith(wanted.subject, autoescape=True))
    if wanted.since is not None:
        query = query.where(col(AuditEntry.at) >= wanted.since)
    if wanted.until is not None:
        query = query.where(col(AuditEntry.at) < wanted.until)
    if after is not None:
        query = query.where(col(AuditEntry.id) < after)
    return session.exec(query.order_by(col(AuditEntry.id).desc()).limit(limit)).all()

"""How long the ledger is kept: by age and by count, deleted in small bites."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, delete, func, select
from sqlmodel import col

from beffroi import events
from beffroi.core.outcomes import OPEN
from beffroi.engine import runs
from beffroi.engine.models import Job, Node, Run, Signal
from beffroi.store.db import Database

BITE = 1_000
"""Rows deleted in one transaction: the timer must not wait long for its turn to write."""

_OPEN = [state.value for state in OPEN]


@dataclass(frozen=True, slots=True)
class History:
    """`age`: older runs are deleted; `count`: of each job the newest so many are kept. None: no bound."""

    age: timedelta | None = timedelta(days=90)
    count: int | None = 10_000
    first_pass: timedelta = timedelta(minutes=1)
    every: timedelta = timedelta(hours=1)


def prune(database: Database, history: History, now: datetime) -> int:
    """Delete finished runs beyond the kept history, and what only they still needed."""
    deleted = 0
    if history.age is not None:
        # Ids are in order of time, so the oldest are found without reading the rest.
        too_old = select(col(Run.id)).where(
            col(Run.finished_at) < now - history.age, col(Run.state).not_in(_OPEN)
        )
        deleted += _delete(database, too_old)
    if history.count is not None:
        deleted += _delete(database, _beyond(history.count))
    _delete_leftovers(database, now, history.age)
    if deleted:
        events.history_pruned(deleted)
    return deleted


def _beyond(count: int) -> Select[str]:
    newest_first = func.row_number().over(partition_by=col(Run.job_id), order_by=col(Run.id).desc())
    full = select(col(Run.job_id)).group_by(col(Run.job_id)).having(func.count() > count)
    ranked = (
        select(col(Run.id), newest_first.label("place"))
        .where(col(Run.state).not_in(_OPEN), col(Run.job_id).in_(full))
        .subquery()
    )
    return select(ranked.c.id).where(ranked.c.place > count)


def _delete(database: Database, wanted: Select[str]) -> int:
    with database.read() as session:
        ids = list(session.scalars(wanted))
    for start in range(0, len(ids), BITE):
        with database.write() as session:
            runs.delete_rows(session, ids[start : start + BITE])
    return len(ids)


def _delete_leftovers(database: Database, now: datetime, age: timedelta | None) -> None:
    """Delete old signals, nodes long gone, and deleted jobs of which the ledger holds nothing more."""
    if age is None:
        return
    long_ago = now - age
    with database.write() as session:
        session.execute(delete(Signal).where(col(Signal.at) < long_ago))
        session.execute(delete(Node).where(col(Node.heartbeat_at) < long_ago))
        known = select(col(Run.id)).where(col(Run.job_id) == col(Job.id)).exists()
        spoken_of = select(col(Signal.id)).where(col(Signal.job_id) == col(Job.id)).exists()
        session.execute(delete(Job).where(col(Job.deleted_at).is_not(None), ~known, ~spoken_of))

"""Moving to another database: everything is carried over, compared, and can be done again."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Table, delete, select
from sqlmodel import Session, SQLModel, col

from beffroi.core.errors import ConflictError
from beffroi.core.outcomes import State
from beffroi.core.policies import read_policy
from beffroi.engine import nodes
from beffroi.engine.models import IS_OPEN, Job, Run
from beffroi.engine.queue import Loose, queue_of
from beffroi.store.db import Database
from beffroi.store.transfer import Content, content, copy


class Moved(NamedTuple):
    """What became of a table. `is_new`: it was copied now, not before."""

    table: str
    content: Content
    is_new: bool


def move(
    source: Database, target: Database, now: datetime, tell: Callable[[Moved], None] = lambda moved: None
) -> Sequence[Moved]:
    """Copy all tables, in one transaction of the target, and compare what is there with what was.

    The source must not be at work: what a stopped process held is put back first, as the next start
    would do. Nothing is copied when the target has it already. Raises ConflictError when the target has
    something else.
    """
    with source.write() as session:
        nodes.rescue(session, "", now)
    tables = SQLModel.metadata.sorted_tables
    with source.read() as old, target.write() as new:
        before = {table.name: content(old, table) for table in tables}
        present = {table.name: content(new, table) for table in tables}
        is_new = _must_be_copied(before, present)
        moved = [_carry(old, new, table, before[table.name], is_new, tell) for table in tables]
        if is_new:
            _offer_all(new)
    return moved


def _must_be_copied(before: dict[str, Content], present: dict[str, Content]) -> bool:
    if present == before:
        return False
    # A server that only looked in has left its name, and nothing that matters.
    full = [f"{name} ({found.rows} rows)" for name, found in present.items() if found.rows and name != "node"]
    if full:
        raise ConflictError(
            f"The target already holds something else: {', '.join(full)}. Nothing was changed; "
            "move into an empty database."
        )
    return True


def _carry(
    old: Session,
    new: Session,
    table: Table,
    expected: Content,
    is_new: bool,
    tell: Callable[[Moved], None],
) -> Moved:
    if is_new:
        new.execute(delete(table))
        copy(old, new, table)
        if content(new, table) != expected:
            raise ConflictError(f"What arrived in table {table.name} is not what was sent; nothing was kept.")
    moved = Moved(table.name, expected, is_new)
    tell(moved)
    return moved


def _offer_all(session: Session) -> None:
    """Put the runs that wait into the queue of the target, which knows nothing of them."""
    waiting = (
        select(col(Run.id), col(Run.due_at), col(Job.policy))
        .join(Job, col(Job.id) == col(Run.job_id))
        .where(IS_OPEN, col(Run.state) == State.PLANNED.value, col(Run.node_id).is_(None))
    )
    loose = [Loose(row.id, row.due_at, _priority(row.policy)) for row in session.execute(waiting)]
    queue_of(session).offer(session, loose)


def _priority(policy: str) -> int:
    try:
        return read_policy(policy).priority
    except ValueError:
        return 0  # whoever takes it parks the job as broken

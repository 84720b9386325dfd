"""Copies whole tables from one database to another, and compares them."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Table, func, insert, select, text
from sqlmodel import Session

CHUNK = 2_000
"""Rows in one statement."""


class Content(NamedTuple):
    """How many rows a table has, and a sum over all that is in them, whatever their order."""

    rows: int
    sum: int


def content(session: Session, table: Table) -> Content:
    """Read a whole table; equal tables have equal content, also in different databases."""
    rows = total = 0
    for chunk in _chunks(session, table):
        rows += len(chunk)
        total += sum(_digest(row) for row in chunk)
    return Content(rows, total % 2**64)


def copy(source: Session, target: Session, table: Table) -> None:
    """Copy all rows of a table, in the target's transaction."""
    for chunk in _chunks(source, table):
        target.execute(insert(table), [dict(zip(table.c.keys(), row, strict=True)) for row in chunk])
    _count_on(target, table)


def _chunks(session: Session, table: Table) -> Iterator[Sequence[Any]]:
    result = session.execute(select(table), execution_options={"yield_per": CHUNK})
    yield from result.partitions(CHUNK)


def _digest(row: Sequence[Any]) -> int:
    values = [value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value for value in row]
    return int.from_bytes(hashlib.sha256(repr(values).encode()).digest()[:8])


def _count_on(session: Session, table: Table) -> None:
    """Let new rows be numbered after those that were copied."""
    key = table.autoincrement_column
    if key is None or session.get_bind().dialect.name != "postgresql":
        return
    highest = session.scalar(select(func.max(key)))
    if highest is not None:
        session.execute(
            text("SELECT setval(pg_get_serial_sequence(:table, :column), :highest)"),
            {"table": table.name, "column": key.name, "highest": highest},
        )

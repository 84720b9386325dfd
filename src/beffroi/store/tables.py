"""Tables below their models, for statements that need no objects."""

from typing import Any, cast

from sqlalchemy import CursorResult, Table, inspect
from sqlalchemy.sql.dml import UpdateBase
from sqlmodel import Session, SQLModel


def table_of(model: type[SQLModel]) -> Table:
    """Return the table of a model."""
    return cast(Table, inspect(model).local_table)


def rows_touched(session: Session, statement: UpdateBase) -> int:
    """Execute an update or a delete; return how many rows it touched."""
    return cast("CursorResult[Any]", session.execute(statement)).rowcount

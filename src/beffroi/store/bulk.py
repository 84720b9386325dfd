"""Many rows in few statements: as arrays on PostgreSQL, as VALUES on SQLite.

Python's sqlite3 lets go of the interpreter lock for every row of an `executemany`, and must win it
back from the busiest thread each time: under load that makes a row a hundred times dearer than its
work. So the rows of a batch travel together, as the VALUES of one statement. Batches are cut into
powers of two, so that there are few different statements and each stays prepared.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from pydantic_core import from_json
from sqlalchemy import Connection, Dialect, Select, Table, func, select
from sqlmodel import Session

LARGEST = 512
"""Rows in one statement; SQLite allows 32 766 parameters."""

_Row = Sequence[Any]
_Process = Callable[[Any], Any] | None


class _Bulk(ABC):
    """What inserting and updating share: columns by name, converted by their SQLAlchemy types."""

    def __init__(self, table: Table, names: Sequence[str]) -> None:
        self._table = table
        self._names = list(names)
        self._processes: dict[str, list[_Process]] = {}
        self._statements: dict[tuple[str, int], str] = {}

    def execute(self, session: Session, rows: Sequence[_Row]) -> int:
        """Write the rows; return how many rows of the table were touched."""
        if not rows:
            return 0
        connection = session.connection()
        columns = self._convert(connection.dialect, rows)
        if connection.dialect.name == "postgresql":
            return self._write_columns(connection, columns)
        converted = list(zip(*columns, strict=True))
        return sum(self._write_rows(connection, chunk) for chunk in _in_powers_of_two(converted))

    def _write_columns(self, connection: Connection, columns: list[Any]) -> int:
        """Send each column as one array: PostgreSQL prepares one statement for any number of rows."""
        key = (connection.dialect.name, 0)
        if key not in self._statements:
            kinds = [self._table.c[name].type.compile(connection.dialect) for name in self._names]
            arrays = ", ".join(f"%s::{kind}[]" for kind in kinds)
            self._statements[key] = self._statement(
                f"unnest({arrays}) AS v({', '.join(self._names)})", "v.{}"
            )
        parameters = tuple(list(column) for column in columns)
        return connection.exec_driver_sql(self._statements[key], parameters).rowcount

    def _write_rows(self, connection: Connection, rows: Sequence[_Row]) -> int:
        """Send the rows as VALUES, whose columns SQLite names by their places."""
        key = (connection.dialect.name, len(rows))
        if key not in self._statements:
            marks = f"({', '.join('?' * len(self._names))})"
            self._statements[key] = self._statement(f"(VALUES {', '.join([marks] * len(rows))}) AS v", "")
        parameters = tuple(value for row in rows for value in row)
        return connection.exec_driver_sql(self._statements[key], parameters).rowcount

    def _given(self, style: str) -> dict[str, str]:
        """Say by column how its new value is called."""
        places = enumerate(self._names, start=1)
        return {name: style.format(name) if style else f"v.column{place}" for place, name in places}

    @abstractmethod
    def _statement(self, source: str, style: str) -> str:
        """Return the SQL that writes the rows of a source."""

    def _convert(self, dialect: Dialect, rows: Sequence[_Row]) -> list[Any]:
        """Convert a column at a time: most need no conversion, and the others one function."""
        if dialect.name not in self._processes:
            types = [self._table.c[name].type.dialect_impl(dialect) for name in self._names]
            self._processes[dialect.name] = [kind.bind_processor(dialect) for kind in types]
        return [
            column if process is None else [process(value) for value in column]
            for process, column in zip(self._processes[dialect.name], zip(*rows, strict=True), strict=True)
        ]


class BulkInsert(_Bulk):
    """Inserts rows of `names`; `constants` are the SQL of columns that are the same in all of them."""

    def __init__(self, table: Table, names: Sequence[str], constants: Mapping[str, str]) -> None:
        super().__init__(table, names)
        self._constants = dict(constants)

    def _statement(self, source: str, style: str) -> str:
        columns = ", ".join([*self._names, *self._constants])
        chosen = ", ".join([*self._given(style).values(), *self._constants.values()])
        return f"INSERT INTO {self._table.name} ({columns}) SELECT {chosen} FROM {source}"


class BulkUpdate(_Bulk):
    """Updates the row with the same `keys` in each row of `names`, which begin with the keys.

    `constants` are set to the same SQL in all of them; `condition` is SQL that must hold besides.
    """

    def __init__(
        self,
        table: Table,
        keys: Sequence[str],
        names: Sequence[str],
        constants: Mapping[str, str] | None = None,
        condition: str | None = None,
    ) -> None:
        super().__init__(table, names)
        self._keys = list(keys)
        self._constants = dict(constants or {})
        self._condition = condition

    def _statement(self, source: str, style: str) -> str:
        table, given = self._table.name, self._given(style)
        changed = {name: value for name, value in given.items() if name not in self._keys}
        settings = ", ".join(f"{name} = {value}" for name, value in {**changed, **self._constants}.items())
        match = [f"{table}.{key} = {given[key]}" for key in self._keys]
        match += [self._condition] if self._condition else []
        return f"UPDATE {table} SET {settings} FROM {source} WHERE {' AND '.join(match)}"


def _in_powers_of_two(rows: Sequence[_Row]) -> Iterator[Sequence[_Row]]:
    start, size = 0, LARGEST
    while start < len(rows):
        while size > len(rows) - start:
            size //= 2
        yield rows[start : start + size]
        start += size


Shape = TypeVar("Shape", bound=tuple[Any, ...])


class BulkSelect(Generic[Shape]):
    """Reads many rows as one: SQLite gathers them into a single JSON text, so the lock is let go once.

    `shape` is a named tuple; the statement selects its fields, in their order.
    """

    def __init__(self, statement: Select[Any], shape: Callable[[Iterable[Any]], Shape]) -> None:
        self._statement = statement
        self._types = [column.type for column in statement.selected_columns]
        rows = statement.subquery()
        self._gathered = select(func.json_group_array(func.json_array(*rows.c)))
        self._shape = shape

    def execute(self, session: Session, parameters: Mapping[str, Any]) -> list[Shape]:
        """Return the rows the statement selects with these parameters."""
        if session.get_bind().dialect.name != "sqlite":
            return [self._shape(row) for row in session.execute(self._statement, dict(parameters))]
        rows = from_json(session.execute(self._gathered, dict(parameters)).scalar_one())
        if not rows:
            return []
        dialect = session.get_bind().dialect
        processes = [kind.dialect_impl(dialect).result_processor(dialect, None) for kind in self._types]
        columns = [
            column if process is None else [process(value) for value in column]
            for process, column in zip(processes, zip(*rows, strict=True), strict=True)
        ]
        return [self._shape(row) for row in zip(*columns, strict=True)]

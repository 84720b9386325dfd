"""Column types that keep the house rules in the database."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, String
from sqlalchemy.types import TypeDecorator, TypeEngine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, in UTC: `timestamptz` on PostgreSQL, whole microseconds since 1970 on SQLite.

    SQLite has no type for moments; integers sort, compare and index better than its texts. To read
    them in the `sqlite3` shell: `datetime(next_due_at / 1e6, 'unixepoch', 'subsec')`.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(DateTime(timezone=True))

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:
        return _to_microseconds if dialect.name == "sqlite" else _refuse_naive

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        return _from_microseconds if dialect.name == "sqlite" else _in_utc


# The timer converts several moments a run: plain functions, without the detours of a TypeDecorator.


def _to_microseconds(value: datetime | None) -> int | None:
    # Subtracting the aware epoch refuses a naive moment.
    return None if value is None else (value - _EPOCH) // _MICROSECOND


def _from_microseconds(value: int | None) -> datetime | None:
    return None if value is None else _EPOCH + timedelta(microseconds=value)


def _refuse_naive(value: datetime | None) -> datetime | None:
    if value is not None and value.tzinfo is None:
        raise ValueError(f"a naive moment must not reach the database: {value!r}")
    return value


def _in_utc(value: datetime | None) -> datetime | None:
    return None if value is None else value.astimezone(UTC)


class EnumText(TypeDecorator[StrEnum]):
    """A choice, stored as its text."""

    impl = String(20)
    cache_ok = True

    def __init__(self, choices: type[StrEnum]) -> None:
        super().__init__()
        self.choices = choices

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:
        return _to_text

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        read = self.choices._value2member_map_
        return lambda value: None if value is None else read[value]


def _to_text(value: str | None) -> str | None:
    return None if value is None else str(value)


UNAUDITED: dict[str, Any] = {"info": {"audited": False}}
"""For a table whose rows no audit shows: keys, and the audit itself."""


def secret() -> dict[str, Any]:
    """Mark a column whose values no audit shows."""
    return {"info": {"secret": True}}

"""Durations as people write them: Go (`30s`, `1h30m`, `2d`) and ISO 8601 (`PT30S`, `P1D`)."""

from datetime import timedelta
from typing import Annotated

import durationpy
from pydantic import (
    AfterValidator,
    BeforeValidator,
    PlainSerializer,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)

EXAMPLES = "write it like '30s', '5m', '1h30m', '2d' or 'PT30S'"

_iso = TypeAdapter(timedelta)


def parse_duration(value: object) -> timedelta:
    """Read a duration.

    A bare number is refused: it does not say its unit. Raises ValueError with a sentence.
    """
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{value!r} is not a duration; {EXAMPLES}")
    text = value.strip()
    try:
        if text.lstrip("+-").upper().startswith("P"):
            return _iso.validate_python(text.upper())
        if text[-1].isdigit() and text != "0":
            raise ValueError("a bare number")
        return durationpy.from_str(text)
    except (ValueError, ValidationError):
        raise ValueError(f"{value!r} is not a duration; {EXAMPLES}") from None


def format_duration(value: timedelta) -> str:
    """Write a duration in Go form; `parse_duration` reads back the same value."""
    if value.microseconds % 1000 and abs(value) >= timedelta(seconds=1):
        # The formatter keeps milliseconds only: the rest goes into a last term of its own.
        rest = value.microseconds % 1000
        return f"{durationpy.to_str(value - timedelta(microseconds=rest))}{rest}us"
    return durationpy.to_str(value)


LONGEST = timedelta(days=3660)
"""Ten years: what is longer is a mistake, and sums of it run off the calendar."""


def _bounded(value: timedelta) -> timedelta:
    if value > LONGEST:
        raise ValueError("a duration is at most ten years (3660d)")
    return value


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("a duration must be longer than zero here")
    return _bounded(value)


def _not_negative(value: timedelta) -> timedelta:
    if value < timedelta(0):
        raise ValueError("a duration cannot be negative here")
    return _bounded(value)


_GO = r"([0-9]{1,9}(\.[0-9]{1,6})?(us|ms|s|m|h|d|w))+"
_ISO = r"P([0-9]{1,6}D)?(T([0-9]{1,6}H)?([0-9]{1,6}M)?([0-9]{1,9}(\.[0-9]{1,6})?S)?)?"


def _described(pattern: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^({pattern})$", "examples": list(examples)})


_schema = _described(f"0|{_GO}|{_ISO}", "30s", "1h30m", "PT5M")

Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    AfterValidator(_not_negative),
    PlainSerializer(format_duration, return_type=str),
    _schema,
]
"""A duration of zero or more."""

PositiveDuration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    AfterValidator(_positive),
    PlainSerializer(format_duration, return_type=str),
    _schema,
]
"""A duration longer than zero."""


NEVER = "never"


def _read_limit(value: object) -> object:
    return None if value == NEVER else value


TimeLimit = Annotated[
    PositiveDuration | None,
    BeforeValidator(_read_limit),
    PlainSerializer(lambda value: NEVER if value is None else format_duration(value), return_type=str),
    _described(f"{NEVER}|{_GO}|{_ISO}", "5m", NEVER),
]
"""A duration, or `never`: a word, because a TOML file and a merge patch cannot say null."""

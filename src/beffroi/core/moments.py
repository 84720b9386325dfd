"""Moments are aware datetimes in UTC; a zone is kept by its name, beside them."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, WithJsonSchema

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FOREVER = datetime(9000, 1, 1, tzinfo=UTC)
"""Beyond this moment nothing is planned: date arithmetic must not run off the calendar."""

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)

MICROSECOND = timedelta(microseconds=1)


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """Return the IANA zone of that name; ValueError with a sentence when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"{name!r} is not a time zone; use an IANA name such as 'Europe/Paris' or 'UTC'"
        ) from None


def _known_zone(name: str) -> str:
    zone_of(name)
    return name


def in_utc(moment: datetime, zone: str = "UTC") -> datetime:
    """Return the moment in UTC; a naive one is read as wall time in `zone`."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone_of(zone))
    try:
        found = aware.astimezone(UTC)
    except OverflowError:
        found = None
    if found is None or not EARLIEST <= found < FOREVER:
        raise ValueError(f"{moment.isoformat()} is outside the calendar, which goes from 1900 to 8999")
    return found


def _utc_moment(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a moment needs its offset, such as '2026-03-29T02:30:00+02:00' or a final 'Z'")
    return in_utc(moment)


ZoneName = Annotated[
    str,
    AfterValidator(_known_zone),
    WithJsonSchema({"type": "string", "examples": ["Europe/Paris", "UTC"]}),
]

Moment = Annotated[datetime, AfterValidator(_utc_moment)]
"""A point in time, given with an offset, kept in UTC."""

"""Windows as people write them at a workload: `Mon-Fri 07:30-20:30 Europe/Paris`.

One or several, separated by commas. Each is a span of wall-clock time on some days of the week (none
named: on all), in a zone (none named: the default one); one whose end is not after its start reaches
into the next day. Or it is a stretch between two moments: `2026-12-24T18:00:00Z-2026-12-27T06:00:00Z`.
Or `always`. Compatible with the annotations of py-kube-downscaler.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from beffroi.core.moments import in_utc, zone_of

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ALWAYS = "always"
LONGEST = 1_000
FIRST_MONDAY = datetime(2001, 1, 1)  # noqa: DTZ001  a date on the wall, put into a zone where it is used
LAST_DAY = datetime(8999, 12, 31, tzinfo=UTC)

_WEEKLY = re.compile(
    r"(?:(?P<first>[a-z]{3})(?:-(?P<last>[a-z]{3}))?\s+)?"
    r"(?P<start>\d{1,2}:\d{2})\s*-\s*(?P<end>\d{1,2}:\d{2})(?:\s+(?P<zone>\S+))?",
    re.IGNORECASE,
)
_MOMENT = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:?\d{2})"
_ABSOLUTE = re.compile(rf"(?P<start>{_MOMENT})\s*-\s*(?P<end>{_MOMENT})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Uptime:
    """One window: when it is up first, and by which cron line again (None: once)."""

    text: str
    start: datetime
    end: datetime
    zone: str
    recurrence: str | None


def read_uptime(text: str, default_zone: str) -> list[Uptime]:
    """Read windows; ValueError with a sentence that names the part which cannot be read."""
    if len(text) > LONGEST:
        raise ValueError(f"it is longer than {LONGEST} characters")
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise ValueError(
            "a window is missing beside a comma; write such as 'Mon-Fri 07:30-20:30 Europe/Paris'"
        )
    return [_window(part, default_zone) for part in parts]


def _window(part: str, default_zone: str) -> Uptime:
    if part.lower() == ALWAYS:
        return Uptime(part, FIRST_MONDAY.replace(tzinfo=UTC), LAST_DAY, "UTC", None)
    if found := _WEEKLY.fullmatch(part):
        zone = found["zone"] or default_zone
        return _weekly(part, (found["first"], found["last"]), (found["start"], found["end"]), zone)
    if found := _ABSOLUTE.fullmatch(part):
        return _absolute(part, found["start"], found["end"])
    raise ValueError(f"{part!r} is not a window; write such as 'Mon-Fri 07:30-20:30 Europe/Paris'")


def _weekly(part: str, days: tuple[str | None, str | None], times: tuple[str, str], zone: str) -> Uptime:
    try:
        where = zone_of(zone)
    except ValueError as error:
        raise ValueError(f"{part!r}: {error}") from None
    numbers = _days(part, *days)
    start, end = (_minutes(part, time) for time in times)
    if start == 24 * 60:
        raise ValueError(f"{part!r}: a window begins at 23:59 at the latest")
    length = timedelta(minutes=end - start if end > start else end - start + 24 * 60)
    begin = FIRST_MONDAY + timedelta(days=numbers[0], minutes=start)
    return Uptime(
        text=part,
        start=begin.replace(tzinfo=where),
        end=(begin + length).replace(tzinfo=where),
        zone=zone,
        recurrence=f"{start % 60} {start // 60} * * {_cron_days(numbers)}",
    )


def _days(part: str, first: str | None, last: str | None) -> list[int]:
    if first is None:
        return list(range(7))
    numbers = []
    for name in (first, last or first):
        if name.lower() not in DAYS:
            raise ValueError(f"{part!r}: {name!r} is not a day; they are Mon, Tue, Wed, Thu, Fri, Sat, Sun")
        numbers.append(DAYS.index(name.lower()))
    begin, end = numbers
    return [day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)]


def _minutes(part: str, time: str) -> int:
    hours, minutes = (int(number) for number in time.split(":"))
    if minutes > 59 or hours * 60 + minutes > 24 * 60:
        raise ValueError(f"{part!r}: {time!r} is not a time between 00:00 and 24:00")
    return hours * 60 + minutes


def _cron_days(numbers: list[int]) -> str:
    return "*" if len(numbers) == 7 else ",".join(DAYS[number].upper() for number in numbers)


def _absolute(part: str, start: str, end: str) -> Uptime:
    try:
        begin, over = (in_utc(datetime.fromisoformat(text)) for text in (start, end))
    except ValueError as error:
        raise ValueError(f"{part!r}: {error}") from None
    if over <= begin:
        raise ValueError(f"{part!r} ends before it begins")
    return Uptime(part, begin, over, "UTC", None)

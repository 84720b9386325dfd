"""Windows as people write them, against the wall clock itself."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beffroi.domains.workloads.uptime import DAYS, read_uptime
from beffroi.domains.workloads.windows import window_of

MONDAY = datetime(2026, 2, 2, tzinfo=UTC)
"""A month without a change of the clocks."""


def is_up(text: str, moment: datetime, default_zone: str = "UTC") -> bool:
    for each in read_uptime(text, default_zone):
        start, end = each.start.astimezone(UTC), each.end.astimezone(UTC)
        if window_of(start, end, each.recurrence, each.zone).window_at(moment) is not None:
            return True
    return False


@settings(deadline=None)
@given(
    first=st.integers(0, 6),
    last=st.integers(0, 6),
    start=st.integers(0, 24 * 60 - 1),
    end=st.integers(0, 24 * 60),
    zone=st.sampled_from(["UTC", "Europe/Paris", "America/New_York"]),
    minute=st.integers(0, 14 * 24 * 60),
)
def test_it_is_up_when_the_wall_clock_says_so(
    first: int, last: int, start: int, end: int, zone: str, minute: int
) -> None:
    times = "-".join(f"{m // 60:02}:{m % 60:02}" for m in (start, end))
    text = f"{DAYS[first].capitalize()}-{DAYS[last]} {times} {zone}"
    moment = MONDAY + timedelta(minutes=minute)
    there = moment.astimezone(ZoneInfo(zone))
    now = there.hour * 60 + there.minute
    days = {(first + n) % 7 for n in range((last - first) % 7 + 1)}
    today, yesterday = there.weekday() in days, (there.weekday() - 1) % 7 in days
    if end > start:
        expected = today and start <= now < end
    else:
        expected = (today and now >= start) or (yesterday and now < end)
    assert is_up(text, moment) == expected


@pytest.mark.parametrize(
    ("text", "moment", "up"),
    [
        ("22:00-06:00", "2026-02-02T23:00:00+00:00", True),
        ("22:00-06:00", "2026-02-03T05:59:00+00:00", True),
        ("22:00-06:00", "2026-02-03T06:00:00+00:00", False),
        ("Mon-Fri 07:30-20:30 Europe/Paris", "2026-07-06T05:30:00+00:00", True),
        ("Mon-Fri 07:30-20:30 Europe/Paris", "2026-07-05T12:00:00+00:00", False),
        ("Mon 08:00-12:00, Tue 14:00-18:00", "2026-02-03T15:00:00+00:00", True),
        ("Sat-Sun 00:00-24:00 UTC", "2026-02-07T23:59:59+00:00", True),
        ("always", "2026-02-03T00:00:00+00:00", True),
        ("always", "2026-10-25T00:30:00+00:00", True),
        ("always", "2026-10-25T23:30:00+00:00", True),
        ("2026-12-24T18:00:00Z-2026-12-27T06:00:00+00:00", "2026-12-25T00:00:00+00:00", True),
        ("2026-12-24T18:00:00Z-2026-12-27T06:00:00+00:00", "2026-12-27T06:00:00+00:00", False),
    ],
)
def test_examples(text: str, moment: str, up: bool) -> None:
    assert is_up(text, datetime.fromisoformat(moment)) is up


def test_always_has_no_edges_to_look_through() -> None:
    (always,) = read_uptime("Always", "Europe/Paris")
    window = window_of(always.start, always.end, always.recurrence, always.zone)
    assert window.next_after(MONDAY) == always.end


def test_the_default_zone_is_the_settings_own() -> None:
    noon = datetime(2026, 7, 6, 5, 30, tzinfo=UTC)
    assert is_up("07:30-08:00", noon, "Europe/Paris")
    assert not is_up("07:30-08:00", noon, "UTC")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "a window is missing"),
        ("Mon-Fri 07:30-20:30,", "a window is missing"),
        ("whenever", "'whenever' is not a window"),
        ("Mon-Fry 07:30-20:30", "'Fry' is not a day"),
        ("07:30-25:00", "'25:00' is not a time"),
        ("07:61-08:00", "'07:61' is not a time"),
        ("24:00-06:00", "begins at 23:59 at the latest"),
        ("07:30-20:30 Europe/Pari", "Europe/Pari"),
        ("2026-12-27T06:00:00Z-2026-12-24T18:00:00Z", "ends before it begins"),
        ("2026-13-27T06:00:00Z-2026-12-24T18:00:00Z", "month must be in 1..12"),
        ("0001-01-01T00:00:00+05:00-2026-01-01T00:00:00Z", "outside the calendar"),
        ("2026-01-01T00:00:00Z-9999-12-31T23:59:59Z", "outside the calendar"),
        ("x" * 2000, "longer than"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence.replace("..", r"\.\.")):
        read_uptime(text, "UTC")


@given(st.text(max_size=60))
def test_nothing_crashes_it(text: str) -> None:
    with suppress(ValueError):
        assert read_uptime(text, "UTC")

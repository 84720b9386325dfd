"""Where a schedule stands."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beffroi.domains.workloads.models import Status
from beffroi.domains.workloads.windows import status_at, window_of

TEN = datetime(2026, 4, 20, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("moment", "status"),
    [
        (TEN - timedelta(microseconds=1), Status.SCHEDULED),
        (TEN, Status.RUNNING),
        (TEN + HOUR - timedelta(microseconds=1), Status.RUNNING),
        (TEN + HOUR, Status.COMPLETED),
        (TEN + 900 * HOUR, Status.COMPLETED),
    ],
)
def test_a_window_is_half_open(moment: datetime, status: Status) -> None:
    assert status_at(window_of(TEN, TEN + HOUR, None, "UTC"), moment) is status


def test_a_recurring_one_is_scheduled_again_between_its_windows() -> None:
    daily = window_of(TEN, TEN + HOUR, "0 10 * * *", "UTC")
    assert status_at(daily, TEN + 90 * timedelta(days=1)) is Status.RUNNING
    assert status_at(daily, TEN + 90 * timedelta(days=1) + HOUR) is Status.SCHEDULED


def test_an_rrule_that_ends_is_completed() -> None:
    twice = window_of(TEN, TEN + HOUR, "RRULE:FREQ=DAILY;COUNT=2", "Europe/Paris")
    assert status_at(twice, TEN + 24 * HOUR) is Status.RUNNING
    assert status_at(twice, TEN + 25 * HOUR) is Status.COMPLETED


def test_a_recurrence_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="has 5 fields"):
        window_of(TEN, TEN + HOUR, "now and then", "UTC")


@settings(max_examples=80, deadline=None)
@given(
    length=st.integers(1, 3 * 24 * 60),
    hours=st.sampled_from(["0 22 * * *", "30 2 * * *", "*/45 * * * *", "0 0 * * MON"]),
    zone=st.sampled_from(["UTC", "Europe/Paris", "America/New_York"]),
    minute=st.integers(0, 20 * 24 * 60),
)
def test_it_runs_when_brute_force_finds_a_window(length: int, hours: str, zone: str, minute: int) -> None:
    start = datetime(2026, 3, 20, tzinfo=UTC)
    window = window_of(start, start + timedelta(minutes=length), hours, zone)
    moment = start + timedelta(minutes=minute)
    assert window.starts is not None
    held = False
    begin = window.starts.next_after(start - timedelta(microseconds=1))
    while begin is not None and begin <= moment:
        held = held or moment < begin + timedelta(minutes=length)
        begin = window.starts.next_after(begin)
    assert status_at(window, moment) is (Status.RUNNING if held else Status.SCHEDULED)

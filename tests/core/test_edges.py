"""Edges of windows: one-off, by cron, by RRULE."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from beffroi.core.triggers import enumerate_moments
from beffroi.core.triggers.cron import Cron
from beffroi.core.triggers.edges import Edges
from beffroi.core.triggers.rrule import RRule

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)


def recurring(line: str, length: timedelta, zone: str = "UTC", since: datetime | None = None) -> Edges:
    return Edges(starts=Cron(line=line, zone=zone), length=length, since=since)


def test_one_window_has_two_edges_and_is_half_open() -> None:
    window = Edges(start=NINE, end=NINE + timedelta(hours=1))
    assert list(enumerate_moments(window, NINE - timedelta(days=1), 5)) == [NINE, NINE + timedelta(hours=1)]
    assert window.window_at(NINE) is not None
    assert window.window_at(NINE + timedelta(hours=1)) is None
    assert window.is_over(NINE + timedelta(hours=1))


def test_adjacent_windows_share_an_edge() -> None:
    hourly = recurring("0 * * * *", timedelta(hours=1))
    moments = list(enumerate_moments(hourly, NINE, 3))
    assert moments == [NINE + timedelta(hours=n) for n in (1, 2, 3)]


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/New_York", "Australia/Lord_Howe"])
def test_a_window_over_a_change_of_the_clock_keeps_its_length(zone: str) -> None:
    nightly = recurring("30 1 * * *", timedelta(hours=3), zone)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    for _ in range(400):
        start = nightly.starts.next_after(moment) if nightly.starts else None
        assert start is not None
        assert nightly.window_at(start) == (start, start + timedelta(hours=3))
        assert nightly.window_at(start + timedelta(hours=3)) is None
        moment = start


def test_windows_before_since_do_not_count() -> None:
    daily = recurring("0 9 * * *", timedelta(hours=2), since=NINE + timedelta(days=3))
    first = next(iter(enumerate_moments(daily, NINE - timedelta(days=30), 1)))
    assert first == NINE + timedelta(days=3)
    assert daily.window_at(NINE + timedelta(hours=1)) is None


def test_an_rrule_ends_when_it_says() -> None:
    rule = RRule(rule="FREQ=DAILY;COUNT=3", start=NINE, zone="Europe/Paris")
    window = Edges(starts=rule, length=timedelta(hours=1))
    assert len(list(enumerate_moments(window, NINE - timedelta(days=1), 20))) == 6
    assert window.is_over(NINE + timedelta(days=10))


def test_an_rrule_keeps_its_wall_time_over_the_change_of_the_clock() -> None:
    rule = RRule(rule="FREQ=WEEKLY;BYDAY=MO", start=datetime(2026, 3, 23, 8, tzinfo=UTC), zone="Europe/Paris")
    first, second = enumerate_moments(rule, datetime(2026, 3, 22, tzinfo=UTC), 2)
    assert (first.hour, second.hour) == (8, 7)


def test_until_of_an_rrule_may_be_in_utc() -> None:
    rule = RRule(rule="FREQ=DAILY;UNTIL=20260305T090000Z", start=NINE)
    assert len(list(enumerate_moments(rule, NINE - timedelta(days=1), 20))) == 4


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=SOMETIMES",
        "nonsense",
        "FREQ=DAILY;DTSTART=20260101T000000",
        "COUNT=3",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=SECONDLY",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
    ],
)
def test_a_bad_rrule_is_refused(rule: str) -> None:
    with pytest.raises(ValidationError):
        RRule(rule=rule, start=NINE)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"start": NINE},
        {"start": NINE, "end": NINE},
        {"start": NINE, "end": NINE - timedelta(hours=1)},
        {"starts": {"kind": "cron", "line": "0 9 * * *"}},
        {"starts": {"kind": "cron", "line": "0 9 * * *"}, "length": "1h", "start": NINE},
    ],
)
def test_a_window_without_an_inside_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Edges.model_validate(fields)


@settings(max_examples=60, deadline=None)
@given(
    line=st.sampled_from(["0 9 * * *", "0 22 * * 5", "*/20 * * * *", "30 2 * * *", "0 0 1 * *"]),
    length=st.sampled_from([timedelta(minutes=7), timedelta(minutes=19)]),
    zone=st.sampled_from(["UTC", "Europe/Paris", "Pacific/Apia"]),
    start=st.datetimes(datetime(2026, 2, 1), datetime(2026, 12, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_a_window_holds_a_moment_just_between_its_edges(
    line: str, length: timedelta, zone: str, start: datetime
) -> None:
    window = recurring(line, length, zone)
    for edge in enumerate_moments(window, start, 6):
        before = window.window_at(edge - timedelta(microseconds=1))
        at = window.window_at(edge)
        assert before != at, "at an edge something changes"

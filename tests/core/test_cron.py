"""Cron lines, against brute force, in zones that do everything a clock can do."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from beffroi.core.triggers import enumerate_moments
from beffroi.core.triggers.base import count_by_walking
from beffroi.core.triggers.cron import Cron
from beffroi.core.triggers.walls import Fold, Gap
from tests.core.oracle import brute_force

# Zone and a moment near which its clock does something: gaps, folds, half-hour folds, midnights that
# do not exist, negative daylight saving, a lost day, a repeated day.
EVENTS = [
    ("Europe/Paris", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Europe/Paris", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2025, 4, 24, 22, tzinfo=UTC)),
    ("America/Asuncion", datetime(2023, 10, 1, 4, tzinfo=UTC)),
    ("Europe/Dublin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("Africa/Casablanca", datetime(2026, 2, 15, 2, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
    ("Pacific/Kwajalein", datetime(1993, 8, 21, 12, tzinfo=UTC)),
    ("Pacific/Kwajalein", datetime(1969, 9, 30, 13, tzinfo=UTC)),
    ("Asia/Kathmandu", datetime(2026, 6, 1, tzinfo=UTC)),
    ("Etc/GMT+2", datetime(2026, 6, 1, tzinfo=UTC)),
    ("UTC", datetime(2026, 12, 31, 23, tzinfo=UTC)),
]

minutes = st.sampled_from(["*", "*/7", "0", "30", "59", "0,30", "15-45/10", "5"])
hours = st.sampled_from(["*", "*/5", "0", "1", "2", "3", "23", "1-3", "0,12"])
days = st.sampled_from(["*", "*/2", "1", "29-31", "L", "1,15,25"])
months = st.sampled_from(["*", "*/2", "3,10", "JAN-DEC"])
weekdays = st.sampled_from(["*", "SUN", "1-5", "7", "SUN#1", "5L"])
lines = st.builds(" ".join, st.tuples(minutes, hours, days, months, weekdays))


@settings(max_examples=150, deadline=None)
@given(
    line=lines,
    event=st.sampled_from(EVENTS),
    gap=st.sampled_from([None, *Gap]),
    fold=st.sampled_from([None, *Fold]),
    before=st.timedeltas(timedelta(0), timedelta(hours=30)),
)
def test_it_fires_when_brute_force_says(
    line: str, event: tuple[str, datetime], gap: Gap | None, fold: Fold | None, before: timedelta
) -> None:
    zone, around = event
    cron = Cron(line=line, zone=zone, gap=gap, fold=fold)
    after, until = around - before, around + timedelta(hours=30)
    expected = brute_force(cron, after, until)
    found = [moment for moment in enumerate_moments(cron, after, len(expected) + 1) if moment <= until]
    assert found == expected, f"{cron!r} after {after}"
    assert cron.count_between(after, until) == len(expected)
    assert cron.last_between(after, until) == (expected[-1] if expected else None)


@settings(max_examples=30, deadline=None)
@given(line=lines, zone=st.sampled_from([zone for zone, _ in EVENTS]), days=st.integers(1, 40))
def test_counting_by_days_is_counting_one_by_one(line: str, zone: str, days: int) -> None:
    cron = Cron(line=line, zone=zone)
    after = datetime(2026, 3, 10, 5, 17, tzinfo=UTC)
    until = after + timedelta(days=days)
    assert cron.count_between(after, until) == count_by_walking(cron, after, until)


PARIS_GAP = datetime(2026, 3, 28, 12, tzinfo=UTC)
PARIS_FOLD = datetime(2026, 10, 24, 12, tzinfo=UTC)


def on_day(moments: list[datetime], day: datetime) -> list[str]:
    return [f"{moment:%H:%M}" for moment in moments if moment.date() == day.date()]


@pytest.mark.parametrize(
    ("gap", "expected"), [(None, ["01:00"]), ("first_valid", ["01:00"]), ("shift", ["01:30"]), ("skip", [])]
)
def test_a_line_in_the_gap_of_paris(gap: Gap | None, expected: list[str]) -> None:
    cron = Cron(line="30 2 * * *", zone="Europe/Paris", gap=gap)
    moments = list(enumerate_moments(cron, PARIS_GAP, 2))
    assert on_day(moments, datetime(2026, 3, 29, tzinfo=UTC)) == expected


@pytest.mark.parametrize(
    ("fold", "expected"),
    [(None, ["00:30"]), ("first", ["00:30"]), ("last", ["01:30"]), ("both", ["00:30", "01:30"])],
)
def test_a_line_in_the_fold_of_paris(fold: Fold | None, expected: list[str]) -> None:
    cron = Cron(line="30 2 * * *", zone="Europe/Paris", fold=fold)
    moments = list(enumerate_moments(cron, PARIS_FOLD, 3))
    assert on_day(moments, datetime(2026, 10, 25, tzinfo=UTC)) == expected


def test_several_times_in_one_gap_become_one() -> None:
    cron = Cron(line="0,15,30 2 * * *", zone="Europe/Paris")
    moments = list(enumerate_moments(cron, PARIS_GAP, 2))
    assert on_day(moments, datetime(2026, 3, 29, tzinfo=UTC)) == ["01:00"]


def test_a_star_line_follows_real_time_through_the_fold() -> None:
    cron = Cron(line="*/30 * * * *", zone="Europe/Paris")
    moments = list(enumerate_moments(cron, datetime(2026, 10, 24, 23, 45, tzinfo=UTC), 6))
    assert {later - sooner for sooner, later in itertools.pairwise(moments)} == {timedelta(minutes=30)}


def test_day_of_month_and_weekday_follow_vixie() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    either = list(enumerate_moments(Cron(line="0 0 13 * FRI"), start, 4))
    assert [moment.day for moment in either] == [2, 9, 13, 16]
    both = list(enumerate_moments(Cron(line="0 0 */2 * FRI"), start, 3))
    assert all(moment.day % 2 == 1 and moment.weekday() == 4 for moment in both)


def test_six_fields_need_their_dialect() -> None:
    cron = Cron(line="*/10 * * * * *", dialect="seconds")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert [moment.second for moment in enumerate_moments(cron, start, 3)] == [10, 20, 30]
    with pytest.raises(ValidationError, match='set "dialect": "seconds"'):
        Cron(line="*/10 * * * * *")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("0 0 31 2 *", "never fires: no such date exists"),
        ("0 0 30 2 *", "never fires: no such date exists"),
        ("61 * * * *", "bad minute"),
        ("* 25 * * *", "bad hour"),
        ("0 0 32 * *", "bad day-of-month"),
        ("* * *", "has 5 fields, this one has 3"),
        ("", "has 5 fields, this one has 0"),
        ("0 0 * * FOO", "bad day-of-week"),
        ("*/0 * * * *", "bad minute"),
    ],
)
def test_a_bad_line_is_refused_with_its_reason(line: str, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        Cron(line=line)


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="'Mars/Olympus' is not a time zone"):
        Cron(line="* * * * *", zone="Mars/Olympus")

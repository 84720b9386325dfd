"""Intervals sit on an anchored grid and count by arithmetic."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from beffroi.core.triggers import enumerate_moments
from beffroi.core.triggers.base import count_by_walking
from beffroi.core.triggers.interval import Interval

moments = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(every=st.timedeltas(timedelta(milliseconds=10), timedelta(days=400)), anchor=moments, moment=moments)
def test_the_next_moment_is_the_nearest_on_the_grid(
    every: timedelta, anchor: datetime, moment: datetime
) -> None:
    following = Interval(every=every, anchor=anchor).next_after(moment)
    assert following is not None
    assert (following - anchor) % every == timedelta(0)
    assert following - every <= moment < following


@given(
    every=st.timedeltas(timedelta(minutes=1), timedelta(days=2)),
    anchor=moments,
    after=moments,
    span=st.timedeltas(timedelta(0), timedelta(days=2)),
)
def test_counting_is_counting_one_by_one(
    every: timedelta, anchor: datetime, after: datetime, span: timedelta
) -> None:
    interval = Interval(every=every, anchor=anchor)
    found = [m for m in enumerate_moments(interval, after, 3000) if m <= after + span]
    assert (
        interval.count_between(after, after + span)
        == len(found)
        == count_by_walking(interval, after, after + span)
    )
    assert interval.last_between(after, after + span) == (found[-1] if found else None)


def test_a_year_of_30_seconds_is_counted_without_walking() -> None:
    interval = Interval(every=timedelta(seconds=30), anchor=datetime(2025, 1, 1, tzinfo=UTC))
    start = datetime(2025, 1, 1, tzinfo=UTC)
    assert interval.count_between(start, start + timedelta(days=365)) == 1_051_200


@pytest.mark.parametrize("every", ["0s", "-5s", "1ms", "4000d", "5"])
def test_an_unreasonable_interval_is_refused(every: str) -> None:
    with pytest.raises(ValidationError):
        Interval(every=every)


def test_a_naive_anchor_is_refused() -> None:
    with pytest.raises(ValidationError, match="needs its offset"):
        Interval(every=timedelta(seconds=5), anchor=datetime(2026, 1, 1))  # noqa: DTZ001  that is the point


def test_it_ends_before_the_calendar_does() -> None:
    assert Interval(every=timedelta(days=1)).next_after(datetime(9500, 1, 1, tzinfo=UTC)) is None

"""Boundaries of several windows, against a search."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from beffroi.core.triggers import enumerate_moments
from beffroi.core.triggers.boundaries import Boundaries
from beffroi.core.triggers.cron import Cron
from beffroi.core.triggers.edges import Edges

START = datetime(2026, 3, 27, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY_BY_DAY = Edges(starts=Cron(line="0 22 * * *", zone="Europe/Paris"), length=timedelta(hours=8))

spans = st.tuples(st.integers(0, 200), st.integers(1, 50))


@given(windows=st.lists(spans, max_size=5), moments=st.lists(st.integers(0, 250), max_size=4))
def test_they_fire_at_every_edge_once(windows: list[tuple[int, int]], moments: list[int]) -> None:
    edges = [Edges(start=START + a * MINUTE, end=START + (a + n) * MINUTE) for a, n in windows]
    rule = Boundaries(windows=tuple(edges), moments=tuple(START + m * MINUTE for m in moments))
    expected = sorted({m for a, n in windows for m in (a, a + n)} | set(moments))
    found = [(at - START) // MINUTE for at in enumerate_moments(rule, START - MINUTE, 100)]
    assert found == expected
    assert rule.count_between(START - MINUTE, START + 300 * MINUTE) == len(expected)


def test_a_year_of_two_windows_that_touch_is_counted_quickly() -> None:
    by_day = Edges(starts=Cron(line="0 6 * * *", zone="Europe/Paris"), length=timedelta(hours=16))
    rule = Boundaries(windows=(DAY_BY_DAY, by_day))
    # Each begins where the other ends, but on the two nights when the clocks change.
    assert rule.count_between(START, START + timedelta(days=365)) == 2 * 365 + 2


def test_nothing_said_nothing_fires() -> None:
    assert Boundaries().next_after(START) is None

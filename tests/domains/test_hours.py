"""Hours up and down, from what was found."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from beffroi.domains.workloads.hours import hours, stretches
from beffroi.domains.workloads.models import Observed

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_up_for_a_third() -> None:
    changes = [
        (START - HOUR, Observed.DOWN),
        (START + 8 * HOUR, Observed.UP),
        (START + 16 * HOUR, Observed.DOWN),
    ]
    found = hours(stretches(changes, START, START + 24 * HOUR))
    assert (found.up, found.down) == (8 * HOUR, 16 * HOUR)
    assert found.saved is not None
    assert round(found.saved, 3) == 0.667


def test_what_is_not_known_counts_for_neither() -> None:
    found = hours(stretches([(START + HOUR, Observed.UNKNOWN)], START, START + 24 * HOUR))
    assert (found.up, found.down, found.saved) == (timedelta(0), timedelta(0), None)


@given(st.lists(st.tuples(st.integers(-50, 50), st.sampled_from(list(Observed))), max_size=20))
def test_the_stretches_are_the_whole_span(made: list[tuple[int, Observed]]) -> None:
    changes = sorted(((START + at * HOUR, observed) for at, observed in made), key=lambda change: change[0])
    found = stretches(changes, START, START + 24 * HOUR)
    assert found[0].since == START
    assert found[-1].until == START + 24 * HOUR
    for before, after in pairwise(found):
        assert before.until == after.since

"""What is wanted, against a search that looks at every minute."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from beffroi.core.triggers.cron import Cron
from beffroi.core.triggers.edges import Edges
from beffroi.domains.workloads.rules import Override, Wanted, Window, natural_end, next_change, wanted

START = datetime(2026, 3, 20, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HORIZON = 400
"""Minutes that the search looks at."""


def at(minute: int) -> datetime:
    return START + minute * MINUTE


spans = st.tuples(st.integers(0, 300), st.integers(1, 90)).map(lambda pair: (pair[0], pair[0] + pair[1]))
made = st.tuples(
    st.sampled_from(list(Wanted)), st.integers(0, 300), st.one_of(st.none(), st.integers(1, 120))
)


def windows_of(found: Sequence[tuple[int, int]]) -> list[Window]:
    return [
        Window(number, f"schedule {number}", Edges(start=at(start), end=at(end)))
        for number, (start, end) in enumerate(found, 1)
    ]


def overrides_of(found: Sequence[tuple[Wanted, int, int | None]]) -> list[Override]:
    return [
        Override(number, said, at(since), at(since + length) if length else None, "ada")
        for number, (said, since, length) in enumerate(found, 1)
    ]


def searched(
    minute: int, windows: Sequence[tuple[int, int]], overrides: Sequence[tuple[Wanted, int, int | None]]
) -> Wanted:
    """Say what is wanted as one would by hand."""
    spoken = [
        (since, number, said)
        for number, (said, since, length) in enumerate(overrides)
        if since <= minute and (length is None or minute < since + length)
    ]
    if spoken:
        return max(spoken)[2]
    if any(start <= minute < end for start, end in windows):
        return Wanted.UP
    return Wanted.DOWN if windows else Wanted.LEAVE


@settings(max_examples=200, deadline=None)
@given(st.lists(spans, max_size=5), st.lists(made, max_size=4), st.integers(-10, 350))
def test_it_is_what_a_search_finds(
    windows: list[tuple[int, int]], overrides: list[tuple[Wanted, int, int | None]], minute: int
) -> None:
    given_windows, given_overrides = windows_of(windows), overrides_of(overrides)
    verdict = wanted(at(minute), given_windows, given_overrides)
    assert verdict.wanted is searched(minute, windows, overrides)
    if verdict.winner is not None:
        assert verdict.winner.since <= at(minute)
        assert verdict.winner.until is None or at(minute) < verdict.winner.until
        assert verdict.winner not in verdict.overruled


@settings(max_examples=200, deadline=None)
@given(st.lists(spans, max_size=5), st.lists(made, max_size=3), st.integers(-10, 300))
def test_the_next_change_is_the_first_that_a_search_finds(
    windows: list[tuple[int, int]], overrides: list[tuple[Wanted, int, int | None]], minute: int
) -> None:
    found = next_change(at(minute), windows_of(windows), overrides_of(overrides))
    present = searched(minute, windows, overrides)
    later = (m for m in range(minute + 1, 600) if searched(m, windows, overrides) is not present)
    first = next(later, None)
    if first is None:
        assert found is None
    else:
        assert found == (at(first), searched(first, windows, overrides))


def test_adjacent_windows_do_not_bounce() -> None:
    windows = windows_of([(0, 60), (60, 120), (90, 150)])
    assert next_change(at(10), windows, ()) == (at(150), Wanted.DOWN)


def test_an_overnight_window_over_a_change_of_the_clocks() -> None:
    nights = Edges(
        starts=Cron(line="0 22 * * *", zone="Europe/Paris"), length=timedelta(hours=8), since=START
    )
    window = [Window(1, "nights", nights)]
    evening = datetime(2026, 3, 28, 21, 30, tzinfo=UTC)  # 22:30 in Paris; the clocks jump in this night
    assert wanted(evening, window, ()).wanted is Wanted.UP
    assert next_change(evening, window, ()) == (datetime(2026, 3, 29, 5, 0, tzinfo=UTC), Wanted.DOWN)


def test_a_manual_up_runs_to_the_end_of_its_window_or_of_the_next() -> None:
    windows = windows_of([(60, 120), (120, 180), (300, 360)])
    assert natural_end(Wanted.UP, at(10), windows) == at(180)
    assert natural_end(Wanted.UP, at(70), windows) == at(180)
    assert natural_end(Wanted.UP, at(200), windows) == at(360)
    assert natural_end(Wanted.UP, at(400), windows) is None


def test_a_manual_down_stays_to_the_next_boundary() -> None:
    windows = windows_of([(60, 120), (300, 360)])
    for said in (Wanted.DOWN, Wanted.LEAVE):
        assert natural_end(said, at(10), windows) == at(60)
        assert natural_end(said, at(70), windows) == at(120)
        assert natural_end(said, at(130), windows) == at(300)


def test_the_word_that_was_said_last_counts() -> None:
    overrides = overrides_of([(Wanted.UP, 0, 100), (Wanted.DOWN, 10, 20), (Wanted.LEAVE, 15, 5)])
    told = [wanted(at(minute), windows_of([(0, 200)]), overrides) for minute in (5, 12, 17, 25, 35, 150)]
    assert [verdict.wanted for verdict in told] == ["up", "down", "leave", "down", "up", "up"]
    assert [len(verdict.overruled) for verdict in told] == [1, 2, 3, 2, 1, 0]
    assert told[0].winner is not None
    assert told[0].winner.source == overrides[0]


def test_where_nobody_says_anything_it_is_left_alone() -> None:
    assert wanted(START, (), ()).wanted is Wanted.LEAVE
    assert next_change(START, (), ()) is None

"""The week as a drawing: every minute of every window is in a block, and no two blocks lie on each other."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from beffroi.core.triggers.cron import Cron
from beffroi.core.triggers.edges import Edges
from beffroi.domains.workloads.calendar import Shown, strip, week_of, windows_between
from beffroi.domains.workloads.rules import Override, Wanted, Window
from beffroi.domains.workloads.voices import Voices

MONDAY = date(2026, 2, 2)
START = datetime(2026, 2, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
NIGHTLY = Edges(starts=Cron(line="0 22 * * *", zone="UTC"), length=8 * HOUR)

spans = st.tuples(st.integers(-600, 7 * 24 * 60), st.integers(1, 3000))


@settings(deadline=None)
@given(st.lists(spans, max_size=6), st.lists(st.integers(0, 7 * 24 * 60 - 1), max_size=20))
def test_the_blocks_are_the_windows(made: list[tuple[int, int]], minutes: list[int]) -> None:
    shown = [
        Shown(
            number,
            str(number),
            Edges(start=START + timedelta(minutes=a), end=START + timedelta(minutes=a + n)),
            True,
        )
        for number, (a, n) in enumerate(made)
    ]
    blocks = week_of(MONDAY, ZoneInfo("UTC"), shown)
    for minute in minutes:
        day, within = divmod(minute, 24 * 60)
        here = [each for each in blocks if each.day == day and each.top <= within < each.bottom]
        assert {each.schedule_id for each in here} == {
            number for number, (a, n) in enumerate(made) if a <= minute < a + n
        }
        assert len({each.lane for each in here}) == len(here)
        assert all(each.lane < each.lanes for each in here)


def test_a_night_is_cut_at_midnight_and_the_first_one_reaches_in() -> None:
    blocks = week_of(MONDAY, ZoneInfo("UTC"), [Shown(1, "n", NIGHTLY, True)])
    monday = [(each.top, each.bottom) for each in blocks if each.day == 0]
    assert monday == [(0, 360), (1320, 1440)]
    assert len(blocks) == 14


def test_a_week_with_a_change_of_the_clocks_is_drawn_by_the_wall() -> None:
    paris = ZoneInfo("Europe/Paris")
    by_day = Edges(starts=Cron(line="0 8 * * *", zone="Europe/Paris"), length=10 * HOUR)
    blocks = week_of(date(2026, 3, 23), paris, [Shown(1, "d", by_day, True)])
    assert [(each.day, each.top, each.bottom) for each in blocks] == [(day, 480, 1080) for day in range(7)]


def test_windows_are_found_from_within_one() -> None:
    found = list(windows_between(NIGHTLY, START + HOUR, START + 49 * HOUR))
    assert [since for since, _until in found] == [START - 2 * HOUR, START + 22 * HOUR, START + 46 * HOUR]


def test_a_strip_has_no_holes_and_shows_who_said_leave_alone() -> None:
    said = Override(1, Wanted.LEAVE, START + 10 * HOUR, START + 12 * HOUR, "ada")
    stripes = strip(Voices([Window(1, "n", NIGHTLY)], [said]), START, START + 24 * HOUR)
    assert [each.kind for each in stripes] == ["up", "down", "by_hand", "down", "up"]
    assert sum(each.width for each in stripes) == 1000
    assert [each.until for each in stripes[:-1]] == [each.since for each in stripes[1:]]

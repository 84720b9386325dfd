"""What size a workload gets: whatever happens in between, the original comes back."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from beffroi.clients.workloads import Ref, Resource, Workload, Writer
from beffroi.domains.workloads.rules import Wanted
from beffroi.domains.workloads.sizes import (
    NOTHING,
    ORIGINAL,
    Memory,
    Wish,
    recalled,
    rival_of,
    step,
)

WEB = Workload(Ref(Resource.DEPLOYMENT, "shop", "web"), "u", 3, "1", {}, {})
NOW = datetime(2026, 10, 1, tzinfo=UTC)
UP, DOWN, LEAVE = Wish(Wanted.UP), Wish(Wanted.DOWN), Wish(Wanted.LEAVE)


CRASHES = st.sampled_from(["no", "before the write", "after the write"])
MOVES = st.tuples(
    st.sampled_from([UP, DOWN, LEAVE, Wish(Wanted.UP, 5)]), CRASHES, st.none() | st.integers(1, 50)
)


@given(original=st.integers(1, 50), moves=st.lists(MOVES, max_size=12))
def test_the_size_that_somebody_chose_last_while_it_was_up_comes_back(
    original: int, moves: list[tuple[Wish, str, int | None]]
) -> None:
    """Wishes change, passes die before and after the write, sizes are set by hand in between."""
    memory, size = NOTHING, original
    for wish, crash, by_hand in [*moves, (UP, "no", None)]:
        chosen = step(memory, replace(WEB, size=size), wish)
        if chosen.size is None or crash == "no":
            size = size if chosen.size is None else chosen.size
            memory = replace(chosen.after, written_at=NOW) if chosen.size is not None else chosen.after
        else:
            size = chosen.size if crash == "after the write" else size
            memory = chosen.before
            continue
        if wish is not LEAVE:
            assert size == (0 if wish is DOWN else wish.replicas or original)
        if by_hand is not None and wish is UP:
            original = size = by_hand
    assert size == original


@given(
    size=st.integers(0, 9), wanted=st.sampled_from([UP, DOWN, LEAVE]), replicas=st.none() | st.integers(1, 9)
)
def test_one_pass_is_enough(size: int, wanted: Wish, replicas: int | None) -> None:
    wish = replace(wanted, replicas=replicas)
    first = step(NOTHING, replace(WEB, size=size), wish)
    then = size if first.size is None else first.size
    again = step(first.after, replace(WEB, size=then), wish)
    assert again.size is None
    assert again.after == first.after


def test_what_was_meant_and_not_done_is_not_taken_for_done() -> None:
    """Killed before it went down; then somebody chose another size."""
    meant = step(Memory(Wanted.UP, 3, 3), replace(WEB, size=3), DOWN).before
    assert step(meant, replace(WEB, size=7), UP).size is None
    assert step(meant, replace(WEB, size=7), DOWN).after.original == 7


def test_a_write_that_was_refused_makes_no_drift_the_original() -> None:
    """Asleep with 3, drifted to 5; what was meant is written down, the cluster refuses."""
    asleep = Memory(Wanted.DOWN, 3, 0, None, NOW)
    for wish in (DOWN, UP):
        meant = step(asleep, replace(WEB, size=5), wish).before
        again = step(meant, replace(WEB, size=5), wish)
        assert (again.size, again.after.original) == (0 if wish is DOWN else 3, 3)


def test_a_number_of_ours_is_never_taken_for_the_original() -> None:
    up = step(NOTHING, replace(WEB, size=3), Wish(Wanted.UP, 5)).after
    down = step(up, replace(WEB, size=5), DOWN)
    assert down.after.original == 3
    assert step(up, replace(WEB, size=5), UP).size == 3, "the next window says no number"


def test_a_switch_knows_no_number() -> None:
    switch = replace(WEB, ref=Ref(Resource.CRON_JOB, "shop", "report"), size=1)
    assert step(NOTHING, switch, Wish(Wanted.UP, 5)).size is None
    assert step(NOTHING, replace(switch, size=0), Wish(Wanted.UP, 5)).size == 1


def test_our_own_change_of_mind_is_nobodys_rivalry() -> None:
    """Five replicas a moment ago, six now: the five were ours."""
    memory = Memory(Wanted.UP, 3, 5, None, NOW)
    seen = replace(WEB, size=5, writers=[Writer("beffroi", "scale", NOW)])
    chosen = step(memory, seen, Wish(Wanted.UP, 6))
    assert chosen.size == 6
    assert rival_of(memory, seen, chosen, NOW + timedelta(seconds=20)) is None
    undone = replace(WEB, size=2, writers=[Writer("operator", None, NOW + timedelta(seconds=10))])
    again = step(memory, undone, Wish(Wanted.UP, 5))
    assert rival_of(memory, undone, again, NOW + timedelta(seconds=20)) is not None


def test_a_cluster_that_tells_whole_seconds_does_not_hide_a_rival() -> None:
    memory = Memory(Wanted.DOWN, 3, 0, None, NOW + timedelta(microseconds=3000))
    seen = replace(WEB, size=3, writers=[Writer("operator", None, NOW)])
    chosen = step(memory, seen, DOWN)
    assert "operator" in str(rival_of(memory, seen, chosen, NOW + timedelta(minutes=5)))


def test_who_wrote_long_before_us_undid_nothing() -> None:
    memory = Memory(Wanted.UP, 3, 5, None, NOW)
    seen = replace(WEB, size=2, writers=[Writer("kubectl", None, NOW - timedelta(days=9))])
    chosen = step(memory, seen, Wish(Wanted.UP, 5))
    assert rival_of(memory, seen, chosen, NOW + timedelta(minutes=5)) is None


def test_what_is_up_when_nobody_wants_anything_any_more_stays_so() -> None:
    down = Memory(Wanted.DOWN, 3, 0, None, NOW)
    over = Wish(Wanted.LEAVE, is_over=True)
    assert step(down, replace(WEB, size=0), over).size == 3
    assert step(down, replace(WEB, size=1), over).size is None
    grown = Memory(Wanted.UP, 10, 1, None, NOW)
    assert step(grown, replace(WEB, size=1), over).size == 10, "one was our number"
    assert step(grown, replace(WEB, size=4), over).size is None, "four is somebody's choice"


def test_the_annotation_counts_only_for_one_that_sleeps() -> None:
    noted = {ORIGINAL: "4"}
    asleep = replace(WEB, size=0, annotations=noted)
    assert recalled(None, asleep, UP).original == 4
    assert recalled(None, asleep, Wish(Wanted.LEAVE, is_over=True)) == NOTHING, "it was somebody else's zero"
    assert recalled(None, replace(asleep, size=2), UP) == NOTHING
    for nonsense in ("", "-1", "4.5", "many", "9" * 30):
        assert recalled(None, replace(asleep, annotations={ORIGINAL: nonsense}), UP) == NOTHING

"""What size a workload gets: whatever happens in between, the original comes back."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from beffroi.clients.workloads import Ref, Resource, Workload
from beffroi.domains.workloads.rules import Wanted
from beffroi.domains.workloads.sizes import NOTHING, ORIGINAL, Wish, recalled, step

WEB = Workload(Ref(Resource.DEPLOYMENT, "shop", "web"), "u", 3, "1", {}, {})
UP, DOWN, LEAVE = Wish(Wanted.UP), Wish(Wanted.DOWN), Wish(Wanted.LEAVE)


@given(
    original=st.integers(1, 50),
    wishes=st.lists(st.sampled_from([UP, DOWN, LEAVE]), max_size=12),
    crashes=st.sets(st.integers(0, 11)),
)
def test_whatever_was_wanted_in_between_the_original_comes_back(
    original: int, wishes: list[Wish], crashes: set[int]
) -> None:
    """A crash strikes after the write, before it is remembered."""
    memory, size = NOTHING, original
    for number, wish in enumerate([*wishes, UP]):
        chosen = step(memory, replace(WEB, size=size), wish)
        memory = chosen.before if chosen.size is not None and number in crashes else chosen.after
        size = chosen.size if chosen.size is not None else size
        if wish is not LEAVE:
            assert (size > 0) == (wish is UP)
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


def test_the_annotation_counts_only_for_one_that_sleeps() -> None:
    noted = {ORIGINAL: "4"}
    assert recalled(None, replace(WEB, size=0, annotations=noted)).original == 4
    assert recalled(None, replace(WEB, size=2, annotations=noted)) == NOTHING
    for nonsense in ("", "-1", "4.5", "many", "9" * 30):
        assert recalled(None, replace(WEB, size=0, annotations={ORIGINAL: nonsense})) == NOTHING

"""Which runs share a ticket."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from beffroi.engine.queue import Loose
from beffroi.engine.shared import CLOSE, LARGEST, bundles
from tests.helpers.clock import START


@given(
    st.lists(
        st.tuples(st.integers(0, 2_000), st.sampled_from([0, 5])),
        max_size=1_500,
    )
)
def test_bundles_keep_together_what_belongs_together(due_at: list[tuple[int, int]]) -> None:
    runs = [
        Loose(str(number), START + timedelta(milliseconds=offset), priority)
        for number, (offset, priority) in enumerate(due_at)
    ]
    made = list(bundles(runs))
    assert sorted(run.id for bundle in made for run in bundle) == sorted(run.id for run in runs)
    for bundle in made:
        assert len({run.priority for run in bundle}) == 1
        assert max(run.due_at for run in bundle) - bundle[0].due_at <= CLOSE
        assert len(bundle) <= min(LARGEST, max(1, len(runs) // 16))

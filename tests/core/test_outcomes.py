"""What follows an attempt."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from beffroi.core.outcomes import Outcome, Reason, Retry, Settle, State, Tries, follow, retry_delay
from beffroi.core.policies import Policy, Retries

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FAILED = Outcome(State.FAILED, Reason.ERROR, "no", retryable=True)
THREE = Policy(retries=Retries(max=3, first_delay=timedelta(seconds=10), jitter=0))


def test_a_failure_is_tried_again_until_the_policy_has_enough() -> None:
    steps = [follow(FAILED, Tries(attempt), THREE, NOW, 0) for attempt in (1, 2, 3, 4)]
    waits = [step.at - NOW for step in steps if isinstance(step, Retry)]
    assert waits == [timedelta(seconds=10), timedelta(seconds=20), timedelta(seconds=40)]
    assert isinstance(steps[-1], Settle)


def test_attempts_lost_with_their_process_do_not_use_up_retries() -> None:
    assert isinstance(follow(FAILED, Tries(attempt=4, rescues=1), THREE, NOW, 0), Retry)


def test_what_is_not_worth_retrying_is_settled() -> None:
    assert isinstance(follow(Outcome(State.FAILED), Tries(1), THREE, NOW, 0), Settle)
    assert isinstance(follow(Outcome(State.SUCCEEDED), Tries(1), THREE, NOW, 0), Settle)


def test_the_server_may_ask_for_a_longer_wait() -> None:
    asked = Outcome(State.FAILED, retryable=True, retry_after=timedelta(minutes=5))
    step = follow(asked, Tries(1), THREE, NOW, 0)
    assert isinstance(step, Retry)
    assert step.at == NOW + timedelta(minutes=5)


@given(
    failures=st.integers(1, 5000),
    chance=st.floats(0, 0.999),
    factor=st.floats(1, 100),
    jitter=st.floats(0, 1),
)
def test_a_wait_is_never_beyond_its_bound(failures: int, chance: float, factor: float, jitter: float) -> None:
    retries = Retries(max=5, first_delay=timedelta(seconds=1), factor=factor, jitter=jitter)
    delay = retry_delay(retries, failures, chance)
    assert timedelta(seconds=1) <= delay <= retries.max_delay * 2

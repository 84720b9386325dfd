"""What became of a run, and what comes next."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from beffroi.core.policies import Policy, Retries


class State(StrEnum):
    """The states of a run: two on the way, five at the end."""

    PLANNED = "planned"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    MISSED = "missed"
    CANCELLED = "cancelled"


OPEN = (State.PLANNED, State.RUNNING)


class Reason(StrEnum):
    """Why a run ended as it did, for programs; the sentence beside it is for people."""

    ERROR = "error"
    TIMEOUT = "timeout"
    LOST = "lost"
    OVERLAP = "overlap"
    PAUSED = "paused"
    BY_HAND = "by_hand"
    TOO_LATE = "too_late"
    SLEPT_THROUGH = "slept_through"
    OVER_LIMIT = "over_limit"
    REPLACED = "replaced"
    JOB_DELETED = "job_deleted"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt ended. `code` is an HTTP status or exit code; `output` the tail of the answer."""

    state: State
    reason: Reason | None = None
    message: str | None = None
    code: int | None = None
    output: str | None = None
    retryable: bool = False
    retry_after: timedelta | None = None


SUCCEEDED = Outcome(State.SUCCEEDED)
SKIPPED_FOR_OVERLAP = Outcome(State.SKIPPED, Reason.OVERLAP, "The run before was still active.")


@dataclass(frozen=True, slots=True)
class Settle:
    """The run is over."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Retry:
    """The run is tried again at `at`."""

    outcome: Outcome
    at: datetime


@dataclass(frozen=True, slots=True)
class Tries:
    """How often a run was tried so far: `attempt` counts starts, `rescues` those lost with a process."""

    attempt: int
    rescues: int = field(default=0)


LONGEST_WAIT = timedelta(days=7)
"""No longer does a server put off a retry."""


def follow(outcome: Outcome, tries: Tries, policy: Policy, now: datetime, chance: float) -> Settle | Retry:
    """Say what follows an attempt. `chance` in [0, 1) draws the jitter, so that the rule stays pure."""
    failures = tries.attempt - tries.rescues
    if outcome.state is not State.FAILED or not outcome.retryable or failures > policy.retries.max:
        return Settle(outcome)
    delay = retry_delay(policy.retries, failures, chance)
    if outcome.retry_after is not None:
        delay = max(delay, min(outcome.retry_after, LONGEST_WAIT))
    return Retry(outcome, now + delay)


def retry_delay(retries: Retries, failures: int, chance: float) -> timedelta:
    """Return the wait after the nth failure, jitter included."""
    longest = retries.max_delay.total_seconds()
    try:
        seconds = min(longest, retries.first_delay.total_seconds() * retries.factor ** (failures - 1))
    except OverflowError:
        seconds = longest
    return timedelta(seconds=seconds * (1 + retries.jitter * chance))

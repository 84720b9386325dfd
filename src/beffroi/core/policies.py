"""How: what a job does when it is late, fails, hangs or meets itself."""

from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from beffroi.core.durations import Duration, TimeLimit


class CatchUp(StrEnum):
    """Which of the occurrences that were slept through are still run."""

    NONE = "none"
    LAST = "last"
    ALL = "all"


class Overlap(StrEnum):
    """What to do when an occurrence is due while a run of the same job is active."""

    SKIP = "skip"
    QUEUE = "queue"
    REPLACE = "replace"
    ALLOW = "allow"


class Rescue(StrEnum):
    """What to do with a run whose process died."""

    AGAIN = "again"
    FAIL = "fail"


class Retries(BaseModel):
    """Exponential back-off: the nth wait is `first_delay * factor**(n-1)`, at most `max_delay`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max: Annotated[int, Field(ge=0, le=1000, description="How many times a failed run is tried again.")] = 0
    first_delay: Annotated[Duration, Field(description="Wait before the first retry.")] = timedelta(
        seconds=10
    )
    factor: Annotated[
        float, Field(ge=1, le=100, description="Each wait is so many times the one before.")
    ] = 2.0
    max_delay: Annotated[Duration, Field(description="No wait is longer than this.")] = timedelta(hours=1)
    jitter: Annotated[
        float,
        Field(ge=0, le=1, description="Each wait is lengthened by up to this share of itself, at random."),
    ] = 0.1


class Policy(BaseModel):
    """The policy of a job. Every field has a default that loses nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    timeout: Annotated[
        TimeLimit, Field(description="An attempt is cancelled after this long, or `never`.")
    ] = timedelta(hours=1)
    misfire_grace: Annotated[
        Duration | None,
        Field(
            description="An occurrence that cannot start within this long is `missed`; unset: however late."
        ),
    ] = None
    catch_up: Annotated[
        CatchUp, Field(description="Which of the occurrences slept through are run: none, the last, or all.")
    ] = CatchUp.LAST
    catch_up_limit: Annotated[
        int,
        Field(
            ge=1,
            le=10_000,
            description="With `all`: at most so many are run, the newest; the rest is `missed`.",
        ),
    ] = 100
    overlap: Annotated[
        Overlap, Field(description="When due while a run is active: skip, queue, replace or allow.")
    ] = Overlap.SKIP
    retries: Annotated[Retries, Field(description="When a failed run is tried again.")] = Retries()
    rescue: Annotated[
        Rescue, Field(description="A run whose process died is run `again`, or counted as a `fail`ure.")
    ] = Rescue.AGAIN
    priority: Annotated[
        int, Field(ge=-100, le=100, description="When slots are short, the greater goes first.")
    ] = 0
    jitter: Annotated[
        Duration,
        Field(description="Each start is put off by up to this long, always the same for one occurrence."),
    ] = timedelta(0)


@lru_cache(maxsize=10_000)
def read_policy(text: str) -> Policy:
    """Read a policy back from its stored JSON."""
    return Policy.model_validate_json(text)

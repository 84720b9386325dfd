"""The clock, as a value that can be replaced: tests run on one that they turn by hand."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """`now()` is the wall clock in UTC, which can jump; `monotonic()`, in seconds, never does."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

"""The clock, as a value that can be replaced: tests run on one that they turn by hand."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from beffroi.core.moments import EPOCH


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


class DatabaseClock:
    """The database's clock, so that machines whose own clocks are wrong agree.

    It is asked now and then (`set`) and followed by the monotonic clock in between. Before it was asked
    for the first time it is the machine's own.
    """

    def __init__(self, ask: Callable[[], datetime]) -> None:
        self._ask = ask
        self._offset = SystemClock().now().timestamp() - time.monotonic()

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=time.monotonic() + self._offset)

    def monotonic(self) -> float:
        return time.monotonic()

    def set(self) -> None:
        """Ask the database what time it is; of a few answers the quickest is the most exact."""
        _, self._offset = min(self._look() for _ in range(QUESTIONS))

    def _look(self) -> tuple[float, float]:
        before = time.monotonic()
        answer = self._ask()
        after = time.monotonic()
        return after - before, (answer - EPOCH).total_seconds() - (before + after) / 2


QUESTIONS = 3

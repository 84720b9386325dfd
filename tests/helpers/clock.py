"""A clock that stands still until it is turned."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 5, 12, 0, 0, tzinfo=UTC)


class VirtualClock:
    """Wall and monotonic clock; `jump` moves the wall clock alone, as an operator or NTP does."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self._monotonic = 1_000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, by: timedelta) -> datetime:
        self._now += by
        self._monotonic += by.total_seconds()
        return self._now

    def jump(self, by: timedelta) -> datetime:
        self._now += by
        return self._now

"""An event loop's waiting: to the microsecond, and without giving the interpreter away.

`epoll` counts in whole milliseconds, so an event loop on it wakes up to one millisecond late. `select`
is exact, but watches no more than 1 024 files; so it watches one: the epoll itself, which says that
any of its files is ready.

Each question to the system lets another thread of Python go first, and that costs the better part of
a millisecond. So while callbacks are waiting to be called, the files are looked at only now and then.
"""

import select
import time
from selectors import DefaultSelector, SelectorKey

Ready = list[tuple[SelectorKey, int]]

PATIENCE = 0.001
"""Seconds for which ready files may wait while there are callbacks to be called."""


class ExactSelector(DefaultSelector):
    """The system's best selector, with an exact timeout."""

    _looked_at = 0.0

    def select(self, timeout: float | None = None) -> Ready:
        if timeout is None:
            return self._look(None)
        if timeout > 0:
            ready, _, _ = select.select([self.fileno()], [], [], timeout)
            return self._look(0) if ready else []
        if time.monotonic() - self._looked_at < PATIENCE:
            return []
        return self._look(0)

    def _look(self, timeout: float | None) -> Ready:
        ready = super().select(timeout)
        self._looked_at = time.monotonic()
        return ready

"""One tiny loop: poll, sleep for what `poll` answered, or less when woken. Failing does not end it."""

import threading
import time
from collections.abc import Callable

from beffroi import events

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
OVERDUE = 15.0
"""A loop whose poll has not come back for so many seconds is not counted as alive."""


class Loop:
    """A thread that calls `poll()` again and again; `poll` answers how many seconds to sleep."""

    def __init__(self, name: str, poll: Callable[[], float], close: Callable[[], None] | None = None) -> None:
        self.name = name
        self._close = close
        self.failure: str | None = None
        self._poll = poll
        self._woken = threading.Event()
        self._stopping = False
        self._polling_since: float | None = None
        self._pause = FIRST_PAUSE
        self._thread = threading.Thread(target=self._run, name=f"beffroi-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Cut the present sleep short."""
        self._woken.set()

    def stop(self) -> None:
        """End after the poll under way; returns when it has ended."""
        self._stopping = True
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def trouble(self) -> str | None:
        """Say in a sentence why the loop does not do its work; None when it does."""
        if not self._thread.is_alive():
            return f"the {self.name} does not run"
        if self.failure is not None:
            return f"the {self.name} failed: {self.failure}"
        since = self._polling_since
        if since is not None and time.monotonic() > since + OVERDUE:
            return f"the {self.name} has hung for {time.monotonic() - since:.0f} s"
        return None

    def _run(self) -> None:
        while not self._stopping:
            self._woken.clear()
            self._polling_since = time.monotonic()
            pause = self._poll_safely()
            self._polling_since = None
            if pause > 0:
                self._woken.wait(pause)
        if self._close is not None:
            self._close()

    def _poll_safely(self) -> float:
        try:
            pause = self._poll()
        except Exception as error:  # noqa: BLE001  whatever it is, the timer must re-arm by itself
            return self._note_failure(error)
        if self.failure is not None:
            self.failure, self._pause = None, FIRST_PAUSE
            events.loop_recovered(self.name)
        return pause

    def _note_failure(self, error: Exception) -> float:
        self.failure = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE)
        events.loop_failed(self.name, error, pause)
        return pause

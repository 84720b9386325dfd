"""One rendering serves all who look at the same thing: made once for each version of the data."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Made = TypeVar("Made")

MOST = 300
FRESH = 5.0
"""Seconds after which a page is made anew although nothing was written: it may show what is late by now."""


@dataclass(slots=True)
class _Entry(Generic[Made]):
    """What was made: at which version and beat of the data, and when."""

    turn: threading.Lock = field(default_factory=threading.Lock)
    made: Made | None = None
    version: str = ""
    beat: int = -1
    at: float = float("-inf")


class Renderings(Generic[Made]):
    """Keeps the latest of each kind. Who asks while one is being made waits for that one."""

    def __init__(self, version: Callable[[], str], beat: Callable[[], int]) -> None:
        self._version = version
        self._beat = beat
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, _Entry[Made]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Made], told: int | None = None) -> Made:
        """Return what `make` makes, or has just made for somebody else.

        `told`: the beat that the asker was told of; what was made since then will do for it.
        """
        entry = self._entry(key)
        with entry.turn:
            if entry.made is not None and self._serves(entry, told):
                return entry.made
            # Read before querying: what is written meanwhile makes this rendering old, not wrong.
            beat, version = self._beat(), self._version()
            entry.made = make()
            entry.beat, entry.version, entry.at = beat, version, time.monotonic()
            return entry.made

    def _serves(self, entry: _Entry[Made], told: int | None) -> bool:
        if time.monotonic() - entry.at > FRESH:
            return False
        if told is not None:
            return entry.beat >= told
        return entry.version == self._version()

    def _entry(self, key: Hashable) -> _Entry[Made]:
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
            if len(self._entries) > MOST:
                self._entries.popitem(last=False)
            return entry

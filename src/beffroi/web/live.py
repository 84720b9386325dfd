"""What changed: one watcher for all pages, told to browsers as a number that grows, at most once a second."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from beffroi.store.db import Database
from beffroi.store.watch import Watch

LOOK_EVERY = 0.2
TELL_EVERY = 1.0
KEEP_ALIVE = 15.0
MOST_STREAMS = 500


@dataclass(eq=False, slots=True)
class _Listener:
    loop: asyncio.AbstractEventLoop
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Pulse:
    """Looks at the database while somebody listens. `beat`: how many changes were told so far."""

    def __init__(self, database: Database) -> None:
        self._watch = Watch(database)
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._listeners: set[_Listener] = set()
        self._thread: threading.Thread | None = None
        self._asleep = threading.Event()
        self._closed = False
        self.beat = 1

    def version(self) -> str:
        """Return what changes whenever anything is written."""
        with self._looking:
            return self._watch.version()

    async def beats(self) -> AsyncIterator[int | None]:
        """Yield the beat now and at each change; None now and then, to see whether the line holds."""
        listener = _Listener(asyncio.get_running_loop())
        self._join(listener)
        try:
            yield self.beat
            while not self._closed:
                try:
                    await asyncio.wait_for(listener.news.wait(), KEEP_ALIVE)
                except TimeoutError:
                    yield None
                    continue
                listener.news.clear()
                if not self._closed:
                    yield self.beat
        finally:
            with self._lock:
                self._listeners.discard(listener)

    @property
    def is_full(self) -> bool:
        return len(self._listeners) >= MOST_STREAMS

    def end_streams(self) -> None:
        """Let every stream end: the server stops. Called from any thread."""
        self._closed = True
        self._asleep.set()
        self._tell()

    def close(self) -> None:
        self.end_streams()
        if (watcher := self._thread) is not None:  # which ends by itself when nobody listens
            watcher.join()
        with self._looking:
            self._watch.close()

    def _join(self, listener: _Listener) -> None:
        with self._lock:
            self._listeners.add(listener)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._follow, name="beffroi-pulse", daemon=True)
                self._thread.start()

    def _follow(self) -> None:
        """Look until nobody listens any more."""
        seen = self.version()
        while not self._closed:
            self._asleep.wait(LOOK_EVERY)
            with self._lock:
                if not self._listeners:
                    self._thread = None
                    return
            present = self.version()
            if present != seen:
                seen = present
                self.beat += 1
                self._tell()
                self._asleep.wait(TELL_EVERY - LOOK_EVERY)

    def _tell(self) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            if not listener.loop.is_closed():
                listener.loop.call_soon_threadsafe(listener.news.set)

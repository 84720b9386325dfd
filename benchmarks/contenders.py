"""Who takes part, by the name that stands in the tables."""

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Protocol

from benchmarks.beffroi import Beffroi
from benchmarks.peers import ApAsyncio, ApMemory, ApSqlite, Huey


class Contender(Protocol):
    """A scheduler that stores jobs while its timer stands still, and is then started."""

    def store(self, moments: Iterable[datetime], *, repeating: bool) -> None:
        """Store a job that is due at each moment; when `repeating`, also every hour from then on."""

    def start(self) -> None:
        """Start the timer."""

    def is_settled(self) -> bool:
        """Say whether the outcome of all that was run is written down."""

    def stop(self) -> None:
        """Stop the timer and its threads."""


BEFFROI = "Beffroi (SQLite)"
AP_MEMORY = "APScheduler (memory, threads)"
AP_ASYNCIO = "APScheduler (memory, asyncio)"
AP_SQLITE = "APScheduler (SQLite)"
HUEY = "Huey (SQLite)"

CONTENDERS: dict[str, Callable[[Path], Contender]] = {
    BEFFROI: Beffroi,
    AP_MEMORY: ApMemory,
    AP_ASYNCIO: ApAsyncio,
    AP_SQLITE: ApSqlite,
    HUEY: Huey,
}

"""The peers as contenders: APScheduler with three set-ups, and Huey.

Each is set up as its documentation shows it, and told to run whatever is late: what is measured is
work done, not work refused.
"""

import asyncio
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.background import BackgroundScheduler
from huey import SqliteHuey
from huey.consumer import Consumer

from benchmarks.arrivals import arrive, arrive_async

LOSE_NOTHING = {"misfire_grace_time": None}
"""By default APScheduler drops a job that is more than a second late."""

WORKERS = 2
"""Threads of Huey's consumer."""


class ApMemory:
    """APScheduler's BackgroundScheduler: jobs in memory, ten threads run them."""

    function: Callable[[float], Any] = staticmethod(arrive)

    def __init__(self, folder: Path) -> None:
        self._scheduler = self._make(folder)
        self._scheduler.start(paused=True)

    def _make(self, _folder: Path) -> Any:
        return BackgroundScheduler(timezone="UTC", job_defaults=LOSE_NOTHING)

    def store(self, moments: Iterable[datetime], *, repeating: bool) -> None:
        """Store a job for each moment while the timer stands still."""
        for moment in moments:
            rule = _every_hour(moment) if repeating else {"trigger": "date", "run_date": moment}
            self._scheduler.add_job(self.function, args=[moment.timestamp()], **rule)

    def start(self) -> None:
        self._scheduler.resume()

    def is_settled(self) -> bool:
        """Say yes: that it ran is all there is to see from outside, which is to its advantage."""
        return True

    def stop(self) -> None:
        self._scheduler.shutdown()


class ApAsyncio(ApMemory):
    """APScheduler's AsyncIOScheduler: jobs in memory, coroutines on one event loop."""

    function = staticmethod(arrive_async)

    def _make(self, _folder: Path) -> Any:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        return AsyncIOScheduler(timezone="UTC", job_defaults=LOSE_NOTHING, event_loop=self._loop)

    def stop(self) -> None:
        super().stop()
        self._loop.call_soon_threadsafe(self._loop.stop)


class ApSqlite(ApMemory):
    """APScheduler's BackgroundScheduler with its jobs in an SQLite file."""

    def _make(self, folder: Path) -> Any:
        store = SQLAlchemyJobStore(url=f"sqlite:///{folder / 'apscheduler.db'}")
        return BackgroundScheduler(timezone="UTC", job_defaults=LOSE_NOTHING, jobstores={"default": store})


class ApPostgres(ApMemory):
    """APScheduler's BackgroundScheduler with its jobs in PostgreSQL."""

    def __init__(self, url: str) -> None:
        store = SQLAlchemyJobStore(url=url)
        self._scheduler = BackgroundScheduler(
            timezone="UTC", job_defaults=LOSE_NOTHING, jobstores={"default": store}
        )
        self._scheduler.start(paused=True)


class Huey:
    """Huey with its queue in an SQLite file. It has no job that is due later to the millisecond."""

    def __init__(self, folder: Path) -> None:
        huey = SqliteHuey(filename=str(folder / "huey.db"), immediate=False)
        self._task = huey.task()(arrive)
        self._consumer = Consumer(huey, workers=WORKERS, periodic=False)

    def store(self, moments: Iterable[datetime], *, repeating: bool) -> None:
        """Put a task into the queue for each moment; a queue knows no repetition."""
        if repeating:
            raise ValueError("Huey's periodic tasks live in the program, not in its store")
        for moment in moments:
            self._task(moment.timestamp())

    def start(self) -> None:
        self._consumer.start()

    def is_settled(self) -> bool:
        """Say yes: a task leaves the queue before it is run."""
        return True

    def stop(self) -> None:
        self._consumer.stop(graceful=True)


def _every_hour(moment: datetime) -> dict[str, Any]:
    return {"trigger": "interval", "hours": 1, "start_date": moment, "next_run_time": moment}

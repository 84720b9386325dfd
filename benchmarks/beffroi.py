"""Beffroi as a contender: the machine, with an SQLite file as the server writes it.

Jobs are put straight into the table: how they are made is not what is measured, and a million of
them would take long over HTTP.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Table, func, insert, select
from sqlmodel import SQLModel, col

from beffroi.app import keep_steady
from beffroi.core.moments import MICROSECOND
from beffroi.core.outcomes import State
from beffroi.core.policies import Policy
from beffroi.core.triggers.interval import Interval
from beffroi.core.triggers.once import Once
from beffroi.domains.jobs.action import PythonParams
from beffroi.engine.calls import ActionKind, Call
from beffroi.engine.clock import SystemClock
from beffroi.engine.machine import Machine, Tuning
from beffroi.engine.models import Job, Run
from beffroi.engine.queue import QUEUE, NoQueue
from beffroi.store.db import Database
from beffroi.store.migrate import migrate
from benchmarks.arrivals import LATENESS, arrive_async

CHUNK = 10_000
"""Rows per transaction when jobs are stored."""

HOUR = timedelta(hours=1)

Rule = Callable[[datetime], Once | Interval]


def once(moment: datetime) -> Once:
    return Once(at=moment)


def hourly(moment: datetime) -> Interval:
    """Return the trigger that fires at the moment, and every hour from then on."""
    return Interval(every=HOUR, anchor=moment)


def database_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'scheduler.db'}"


class Beffroi:
    """The machine on the database file in a folder."""

    def __init__(self, folder: Path) -> None:
        self._database = Database(database_url(folder), {QUEUE: NoQueue()})
        migrate(self._database)
        action = ActionKind(PythonParams, _arrive)
        self._started = SystemClock().now()
        self._machine = Machine(self._database, SystemClock(), {"python": action}, Tuning())

    def store(self, moments: Iterable[datetime], *, repeating: bool) -> None:
        """Store a job for each moment; its name says when it was stored, so that more can follow."""
        rows = rows_of(moments, hourly if repeating else once)
        while chunk := list(islice(rows, CHUNK)):
            with self._database.write() as session:
                session.execute(insert(table_of(Job)), chunk)

    def start(self) -> None:
        """Start the timer, with the threads as polite as the server makes them."""
        keep_steady()
        self._started = SystemClock().now()
        self._machine.start()

    def is_settled(self) -> bool:
        """Say whether nothing is active and all outcomes are on the disk."""
        return not any(self._machine.figures.values())

    def stop(self) -> None:
        """Stop the timer; RuntimeError when the ledger does not know of every run."""
        self._machine.stop()
        written = self._count_succeeded()
        self._database.close()
        if written != len(LATENESS):
            raise RuntimeError(f"{len(LATENESS)} jobs were run, the ledger has {written}")

    def _count_succeeded(self) -> int:
        succeeded = col(Run.state) == State.SUCCEEDED, col(Run.started_at) >= self._started
        with self._database.read() as session:
            count: int = session.execute(select(func.count(col(Run.id))).where(*succeeded)).scalar_one()
        return count


def rows_of(moments: Iterable[datetime], rule: Rule) -> Iterator[dict[str, Any]]:
    """Return the row of a job for each moment."""
    now = SystemClock().now()
    action, policy = PythonParams(entry_point="noop").model_dump_json(), Policy().model_dump_json()
    for number, moment in enumerate(moments):
        yield {
            "name": f"job-{now.timestamp()}-{number}",
            "owner": "api",
            "trigger": rule(moment).model_dump_json(),
            "action": action,
            "action_kind": "python",
            "policy": policy,
            "cursor": moment - MICROSECOND,
            "next_due_at": moment,
            "created_at": now,
            "updated_at": now,
        }


def table_of(model: type[SQLModel]) -> Table:
    """Return the table behind a model."""
    return SQLModel.metadata.tables[str(model.__tablename__)]


async def _arrive(_params: PythonParams, call: Call) -> None:
    await arrive_async(call.scheduled_for.timestamp())

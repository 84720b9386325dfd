"""Pages: how soon the overview is seen on a large ledger, and what many open pages cost the timer.

The server is the real one, in a process of its own; those who look are in another.
"""

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Any
from uuid import UUID

from playwright.sync_api import sync_playwright
from sqlalchemy import insert, select
from sqlmodel import SQLModel, col

from beffroi.core.outcomes import State
from beffroi.engine.clock import SystemClock
from beffroi.engine.models import Job, Run
from beffroi.engine.queue import QUEUE, NoQueue
from beffroi.store.db import Database
from beffroi.store.migrate import migrate
from benchmarks.beffroi import CHUNK, database_url, hourly, once, rows_of, table_of
from benchmarks.common import Figures, Measurement, Report, answer, medians, rounds_of, scratch, wait_until

JOBS, RUNS = 10_000, 1_000_000
QUICK = 20
BACK = timedelta(hours=12)
"""The runs lie in the stretch that the overview draws: nothing of it is cheap."""

RATE, SECONDS = 100, 20
VIEWERS = 20
HEAD_START = timedelta(seconds=12)
PAGES = {
    "/ui/": "verdict,needs,figures,timeline,nodes",
    "/ui/jobs": "list",
    "/ui/runs": "ledger",
}
"""What those who look have open, and the parts that are fetched when something changes."""

FIRST_PAINT = """new Promise((tell) => {
    const see = (list) => list.getEntriesByName("first-contentful-paint").map((each) => tell(each.startTime));
    new PerformanceObserver(see).observe({ type: "paint", buffered: true });
})"""
"""Asks a browser when it first showed something of a page, in ms; it may have to wait for that."""

PORT = 8_977
URL = f"http://127.0.0.1:{PORT}"


def measure(what: str, share: str) -> Figures:
    """Measure the first sight (`paint`), or the timer's lateness with so many open pages."""
    with scratch() as folder:
        return _paint(folder, int(share)) if what == "paint" else _lateness(folder, int(what))


def report(quick: bool) -> list[Report]:
    """Measure both."""
    share = str(QUICK if quick else 1)
    figures = medians(
        {
            "overview": Measurement("pages", ("paint", share)),
            "no page": Measurement("pages", ("0", share)),
            f"{VIEWERS} pages": Measurement("pages", (str(VIEWERS), share)),
        },
        rounds_of(quick),
    )
    seen = figures.pop("overview")
    title = f"The overview with {JOBS // int(share):,} jobs and {RUNS // int(share):,} runs, ms"
    paint = Report(title, list(seen), [[f"{value:.0f}" for value in seen.values()]], {"overview": seen})
    columns = ["open", "p50", "p99", "max", "parts fetched"]
    rows = [
        [label, *(f"{found[name]:.2f}" for name in ("p50", "p99", "max")), f"{found['parts']:.0f}"]
        for label, found in figures.items()
    ]
    title = f"Lateness in ms, {RATE} jobs a second, one change a second"
    return [paint, Report(title, columns, rows, figures)]


def _paint(folder: Path, share: int) -> Figures:
    database = _database(folder)
    now = SystemClock().now()
    jobs = [now + timedelta(seconds=60 + 3600 * number * share / JOBS) for number in range(JOBS // share)]
    _store(database, Job, rows_of(jobs, hourly))
    _store(database, Run, _past(now, JOBS // share, RUNS // share))
    database.close()
    with _server(folder), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"{URL}/ui/jobs?sort=next")  # so that the server knows this browser's zone
        page.goto(f"{URL}/ui/")
        painted = page.evaluate(FIRST_PAINT)
        browser.close()
        again, jobs_page, runs_page = _seconds("/ui/?again"), _seconds("/ui/jobs"), _seconds("/ui/runs")
    return {
        "first paint, nothing known yet": painted,
        "overview made anew": 1000 * again,
        "jobs": 1000 * jobs_page,
        "runs": 1000 * runs_page,
    }


def _past(now: datetime, jobs: int, runs: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of runs that are over, evenly spread; one in fifty failed."""
    for number in range(runs):
        at = now - BACK + BACK * (number / runs)
        stamp = int(at.timestamp() * 1000)
        failed = number % 50 == 0
        yield {
            "id": str(UUID(int=(stamp << 80) | (7 << 76) | (2 << 62) | number)),
            "job_id": 1 + number % jobs,
            "scheduled_for": at,
            "due_at": at,
            "state": State.FAILED if failed else State.SUCCEEDED,
            "message": "The answer was 500, expected 200 to 299." if failed else None,
            "started_at": at + timedelta(microseconds=400 + number % 700),
            "finished_at": at + timedelta(milliseconds=5 + number % 90),
        }


def _lateness(folder: Path, viewers: int) -> Figures:
    database = _database(folder)
    hours = [SystemClock().now() + timedelta(hours=1, seconds=number) for number in range(500)]
    _store(database, Job, rows_of(hours, hourly))
    first = SystemClock().now() + HEAD_START
    count = RATE * SECONDS
    _store(
        database, Job, rows_of([first + timedelta(seconds=number / RATE) for number in range(count)], once)
    )
    with _server(folder):
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.viewers", str(viewers), str(first.timestamp() + SECONDS)],
            stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        time.sleep(1)
    late = select(col(Run.started_at), col(Run.due_at)).where(col(Run.due_at) >= first)
    with database.read() as session:
        found = sorted((row[0] - row[1]).total_seconds() * 1000 for row in session.execute(late))
    database.close()
    if len(found) < count:
        raise RuntimeError(f"{count} jobs were due, {len(found)} ran")
    shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    figures = {name: found[ceil(share * len(found)) - 1] for name, share in shares.items()}
    return {**figures, "parts": float(done.stdout)}


def _database(folder: Path) -> Database:
    database = Database(database_url(folder), {QUEUE: NoQueue()})
    migrate(database)
    return database


def _store(database: Database, model: type[SQLModel], rows: Iterator[dict[str, Any]]) -> None:
    while chunk := list(islice(rows, CHUNK)):
        with database.write() as session:
            session.execute(insert(table_of(model)), chunk)


@contextmanager
def _server(folder: Path) -> Iterator[None]:
    told = {
        "BEFFROI_DATABASE_URL": database_url(folder),
        "BEFFROI_LISTEN": f"127.0.0.1:{PORT}",
        "BEFFROI_AUTH": "off",
        "BEFFROI_LOG_LEVEL": "error",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "beffroi", "serve", "--no-hints"], env={**os.environ, **told}
    )
    try:
        wait_until(_is_up)
        yield
    finally:
        process.terminate()
        process.wait(60)


def _is_up() -> bool:
    try:
        return _seconds("/health") > 0
    except OSError:
        return False


def _seconds(path: str) -> float:
    began = time.monotonic()
    with urllib.request.urlopen(f"{URL}{path}", timeout=60) as reply:
        reply.read()
    return time.monotonic() - began


def _chromium() -> str:
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))


if __name__ == "__main__":
    answer(measure)

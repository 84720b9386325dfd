"""Lateness: how long after its moment a job starts, at a steady rate.

The jobs are stored ahead of time, each with a moment of its own, evenly spread. Lateness is the
wall clock in the job, less that moment.
"""

from datetime import datetime, timedelta
from math import ceil

from beffroi.engine.clock import SystemClock
from benchmarks.arrivals import LATENESS
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
from benchmarks.contenders import AP_ASYNCIO, AP_MEMORY, AP_SQLITE, BEFFROI, CONTENDERS

TAKES_PART = {100: (BEFFROI, AP_MEMORY, AP_ASYNCIO, AP_SQLITE), 1_000: (BEFFROI, AP_MEMORY, AP_ASYNCIO)}
"""Who is measured at so many jobs a second; APScheduler's SQLite store is far from a thousand."""

SECONDS, QUICK_SECONDS = 10, 3
"""How long the stream of jobs lasts."""

HEAD_START = timedelta(seconds=3)
"""From when the jobs are stored until the first is due."""

STORING = {AP_SQLITE: timedelta(milliseconds=8)}
STORING_IN_MEMORY = timedelta(milliseconds=0.5)
"""What storing one job may take: the moments must be known before the first is stored."""


def measure(label: str, rate: str, seconds: str) -> Figures:
    """Let the contender run a stream of jobs; return how late they were, in milliseconds."""
    with scratch() as folder:
        contender = CONTENDERS[label](folder)
        moments = _stream(label, int(rate), int(seconds))
        contender.store(moments, repeating=False)
        contender.start()
        _refuse_late_start(moments[0])
        wait_until(lambda: len(LATENESS) >= len(moments) and contender.is_settled())
        contender.stop()
    return _percentiles(LATENESS)


def report(quick: bool) -> list[Report]:
    """Compare the contenders at each rate."""
    return [_compare(rate, quick) for rate in TAKES_PART]


def _stream(label: str, rate: int, seconds: int) -> list[datetime]:
    count = rate * seconds
    first = SystemClock().now() + HEAD_START + count * STORING.get(label, STORING_IN_MEMORY)
    return [first + timedelta(seconds=number / rate) for number in range(count)]


def _refuse_late_start(first: datetime) -> None:
    if SystemClock().now() > first - HEAD_START / 2:
        raise RuntimeError("storing the jobs took longer than was allowed for: the figures would be false")


def _percentiles(seconds: list[float]) -> Figures:
    ordered = sorted(1_000 * value for value in seconds)
    shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {name: ordered[ceil(share * len(ordered)) - 1] for name, share in shares.items()}


def _compare(rate: int, quick: bool) -> Report:
    seconds = QUICK_SECONDS if quick else SECONDS
    measurements = {
        label: Measurement("lateness", (label, str(rate), str(seconds))) for label in TAKES_PART[rate]
    }
    figures = medians(measurements, rounds_of(quick))
    rows = [_row(label, figures) for label in figures]
    columns = ["contender", "p50", "p99", "max", "p99 ratio"]
    title = f"Lateness in ms, {rate:,} jobs a second for {seconds} s (ratio to APScheduler's threads)"
    return Report(title, columns, rows, figures)


def _row(label: str, figures: dict[str, Figures]) -> list[str]:
    ours = figures[label]
    texts = [f"{ours[name]:.2f}" for name in ("p50", "p99", "max")]
    return [label, *texts, ratio(ours["p99"], figures[AP_MEMORY]["p99"])]


if __name__ == "__main__":
    answer(measure)

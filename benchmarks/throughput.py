"""Throughput: how many jobs a second, when many are due at once and each does nothing.

The jobs are stored before the clock starts. It stops when all were run and, for Beffroi, when every
outcome is on the disk; of the peers only one writes anything down after a run.
"""

import time
from datetime import datetime

from beffroi.core.moments import MICROSECOND
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
from benchmarks.contenders import AP_ASYNCIO, AP_MEMORY, AP_SQLITE, BEFFROI, CONTENDERS, HUEY

ONCE, HOURLY = "once", "hourly"

COUNTS = {
    ONCE: {BEFFROI: 20_000, AP_MEMORY: 20_000, AP_ASYNCIO: 20_000, AP_SQLITE: 1_000, HUEY: 2_000},
    HOURLY: {BEFFROI: 20_000, AP_MEMORY: 20_000, AP_SQLITE: 1_000},
}
"""How many jobs each gets: the slow ones fewer, since what is compared is the rate."""

TITLES = {
    ONCE: "Throughput, one-time jobs that are all due",
    HOURLY: "Throughput, hourly jobs whose first moment is now",
}

QUICK = 10
"""A quick run has so many times fewer jobs."""


def measure(label: str, shape: str, count: str) -> Figures:
    """Let the contender run `count` jobs that are due; return how many a second it ran."""
    with scratch() as folder:
        contender = CONTENDERS[label](folder)
        contender.store(_due_now(int(count)), repeating=shape == HOURLY)
        started = time.perf_counter()
        contender.start()
        wait_until(lambda: len(LATENESS) >= int(count) and contender.is_settled())
        seconds = time.perf_counter() - started
        contender.stop()
    return {"per_second": int(count) / seconds}


def report(quick: bool) -> list[Report]:
    """Compare the contenders, for jobs that fire once and for those that come again."""
    return [_compare(shape, quick) for shape in COUNTS]


def _due_now(count: int) -> list[datetime]:
    """Return moments that have just passed, no two the same."""
    now = SystemClock().now()
    return [now - number * MICROSECOND for number in range(count, 0, -1)]


def _compare(shape: str, quick: bool) -> Report:
    counts = {label: count // (QUICK if quick else 1) for label, count in COUNTS[shape].items()}
    measurements = {
        label: Measurement("throughput", (label, shape, str(count))) for label, count in counts.items()
    }
    figures = medians(measurements, rounds_of(quick))
    rows = [_row(label, counts[label], figures) for label in counts]
    columns = ["contender", "jobs", "jobs per second", "Beffroi does"]
    return Report(TITLES[shape], columns, rows, figures)


def _row(label: str, count: int, figures: dict[str, Figures]) -> list[str]:
    rate, ours = figures[label]["per_second"], figures[BEFFROI]["per_second"]
    return [label, f"{count:,}", f"{rate:,.0f}", ratio(ours, rate)]


if __name__ == "__main__":
    answer(measure)

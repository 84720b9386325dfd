"""What the parts share: measuring in fresh processes, taking medians, writing reports.

The machine is never quiet. So what is compared is measured in turns, round after round, and the
ratios of the medians are what counts; every measurement has a process of its own, so that neither
memory nor threads of one are left to the next.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from loguru import logger
from rich.console import Console

Figures = dict[str, float]
"""What one measurement found, by name."""

ROUNDS = 3

PATIENCE = 900
"""Seconds after which a measurement is given up."""

_FOLDER = Path("data")
"""Where a server keeps its database by default: a disk, which a temporary folder often is not."""

_progress = Console(stderr=True, highlight=False)


class Measurement(NamedTuple):
    """One thing to measure: a module of this package, and what to tell it."""

    module: str
    arguments: tuple[str, ...]

    def take(self) -> Figures:
        """Measure in a process of its own."""
        command = [sys.executable, "-m", f"benchmarks.{self.module}", *self.arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=PATIENCE)
        figures: Figures = json.loads(done.stdout)
        return figures


@dataclass(frozen=True)
class Report:
    """A table for people, and the figures behind it for programs."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    figures: dict[str, Figures] = field(default_factory=dict)


def answer(measure: Callable[..., Figures]) -> None:
    """Be the process of a measurement: measure what the command line tells, print one line of JSON."""
    hush()
    print(json.dumps(measure(*sys.argv[1:])))


def hush() -> None:
    """Log only what is wrong: what goes well stands in the tables."""
    logger.remove()
    logger.add(sys.stderr, level="WARNING", diagnose=False, backtrace=False)


def medians(measurements: Mapping[str, Measurement], rounds: int) -> dict[str, Figures]:
    """Take all measurements in turns, `rounds` times; return the median of each figure of each."""
    taken: dict[str, list[Figures]] = {label: [] for label in measurements}
    for number in range(1, rounds + 1):
        for label, measurement in measurements.items():
            _progress.print(f"[dim]{number}/{rounds} {measurement.module}: {label}[/]")
            taken[label].append(measurement.take())
    return {label: _median(figures) for label, figures in taken.items()}


def _median(taken: Sequence[Figures]) -> Figures:
    return {name: statistics.median(figures[name] for figures in taken) for name in taken[0]}


def rounds_of(quick: bool) -> int:
    return 1 if quick else ROUNDS


@contextmanager
def scratch() -> Iterator[Path]:
    """Lend a folder on the disk on which a server would keep its database."""
    _FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=_FOLDER) as name:
        yield Path(name).resolve()


def wait_until(is_so: Callable[[], Any], pause: float = 0.01) -> None:
    """Return when it is so; RuntimeError when that takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {PATIENCE} s in vain")
        time.sleep(pause)


def ratio(value: float, base: float) -> str:
    """Write how many times `base` a value is."""
    times = value / base
    return f"{times:,.0f} x" if times >= 20 else f"{times:.2f} x"

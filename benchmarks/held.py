"""Jobs held: what a start, the memory and a fire cost when many jobs wait for a day to come.

Jobs that are not due should cost nothing but disk: the start must not read them, the memory must
not hold them, and a fire must find its job among them as fast as among few.
"""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

from beffroi.engine.clock import SystemClock
from benchmarks.arrivals import LATENESS
from benchmarks.beffroi import Beffroi
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
from benchmarks.peers import ApMemory
from benchmarks.server import resident_mb, serving

FEW = 1_000
"""The smallest number of jobs: the base of the ratios."""

SIZES = (FEW, 10_000, 100_000, 1_000_000)
QUICK_SIZES = (FEW, 10_000)

PEER_SIZE = 100_000
"""How many jobs APScheduler holds in memory, for comparison."""

DUE = 2_000
"""So many jobs are due among those that wait."""

FAR = timedelta(days=3)
"""When the first of the waiting jobs is due; the others follow second by second."""

PEER = "APScheduler (memory)"


def prepare(folder: Path, size: int) -> Path:
    """Make a database with so many waiting jobs; return the folder."""
    contender = Beffroi(folder)
    contender.store(_waiting(size), repeating=False)
    contender.stop()
    return folder


def measure_start(folder: str) -> Figures:
    """Start the server on a prepared folder: how long it takes, how much memory it has then."""
    with serving(Path(folder)) as server:
        return {"start_seconds": server.start_seconds, "resident_mb": server.resident_mb()}


def measure_fire(folder: str) -> Figures:
    """Add jobs that are due to a prepared folder, and let the machine run them."""
    contender = Beffroi(Path(folder))
    contender.store([SystemClock().now()] * DUE, repeating=False)
    started = time.perf_counter()
    contender.start()
    wait_until(lambda: len(LATENESS) >= DUE and contender.is_settled(), 0.002)
    seconds = time.perf_counter() - started
    contender.stop()
    return {"fire_us": 1e6 * seconds / DUE}


def measure_peer(count: str) -> Figures:
    """Hold jobs in APScheduler's memory: what it occupies with few of them, and with `count`."""
    with scratch() as folder:
        contender = ApMemory(folder)
        contender.store(_waiting(FEW), repeating=False)
        few = resident_mb(os.getpid())
        contender.store(_waiting(int(count) - FEW), repeating=False)
        many = resident_mb(os.getpid())
        contender.stop()
    return {"few_mb": few, "many_mb": many}


MEASURES = {"start": measure_start, "fire": measure_fire, "peer": measure_peer}


def report(quick: bool) -> list[Report]:
    """Prepare a file for each size, then measure all of them in turns."""
    sizes = QUICK_SIZES if quick else SIZES
    peer_size = min(PEER_SIZE, sizes[-1])
    with ExitStack() as stack:
        folders = {size: prepare(stack.enter_context(scratch()), size) for size in sizes}
        figures = medians(_measurements(folders, peer_size), rounds_of(quick))
    return [_by_size(sizes, figures), _beside_peer(peer_size, figures)]


def _waiting(count: int) -> Iterator[datetime]:
    first = SystemClock().now() + FAR
    return (first + timedelta(seconds=number) for number in range(count))


def _measurements(folders: Mapping[int, Path], peer_size: int) -> dict[str, Measurement]:
    ours = {
        f"{what} {size}": Measurement("held", (what, str(folder)))
        for size, folder in folders.items()
        for what in ("start", "fire")
    }
    return {**ours, PEER: Measurement("held", ("peer", str(peer_size)))}


def _by_size(sizes: tuple[int, ...], figures: dict[str, Figures]) -> Report:
    found = {size: figures[f"start {size}"] | figures[f"fire {size}"] for size in sizes}
    rows = [_row(size, found[size], found[sizes[0]]) for size in sizes]
    columns = ["jobs held", "start, s", "ratio", "memory, MB", "ratio", "per fire, µs", "ratio"]
    return Report("Jobs that wait in the database of `beffroi serve`", columns, rows, figures)


def _row(size: int, figures: Figures, base: Figures) -> list[str]:
    texts = [f"{size:,}"]
    for name, form in (("start_seconds", ".2f"), ("resident_mb", ".0f"), ("fire_us", ".0f")):
        texts += [format(figures[name], form), ratio(figures[name], base[name])]
    return texts


def _beside_peer(size: int, figures: dict[str, Figures]) -> Report:
    few, many = (figures[f"start {held}"]["resident_mb"] for held in (FEW, size))
    rows = [
        _growth("Beffroi, the whole server", few, many),
        _growth(PEER, figures[PEER]["few_mb"], figures[PEER]["many_mb"]),
    ]
    columns = ["contender", f"MB with {FEW:,}", f"MB with {size:,}", "ratio"]
    return Report("Memory with jobs that wait", columns, rows)


def _growth(label: str, few: float, many: float) -> list[str]:
    return [label, f"{few:.0f}", f"{many:.0f}", ratio(many, few)]


if __name__ == "__main__":
    answer(MEASURES[sys.argv.pop(1)])

"""Idle: the processor time that `beffroi serve` uses while it waits for jobs that are not due."""

import time

from benchmarks.common import Figures, Measurement, Report, answer, medians, rounds_of, scratch
from benchmarks.held import prepare
from benchmarks.server import serving

HELD = 1_000

SETTLE = 3.0
"""Seconds that the start may echo before the measurement begins."""

SECONDS, QUICK_SECONDS = 20, 5
"""For how long the server is watched."""


def measure(seconds: str) -> Figures:
    """Watch an idle server; return the seconds of processor time that it uses in a minute."""
    with scratch() as folder, serving(prepare(folder, HELD)) as server:
        time.sleep(SETTLE)
        before = server.cpu_seconds()
        time.sleep(float(seconds))
        used = server.cpu_seconds() - before
    return {"cpu_seconds_per_minute": 60 * used / float(seconds)}


def report(quick: bool) -> list[Report]:
    """Say what waiting costs, in seconds a minute and as a share of one core."""
    seconds = QUICK_SECONDS if quick else SECONDS
    figures = medians({"idle": Measurement("idle", (str(seconds),))}, rounds_of(quick))
    used = figures["idle"]["cpu_seconds_per_minute"]
    rows = [[f"{HELD:,}", f"{used:.2f}", f"{used / 60:.2%}"]]
    columns = ["jobs held", "CPU seconds a minute", "share of a core"]
    return [Report("`beffroi serve` with nothing to do", columns, rows, figures)]


if __name__ == "__main__":
    answer(measure)

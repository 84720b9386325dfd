"""Geometry of the small drawings: numbers in, marks out; the templates write them as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10
from typing import Protocol

SPARK_HEIGHT = 20.0
HISTORY_HEIGHT = 96.0
STEP = 4.0


class Drawable(Protocol):
    """A run as a drawing needs it."""

    @property
    def id(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def seconds(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Bar:
    """`run`: what it stands for."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    run: Drawable


def sparkline(runs: Sequence[Drawable], places: int) -> list[Bar]:
    """Draw runs, the oldest left, the newest at the right edge: tall ones took long, or went wrong."""
    slowest = max((run.seconds for run in runs), default=0.0)
    first = places - len(runs)
    return [
        _bar(run, (first + place) * STEP, STEP - 1, _logarithmic(run.seconds, slowest), SPARK_HEIGHT)
        for place, run in enumerate(runs)
    ]


def history(runs: Sequence[Drawable]) -> list[Bar]:
    """Draw the durations of runs over the whole width (of 1000)."""
    slowest = max((run.seconds for run in runs), default=0.0)
    step = 1000 / max(len(runs), 20)
    first = max(0, 20 - len(runs))
    return [
        _bar(run, (first + place) * step, step * 0.8, run.seconds / (slowest or 1), HISTORY_HEIGHT)
        for place, run in enumerate(runs)
    ]


def _bar(run: Drawable, x: float, width: float, share: float, height: float) -> Bar:
    # In a row of small bars what went wrong must be seen at once, however short it was.
    share = 1.0 if run.state in ("failed", "missed") else max(0.06, share)
    tall = round(share * height, 1)
    return Bar(round(x, 1), round(height - tall, 1), round(width, 1), tall, str(run.state), run)


def _logarithmic(seconds: float, slowest: float) -> float:
    """Return how tall a duration is drawn where there is little room: over three powers of ten."""
    if seconds <= 0 or slowest <= 0:
        return 0.0
    return max(0.0, 1 + log10(seconds / slowest) / 3)

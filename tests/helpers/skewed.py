"""Runs the program on a machine whose clock is wrong by so many seconds, and jumps when it is told to.

    python skewed.py SECONDS beffroi-arguments...

SIGUSR1 sets the clock an hour forward, SIGUSR2 an hour back.
"""

import signal
import sys
from datetime import UTC, datetime, timedelta

from beffroi.engine.clock import SystemClock

by = timedelta(seconds=float(sys.argv[1]))
sys.argv = ["beffroi", *sys.argv[2:]]


def jump(number: int, _frame: object) -> None:
    global by
    by += timedelta(hours=1 if number == signal.SIGUSR1 else -1)


signal.signal(signal.SIGUSR1, jump)
signal.signal(signal.SIGUSR2, jump)
SystemClock.now = lambda self: datetime.now(UTC) + by  # type: ignore[method-assign]

from beffroi.cli.main import main  # noqa: E402

main()

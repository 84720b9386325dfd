"""Runs the program on a machine whose clock is wrong.

python skewed.py SECONDS beffroi-arguments...
"""

import sys
from datetime import UTC, datetime, timedelta

from beffroi.engine.clock import SystemClock

by = timedelta(seconds=float(sys.argv[1]))
sys.argv = ["beffroi", *sys.argv[2:]]

SystemClock.now = lambda self: datetime.now(UTC) + by  # type: ignore[method-assign]

from beffroi.cli.main import main  # noqa: E402

main()

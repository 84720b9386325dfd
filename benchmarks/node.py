"""A node of Beffroi on PostgreSQL, in a process of its own, that runs until it is told to stop.

    python -m benchmarks.node URL ROLE CONCURRENCY FILE

When it stops it writes the ids of the runs it has executed to the file, one a line.
"""

import signal
import sys
import threading
from datetime import timedelta
from pathlib import Path

from beffroi.app import clock_of, keep_steady, prepare, queue_for
from beffroi.domains.jobs.action import PythonParams
from beffroi.engine.calls import ActionKind, Call
from beffroi.engine.machine import Machine, Tuning
from beffroi.engine.models import Role
from beffroi.engine.queue import QUEUE
from beffroi.store.db import Database
from benchmarks.common import hush


def main(url: str, role: str, concurrency: str, file: str) -> None:
    hush()
    executed: list[str] = []

    async def note(_params: PythonParams, call: Call) -> None:
        executed.append(call.run_id)

    database = Database(url)
    clock = clock_of(database)
    database.info[QUEUE] = queue_for(database, clock)
    prepare(database, clock)
    tuning = Tuning(concurrency=int(concurrency), role=Role(role), drain=timedelta(seconds=5))
    machine = Machine(database, clock, {"python": ActionKind(PythonParams, note)}, tuning)
    keep_steady()
    machine.start()
    print("started", flush=True)
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    told.wait()
    machine.stop()
    Path(file).write_text("\n".join(executed))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Runs the program until one of its threads has sent so many statements to PostgreSQL; then kills it.

    python doomed.py THREAD STATEMENTS beffroi-arguments...

A power cut between two statements, wherever one wants it, without a line for it in the program itself.
"""

import os
import signal
import sys
import threading
from typing import Any

import psycopg

thread, left = sys.argv[1], int(sys.argv[2])
sys.argv = ["beffroi", *sys.argv[3:]]


def counted(method: Any) -> Any:
    def call(*arguments: Any, **options: Any) -> Any:
        global left
        if threading.current_thread().name == thread:
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
        return method(*arguments, **options)

    return call


psycopg.Cursor.execute = counted(psycopg.Cursor.execute)  # type: ignore[method-assign]
psycopg.Connection.commit = counted(psycopg.Connection.commit)  # type: ignore[method-assign]

from beffroi.cli.main import main  # noqa: E402  its modules must find the counted methods

main()

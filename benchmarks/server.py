"""`beffroi serve`, the real command, in a process that can be looked at."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from benchmarks.beffroi import database_url
from benchmarks.common import wait_until

STEP = 0.005
"""Seconds between two questions whether the server is healthy."""


@dataclass(frozen=True)
class Server:
    """A server that is healthy. `start_seconds`: from its start until it said so."""

    pid: int
    start_seconds: float

    def cpu_seconds(self) -> float:
        """Return the processor time it has used so far."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)

    def resident_mb(self) -> float:
        return resident_mb(self.pid)


def resident_mb(pid: int) -> float:
    """Return the memory a process occupies, in MB."""
    return float(psutil.Process(pid).memory_info().rss) / 1e6


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Serve the database in a folder; the server is stopped at the end."""
    port = _free_port()
    command = [str(Path(sys.executable).with_name("beffroi")), "serve", "--no-hints"]
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env=_environment(folder, port))
    try:
        wait_until(lambda: _is_healthy(process, port), STEP)
        yield Server(process.pid, time.perf_counter() - started)
    finally:
        process.terminate()
        process.wait()


def _environment(folder: Path, port: int) -> dict[str, str]:
    """Return the environment without settings of whoever runs the benchmark."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BEFFROI_")}
    return {
        **inherited,
        "BEFFROI_DATABASE_URL": database_url(folder),
        "BEFFROI_LISTEN": f"127.0.0.1:{port}",
        "BEFFROI_LOG_LEVEL": "error",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_healthy(process: subprocess.Popen[bytes], port: int) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"the server ended with exit code {process.returncode}")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as reply:
            return bool(reply.status == 200)
    except urllib.error.URLError:
        return False

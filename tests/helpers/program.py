"""The real program in a process of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE = 30.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def beffroi(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        [sys.executable, "-m", "beffroi", *arguments],
        cwd=cwd, env={**os.environ, "COLUMNS": "200", **variables}, capture_output=True, text=True,
        timeout=PATIENCE, check=False,
    )  # fmt: skip


def eventually(ask: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Ask until the answer is true; fail with `what` was waited for."""
    deadline = time.monotonic() + patience
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"waited {patience:g} s for {what}"
        time.sleep(0.02)


class Program:
    """`beffroi serve` (or `work`) in a folder, on a free port."""

    def __init__(self, folder: Path, *, command: str = "serve", **variables: str) -> None:
        self.folder = folder
        self.command = command
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.address}"
        self.environment = {"BEFFROI_LISTEN": self.address, "BEFFROI_AUTH": "off", **variables}
        self.log = folder / f"{command}-{self.port}.txt"
        self.main: list[str] = [sys.executable, "-m", "beffroi"]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> "Program":
        options = ["--no-hints"] if self.command == "serve" else ["--listen", self.address]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.main, self.command, *options],
                cwd=self.folder, env={**os.environ, **self.environment}, stdout=log, stderr=log,
            )  # fmt: skip
        if wait:
            eventually(self.is_healthy, f"a healthy server; its log: {self.log.read_text()}")
        return self

    @property
    def has_ended(self) -> bool:
        assert self.process is not None
        return self.process.poll() is not None

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def is_healthy(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            return bool(self.get("/health")["status"] == "healthy")
        except OSError:
            return False

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """End it in good order; return its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=PATIENCE)

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(
            f"{self.url}{path}", data=data, method=method, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

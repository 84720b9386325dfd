"""The whole API against its own description, with whatever a generator thinks of."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from beffroi.app import create_app
from beffroi.settings import Settings
from tests.helpers.program import eventually, free_port

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "unsupported_method",
    "use_after_free",
)


@pytest.fixture
def api(settings: Settings) -> Iterator[str]:
    """The application without its timer, over real HTTP: what is generated is not meant to be called."""
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(create_app(settings, timer=False), port=port, log_config=None, lifespan="on")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    eventually(lambda: server.started, "the server")
    yield f"http://127.0.0.1:{port}/openapi.json"
    server.should_exit = True
    thread.join()


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("phases", "mode"),
    [
        ("examples,coverage", "all"),
        # What violates the description is listed case by case above; at random it cannot be made
        # for every one of these shapes.
        ("fuzzing,stateful", "positive"),
    ],
)
def test_every_answer_is_as_described(api: str, tmp_path: Path, phases: str, mode: str) -> None:
    generate = [
        sys.executable, "-m", "schemathesis.cli", "run", api, "--checks", ",".join(CHECKS),
        "--max-examples", "8", "--phases", phases, "--mode", mode, "--exclude-path", "/health",
        "--warnings", "off", "--continue-on-failure",
    ]  # fmt: skip
    done = subprocess.run(generate, cwd=tmp_path, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]

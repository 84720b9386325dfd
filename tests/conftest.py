"""What every test can ask for."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir

import pytest
from filelock import FileLock
from loguru import logger

from beffroi.engine.queue import QUEUE, NoQueue
from beffroi.store.db import Database
from beffroi.store.migrate import migrate
from tests.helpers.clock import VirtualClock
from tests.helpers.postgres import Postgres
from tests.helpers.receiver import Receiver, receiver
from tests.helpers.stage import Stage

logger.remove()


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No configuration of the machine that runs the tests reaches them."""
    for name in list(os.environ):
        if name.startswith("BEFFROI_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture(scope="session")
def postgres() -> Postgres:
    """The server that all tests of this run share, also those of the other test processes."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    # Not among the tests' own folders: as root the server runs as somebody else, who may not enter them.
    folder = Path(gettempdir()) / f"beffroi-postgres-{run}"
    with FileLock(f"{folder}.lock"):
        return Postgres(folder, os.environ.get("TEST_POSTGRES_URL"))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path}/scheduler.db", {QUEUE: NoQueue()})
    migrate(made)
    yield made
    made.close()


@pytest.fixture
def stage(database: Database, clock: VirtualClock) -> Stage:
    return Stage(database, clock)


@pytest.fixture
def target() -> Iterator[Receiver]:
    """A real HTTP server for jobs to call."""
    with receiver() as told:
        yield told

"""The engine's tests are one suite, on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from beffroi.engine.queue import QUEUE, NoQueue
from beffroi.store.db import Database
from beffroi.store.migrate import migrate
from tests.helpers.postgres import Postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        made = Database(f"sqlite:///{tmp_path}/scheduler.db", {QUEUE: NoQueue()})
        migrate(made)
        yield made
        made.close()
        return
    server: Postgres = request.getfixturevalue("postgres")
    with server.database() as url:
        made = Database(url, {QUEUE: NoQueue()})
        yield made
        made.close()

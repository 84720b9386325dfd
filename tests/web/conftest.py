"""The application, with its timer, in this process."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from beffroi.app import create_app
from beffroi.clients.process import Program
from beffroi.settings import Auth, Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        database_url=f"sqlite:///{tmp_path}/scheduler.db",
        auth=Auth.OFF,
        timezone="Europe/Paris",
        drain=timedelta(seconds=2),
        commands={"backup": Program(argv=["/bin/true"])},
    )


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as made:
        yield made

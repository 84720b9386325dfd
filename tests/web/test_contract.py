"""The whole API against its own description, with whatever a generator thinks of."""

from collections.abc import Iterator

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS
from schemathesis.core.transport import Response

from beffroi.app import create_app
from beffroi.settings import Settings


@pytest.fixture
def api(client: TestClient) -> Iterator[object]:
    yield schemathesis.openapi.from_asgi("/openapi.json", client.app)

"""The page that shows the API works on a machine without the internet."""

import re

from fastapi.testclient import TestClient


def test_the_page_of_the_api_brings_all_it_needs(client: TestClient) -> None:
    page = client.get("/docs").text
    wanted = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(wanted) >= 3
    for address in wanted:
        assert address.startswith("/"), address
        assert client.get(address).status_code == 200, address

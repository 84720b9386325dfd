"""How the command line reaches the server; when none runs, it works on the database itself.

Both ways go through the same routes: either over the network, or to the same application without
its timer, in this process.
"""

import asyncio
import os
from dataclasses import dataclass
from typing import Any

import httpx2

from beffroi.cli.render import fail
from beffroi.settings import TOKEN_VARIABLE, URL_VARIABLE, Settings, load, split_address

TIMEOUT = 30.0
PAGE = 500


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: Any
    headers: httpx2.Headers


def call(method: str, path: str, *, json: Any = None, params: dict[str, Any] | None = None) -> Any:
    """Make one request and return its JSON; end the program with a sentence when it is refused."""
    reply = asyncio.run(_request(method, path, json, params or {}))
    if reply.status >= 400:
        raise fail(_detail(reply), code=2 if reply.status == 422 else 1)
    return reply.body


def pages(path: str, params: dict[str, Any], most: int) -> list[Any]:
    """Return up to `most` rows of a list, page by page."""
    rows: list[Any] = []
    while len(rows) < most:
        limit = min(PAGE, most - len(rows))
        batch = call("GET", path, params={**params, "limit": limit})
        rows += batch
        if len(batch) < limit:
            break
        params = {**params, "after": batch[-1]["id"]}
    return rows


def job_id(name_or_id: str) -> int:
    """Return the id of a job given by its id or its exact name."""
    if name_or_id.isdecimal() and len(name_or_id) < 20:
        return int(name_or_id)
    found = [job for job in pages("/jobs", {"name": name_or_id}, 10_000) if job["name"] == name_or_id]
    if not found:
        raise fail(f"There is no job named {name_or_id!r}.")
    identity: int = found[0]["id"]
    return identity


async def _request(method: str, path: str, json: Any, params: dict[str, Any]) -> Reply:
    url = os.environ.get(URL_VARIABLE)
    if url:
        return await _over_network(url, method, path, json, params)
    settings = load()
    try:
        return await _over_network(_own_url(settings), method, path, json, params)
    except httpx2.ConnectError:
        return await _in_process(settings, method, path, json, params)


async def _over_network(url: str, method: str, path: str, json: Any, params: dict[str, Any]) -> Reply:
    token = os.environ.get(TOKEN_VARIABLE)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx2.AsyncClient(base_url=url, timeout=TIMEOUT, trust_env=False, headers=headers) as client:
        try:
            return await _send(client, method, path, json, params)
        except httpx2.ConnectError:
            if URL_VARIABLE in os.environ:
                raise fail(
                    f"Nothing answers at {url}; is the server running, and {URL_VARIABLE} right?"
                ) from None
            raise
        except httpx2.HTTPError as error:
            raise fail(f"The server at {url} did not answer: {error or type(error).__name__}") from None


async def _in_process(settings: Settings, method: str, path: str, json: Any, params: dict[str, Any]) -> Reply:
    from beffroi.app import create_app
    from beffroi.domains.accounts.gate import COMMAND_LINE

    app = create_app(settings, timer=False, everybody=COMMAND_LINE)
    transport = httpx2.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://beffroi") as client,
    ):
        return await _send(client, method, path, json, params)


async def _send(
    client: httpx2.AsyncClient, method: str, path: str, json: Any, params: dict[str, Any]
) -> Reply:
    given = {name: value for name, value in params.items() if value is not None}
    response = await client.request(method, path, json=json, params=given)
    try:
        body = response.json()
    except ValueError:
        raise fail(f"What answers at {response.url.host} is not Beffroi.") from None
    return Reply(response.status_code, body, response.headers)


def _own_url(settings: Settings) -> str:
    host, port = split_address(settings.listen[0])
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _detail(reply: Reply) -> str:
    if reply.status == 401:
        return f"The server asks who you are: make a token on its pages, and put it into {TOKEN_VARIABLE}."
    body = reply.body
    return (
        str(body["detail"]) if isinstance(body, dict) and "detail" in body else f"Refused ({reply.status})."
    )

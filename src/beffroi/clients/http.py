"""Calls over HTTP: time-limited, to permitted hosts only, keeping the tail of the answer."""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import httpcore2
import httpx2

from beffroi.clients.hosts import HostRules
from beffroi.core.errors import PermanentError

TAIL = 4_096
"""Bytes of the answer that are kept: the last ones, where errors stand."""

MOST_READ = 16 * 1024 * 1024
"""An answer is read up to here; the rest is left."""


@dataclass(frozen=True, slots=True)
class Reply:
    """`tail`: the end of the answer; `is_cut`: it was longer than that."""

    status: int
    tail: str
    is_cut: bool
    retry_after: str | None
    date: str | None


class HttpClient:
    """One connection pool for all calls. It belongs to the event loop that first uses it."""

    def __init__(self, rules: HostRules, connections: int) -> None:
        self._client = httpx2.AsyncClient(
            transport=_GuardedTransport(rules, connections), trust_env=False, follow_redirects=False
        )

    async def call(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        content: bytes | None,
        seconds: float,
        kept: int = TAIL,
    ) -> Reply:
        """Make one request, and keep so many bytes of the answer.

        Raises httpx2's errors, and PermanentError for a host that is not permitted.
        """
        async with self._client.stream(
            method, url, headers=headers, content=content, timeout=seconds
        ) as response:
            tail, is_cut = await _read_tail(response, kept)
        text = tail.decode(response.encoding or "utf-8", errors="replace").replace("\x00", "\ufffd")
        back = response.headers
        return Reply(response.status_code, text, is_cut, back.get("retry-after"), back.get("date"))

    async def close(self) -> None:
        await self._client.aclose()


async def _read_tail(response: httpx2.Response, most: int) -> tuple[bytes, bool]:
    """Return the last bytes of an answer, and whether there were more."""
    chunks: deque[bytes] = deque()
    kept = read = 0
    async for chunk in response.aiter_bytes():
        chunks.append(chunk)
        kept += len(chunk)
        read += len(chunk)
        while kept - len(chunks[0]) >= most:
            kept -= len(chunks.popleft())
        if read > MOST_READ:
            break
    return b"".join(chunks)[-most:], read > most


class _GuardedTransport(httpx2.AsyncHTTPTransport):
    """Connects only to permitted addresses.

    The check sits where the socket is opened: a name that resolves to something else between a check
    and the connection (DNS rebinding) gains nothing.
    """

    def __init__(self, rules: HostRules, connections: int) -> None:
        super().__init__()
        # httpx2 has no parameter for the network backend; its pool is replaced by one that has.
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=connections,
            keepalive_expiry=15,
            network_backend=_GuardedNetwork(rules),
        )


class _GuardedNetwork(httpcore2.AsyncNetworkBackend):
    def __init__(self, rules: HostRules) -> None:
        self._rules = rules
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  the backend's own signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        addresses = [] if self._rules.refuses_by_name(host) else await _resolve(host, port, timeout)
        permitted = [address for address in addresses if self._rules.permits(host, address)]
        if not permitted:
            where = f"{host} ({', '.join(addresses)})" if addresses else host
            raise PermanentError(
                f"Calling {where} is not permitted; see the settings http_deny and http_allow."
            )
        error: Exception | None = None
        for address in permitted:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as failure:
                error = failure
        raise error or httpcore2.ConnectError(f"{host} has no address")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def _resolve(host: str, port: int, seconds: float | None) -> list[str]:
    loop = asyncio.get_running_loop()
    try:
        found = await asyncio.wait_for(loop.getaddrinfo(host, port, type=socket.SOCK_STREAM), timeout=seconds)
    except OSError as error:
        raise httpcore2.ConnectError(f"{host} cannot be resolved: {error.strerror}") from None
    except TimeoutError:
        raise httpcore2.ConnectTimeout(f"{host} was not resolved in time") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))

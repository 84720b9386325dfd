"""A request over HTTP as people write it down; when it fails, whether another try may help."""

from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Annotated, Literal

import httpx2
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

from beffroi.clients.http import TAIL, HttpClient, Reply
from beffroi.core.durations import PositiveDuration
from beffroi.core.errors import PermanentError, TemporaryError

RETRYABLE = frozenset({408, 425, 429})
"""Statuses below 500 after which the same request may succeed later."""

LONGEST_RETRY_AFTER = timedelta(days=1)


def _http_url(value: str) -> str:
    try:
        url = httpx2.URL(value)
    except httpx2.InvalidURL as error:
        raise ValueError(f"is not a URL: {error}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("must be an http:// or https:// URL with a host")
    return value


def _header_names(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not name or not name.isascii() or any(c in " \t\r\n:" for c in name):
            raise ValueError(f"{name!r} is not a header name")
        if any(c in "\r\n\x00" for c in value) or not value.isascii():
            raise ValueError(f"the value of {name!r} holds characters that a header cannot carry")
    return headers


class HttpRequest(BaseModel):
    """A request. Success is a status in `expected_status`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, Field(max_length=4000), AfterValidator(_http_url)]
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    headers: Annotated[dict[str, str], AfterValidator(_header_names)] = {}
    body: Annotated[JsonValue, Field(description="A string is sent as it is, anything else as JSON.")] = None
    expected_status: Annotated[
        list[Annotated[int, Field(ge=100, le=599)]],
        Field(description="Statuses that mean success; empty: any from 200 to 299."),
    ] = []
    timeout: Annotated[PositiveDuration, Field(description="For each step of the request.")] = timedelta(
        seconds=30
    )

    def expects(self, status: int) -> bool:
        return status in self.expected_status if self.expected_status else 200 <= status <= 299


async def send(client: HttpClient, request: HttpRequest, key: str | None, kept: int = TAIL) -> Reply:
    """Make the request and return its answer, whatever the status, with so many of its last bytes.

    `key`: the idempotency key; none for a mere question. Raises TemporaryError when no answer came,
    PermanentError when none can.
    """
    headers = {"User-Agent": "Beffroi", **({"Idempotency-Key": key} if key else {}), **request.headers}
    content = _content(request, headers)
    seconds = request.timeout.total_seconds()
    try:
        return await client.call(request.method, request.url, headers, content, seconds, kept)
    except httpx2.TimeoutException as error:
        raise TemporaryError(f"No answer within {seconds:g} s ({type(error).__name__}).") from None
    except httpx2.UnsupportedProtocol as error:
        raise PermanentError(str(error)) from None
    except httpx2.TransportError as error:
        raise TemporaryError(f"The call failed: {error or type(error).__name__}") from None


async def succeed(client: HttpClient, request: HttpRequest, key: str) -> Reply:
    """Make the request and return its answer; raises as `send` does, and when another was expected."""
    reply = await send(client, request, key)
    if request.expects(reply.status):
        return reply
    raise refused(reply, _expectation(request))


def refused(reply: Reply, expectation: str) -> TemporaryError | PermanentError:
    """Return the error that an unexpected answer is."""
    kind = TemporaryError if reply.status in RETRYABLE or reply.status >= 500 else PermanentError
    return kind(
        f"The answer was {reply.status}, expected {expectation}.",
        code=reply.status,
        output=reply.tail,
        retry_after=retry_after(reply.retry_after, reply.date),
    )


def retry_after(value: str | None, answered: str | None) -> timedelta | None:
    """Read a Retry-After header, in seconds or as a date; what makes no sense is left aside.

    A date is measured against the answer's own Date: the two clocks need not agree.
    """
    if value is None:
        return None
    if value.isdecimal():
        return min(timedelta(seconds=int(value[:9])), LONGEST_RETRY_AFTER)
    if answered is None:
        return None
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(answered)
    except (ValueError, TypeError):
        return None
    return min(max(wait, timedelta(0)), LONGEST_RETRY_AFTER)


_json = TypeAdapter(JsonValue)


def _content(request: HttpRequest, headers: dict[str, str]) -> bytes | None:
    if request.body is None:
        return None
    if isinstance(request.body, str):
        return request.body.encode()
    if not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = "application/json"
    return _json.dump_json(request.body)


def _expectation(request: HttpRequest) -> str:
    return " or ".join(str(status) for status in request.expected_status) or "200 to 299"

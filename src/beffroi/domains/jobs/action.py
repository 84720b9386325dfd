"""What a job can do: call a URL, run a named command, call a Python entry point."""

import asyncio
import inspect
from collections.abc import Callable, Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any, Literal

import httpx2
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

from beffroi.clients.http import TAIL, HttpClient
from beffroi.clients.process import Program, run_program
from beffroi.core.durations import PositiveDuration
from beffroi.core.errors import PermanentError, TemporaryError
from beffroi.engine.calls import Answer, Call

ENTRY_POINTS = "beffroi.actions"

RETRYABLE = frozenset({408, 425, 429})
"""Statuses below 500 after which the same request may succeed later."""


LONGEST_RETRY_AFTER = timedelta(days=1)


class _Params(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


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


class HttpParams(_Params):
    """Call a URL. Success is a status in `expected_status`."""

    kind: Literal["http"] = "http"
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


class CommandParams(_Params):
    """Run a command that the configuration file names."""

    kind: Literal["command"] = "command"
    command: Annotated[str, Field(min_length=1, max_length=200)]


class PythonParams(_Params):
    """Call an entry point of the group `beffroi.actions`: `function(call, **arguments)`."""

    kind: Literal["python"] = "python"
    entry_point: Annotated[str, Field(min_length=1, max_length=200)]
    arguments: dict[str, JsonValue] = {}


Action = Annotated[HttpParams | CommandParams | PythonParams, Field(discriminator="kind")]


class HttpAction:
    """Calls over HTTP, told apart by whether another try may help."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    async def call(self, params: HttpParams, call: Call) -> Answer:
        headers = {"Idempotency-Key": call.run_id, "User-Agent": "Beffroi", **params.headers}
        content = _content(params, headers)
        seconds = params.timeout.total_seconds()
        try:
            reply = await self._client.call(params.method, params.url, headers, content, seconds)
        except httpx2.TimeoutException as error:
            raise TemporaryError(f"No answer within {seconds:g} s ({type(error).__name__}).") from None
        except httpx2.UnsupportedProtocol as error:
            raise PermanentError(str(error)) from None
        except httpx2.TransportError as error:
            raise TemporaryError(f"The call failed: {error or type(error).__name__}") from None
        if _is_expected(reply.status, params.expected_status):
            return Answer(reply.status, reply.tail)
        kind = TemporaryError if reply.status in RETRYABLE or reply.status >= 500 else PermanentError
        raise kind(
            f"The answer was {reply.status}, expected {_expectation(params)}.",
            code=reply.status,
            output=reply.tail,
            retry_after=_retry_after(reply.retry_after, reply.date),
        )


class CommandAction:
    """Runs named commands. What is run never comes from a request."""

    def __init__(self, commands: Mapping[str, Program]) -> None:
        self._commands = commands

    async def call(self, params: CommandParams, call: Call) -> Answer:
        command = self._commands.get(params.command)
        if command is None:
            raise PermanentError(f"The configuration file names no command {params.command!r}.")
        try:
            ended = await run_program(command, _environment(call))
        except OSError as error:
            raise PermanentError(f"{command.argv[0]!r} cannot be started: {error.strerror}.") from None
        if ended.code != 0:
            raise TemporaryError(_how_it_ended(ended.code), code=ended.code, output=ended.tail)
        return Answer(ended.code, ended.tail)


async def call_python(params: PythonParams, call: Call) -> Answer:
    """Call the entry point: a coroutine function here, a plain one in a thread."""
    function = load_entry_point(params.entry_point)
    if inspect.iscoroutinefunction(function):
        result = await function(call, **params.arguments)
    else:
        result = await asyncio.to_thread(function, call, **params.arguments)
    if isinstance(result, Answer):
        return result
    return Answer(output=None if result is None else str(result)[-TAIL:])


def installed_entry_points() -> list[str]:
    """Return the names of the Python actions that are installed."""
    return sorted(point.name for point in entry_points(group=ENTRY_POINTS))


@cache
def load_entry_point(name: str) -> Callable[..., Any]:
    """Return the function of an entry point; PermanentError when it is absent or does not import."""
    found: list[EntryPoint] = list(entry_points(group=ENTRY_POINTS, name=name))
    if not found:
        raise PermanentError(f"No installed package offers a Python action {name!r}.")
    try:
        function = found[0].load()
    except (ImportError, AttributeError) as error:
        raise PermanentError(f"The Python action {name!r} cannot be loaded: {error}") from None
    if not callable(function):
        raise PermanentError(f"The Python action {name!r} is not a function.")
    loaded: Callable[..., Any] = function
    return loaded


_json = TypeAdapter(JsonValue)


def _content(params: HttpParams, headers: dict[str, str]) -> bytes | None:
    if params.body is None:
        return None
    if isinstance(params.body, str):
        return params.body.encode()
    if not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = "application/json"
    return _json.dump_json(params.body)


def _is_expected(status: int, expected: list[int]) -> bool:
    return status in expected if expected else 200 <= status <= 299


def _expectation(params: HttpParams) -> str:
    return " or ".join(str(status) for status in params.expected_status) or "200 to 299"


def _retry_after(value: str | None, answered: str | None) -> timedelta | None:
    """Read a Retry-After header, in seconds or as a date; what makes no sense is left aside.

    A date is measured against the answer's own Date: the two clocks need not agree.
    """
    if value is None:
        return None
    if value.isdigit():
        return min(timedelta(seconds=int(value[:9])), LONGEST_RETRY_AFTER)
    if answered is None:
        return None
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(answered)
    except (ValueError, TypeError):
        return None
    return min(max(wait, timedelta(0)), LONGEST_RETRY_AFTER)


def _environment(call: Call) -> dict[str, str]:
    return {
        "BEFFROI_RUN_ID": call.run_id,
        "BEFFROI_JOB": call.job_name,
        "BEFFROI_SCHEDULED_FOR": call.scheduled_for.isoformat(),
        "BEFFROI_ATTEMPT": str(call.attempt),
    }


def _how_it_ended(code: int) -> str:
    return f"The command was ended by signal {-code}." if code < 0 else f"The command ended with code {code}."

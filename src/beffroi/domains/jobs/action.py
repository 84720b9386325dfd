"""What a job can do: call a URL, run a named command, call a Python entry point."""

import asyncio
import inspect
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from beffroi.clients.http import TAIL, HttpClient
from beffroi.clients.process import Program, run_program
from beffroi.clients.requests import HttpRequest, succeed
from beffroi.core.errors import PermanentError, TemporaryError
from beffroi.engine.calls import Answer, Call

ENTRY_POINTS = "beffroi.actions"


class _Params(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HttpParams(HttpRequest):
    """Call a URL."""

    kind: Literal["http"] = "http"


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
    """Calls over HTTP."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    async def call(self, params: HttpParams, call: Call) -> Answer:
        reply = await succeed(self._client, params, call.run_id)
        return Answer(reply.status, reply.tail)


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


def _environment(call: Call) -> dict[str, str]:
    return {
        "BEFFROI_RUN_ID": call.run_id,
        "BEFFROI_JOB": call.job_name,
        "BEFFROI_SCHEDULED_FOR": call.scheduled_for.isoformat(),
        "BEFFROI_ATTEMPT": str(call.attempt),
    }


def _how_it_ended(code: int) -> str:
    return f"The command was ended by signal {-code}." if code < 0 else f"The command ended with code {code}."

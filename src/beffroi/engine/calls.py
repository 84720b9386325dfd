"""What the engine tells an action, and what a table of actions is."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from pydantic import BaseModel


class Call(NamedTuple):
    """One attempt of a run, as the action sees it. `run_id` is its idempotency key."""

    run_id: str
    job_id: int
    job_name: str
    scheduled_for: datetime
    attempt: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What an action that succeeded may tell: a status or exit code, and the tail of the output."""

    code: int | None = None
    output: str | None = None


ActionFunction = Callable[[Any, Call], Any]


@dataclass(frozen=True)
class ActionKind:
    """A kind of action: the model of its parameters, and the function that does it.

    A coroutine function runs in the executor's event loop and is cancelled at the timeout; a plain
    one runs in a thread, which cannot be stopped from outside. `close` is awaited when the executor
    stops.
    """

    params: type[BaseModel]
    function: ActionFunction
    close: Callable[[], Awaitable[None]] | None = None

    @cached_property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.function)


ActionTable = Mapping[str, ActionKind]


@lru_cache(maxsize=50_000)
def read_params(model: type[BaseModel], text: str) -> BaseModel:
    """Read an action's parameters back from their stored JSON."""
    return model.model_validate_json(text)

"""What the routes share: made by the roof, found on the application."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field

from fastapi import Request

from beffroi.engine.clock import Clock
from beffroi.engine.machine import Machine
from beffroi.store.db import Database


@dataclass(frozen=True)
class Context:
    """`zone`: where moments without an offset are read. `commands`: the names that may be called.

    `writers`: requests that write wait for each other here, not in the threads that all requests
    share: as many waiters as there are threads would leave none to the one they wait for.
    """

    database: Database
    clock: Clock
    machine: Machine
    zone: str
    commands: Collection[str]
    writers: asyncio.Lock = field(default_factory=asyncio.Lock)


def context_of(request: Request) -> Context:
    context: Context = request.app.state.context
    return context

"""What the routes share: made by the roof, found on the application."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from fastapi import Request

from beffroi.engine.clock import Clock
from beffroi.engine.machine import Machine
from beffroi.store.db import Database

if TYPE_CHECKING:
    from beffroi.web.access import Gate
    from beffroi.web.concerns import Watcher
    from beffroi.web.frame import Frame
    from beffroi.web.live import Pulse
    from beffroi.web.search import Finder


@dataclass(frozen=True)
class Context:
    """`zone`: where moments without an offset are read. `commands`: the names that may be called.
    `resync`: how often all targets are looked at.

    `gate`: who may come in. `pulse`: what changed. `frame`: how pages are made. `finders`: what the search
    box asks, one a domain. `watchers`: what the overview asks. `public_url`: where people find us, when it
    is not where we listen. `writers`: requests that write wait for each other here, not in the threads that
    all requests share: as many waiters as there are threads would leave none to the one they wait for.
    """

    database: Database
    clock: Clock
    machine: Machine
    gate: "Gate"
    pulse: "Pulse"
    frame: "Frame"
    finders: "Collection[Finder]"
    watchers: "Collection[Watcher]"
    zone: str
    commands: Collection[str]
    resync: timedelta = timedelta(minutes=5)
    public_url: str | None = None
    writers: asyncio.Lock = field(default_factory=asyncio.Lock)


def context_of(request: Request) -> Context:
    context: Context = request.app.state.context
    return context

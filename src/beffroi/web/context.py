"""What the routes share: made by the roof, found on the application."""

from collections.abc import Collection
from dataclasses import dataclass

from fastapi import Request

from beffroi.engine.clock import Clock
from beffroi.engine.machine import Machine
from beffroi.store.db import Database


@dataclass(frozen=True)
class Context:
    """`zone`: where moments without an offset are read. `commands`: the names that may be called."""

    database: Database
    clock: Clock
    machine: Machine
    zone: str
    commands: Collection[str]


def context_of(request: Request) -> Context:
    context: Context = request.app.state.context
    return context

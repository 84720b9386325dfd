"""The roof: builds everything from the settings. Whoever wants to know how it fits reads this."""

import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from beffroi import __version__
from beffroi.actions import action_table
from beffroi.domains.jobs import api as jobs
from beffroi.domains.workloads import api as workloads
from beffroi.engine.clock import Clock, SystemClock
from beffroi.engine.history import History
from beffroi.engine.machine import Machine, Tuning
from beffroi.engine.queue import QUEUE, NoQueue
from beffroi.settings import Settings, load
from beffroi.store.db import Database, lock_sqlite, make_folder
from beffroi.store.migrate import migrate
from beffroi.web import errors, health
from beffroi.web.context import Context

if TYPE_CHECKING:
    app: FastAPI

SWITCH_INTERVAL = 0.0001
"""Seconds after which a thread must let another go on: a busy request must not make the timer late."""

ROUTERS = (jobs.router, jobs.runs_router, workloads.router, health.router)


def create_app(settings: Settings, clock: Clock | None = None, *, timer: bool = True) -> FastAPI:
    """Build the application. Without `timer` it answers and changes, and fires nothing."""
    clock = clock or SystemClock()
    database = Database(settings.database_url, {QUEUE: NoQueue()})
    machine = Machine(database, clock, action_table(settings, database, clock), _tuning(settings))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        make_folder(database.url)
        lock = lock_sqlite(database.url)
        try:
            await run_in_threadpool(migrate, database)
            if timer:
                keep_steady()
                await run_in_threadpool(machine.start)
            yield
            await run_in_threadpool(machine.stop)
        finally:
            database.close()
            if lock is not None:
                lock.release()

    application = FastAPI(
        title="Beffroi",
        version=__version__,
        lifespan=lifespan,
        summary="A scheduler for small operations teams.",
    )
    application.state.context = Context(database, clock, machine, settings.timezone, settings.commands.keys())
    errors.install(application)
    for router in ROUTERS:
        application.include_router(router)
    return application


def keep_steady() -> None:
    """Spare the timer the pauses of a Python process: long turns of a thread, and full collections.

    Collecting what the program is made of (code, models, the OpenAPI description) takes tens of
    milliseconds and finds nothing: it is set aside for good, and what is left is looked at less often.
    """
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


def _tuning(settings: Settings) -> Tuning:
    return Tuning(
        concurrency=settings.concurrency,
        ahead=settings.plan_ahead,
        drain=settings.drain,
        history=History(settings.history_age, settings.history_count),
    )


def __getattr__(name: str) -> FastAPI:
    """Build `app` when it is asked for (`uvicorn beffroi.app:app`), not when this is imported."""
    if name != "app":
        raise AttributeError(name)
    from beffroi import logs

    settings = load()
    logs.set_up(settings)
    return create_app(settings)

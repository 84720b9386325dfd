"""The roof: builds everything from the settings. Whoever wants to know how it fits reads this."""

import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.concurrency import run_in_threadpool
from starlette.middleware.body_limit import RequestBodyLimitMiddleware

from beffroi import __version__
from beffroi.actions import action_table
from beffroi.core.access import Caller
from beffroi.domains.accounts import api as accounts
from beffroi.domains.accounts import oidc
from beffroi.domains.accounts import pages as accounts_pages
from beffroi.domains.accounts.gate import ANYBODY, Gate
from beffroi.domains.accounts.service import setup_key
from beffroi.domains.accounts.throttle import Throttle
from beffroi.domains.jobs import api as jobs
from beffroi.domains.jobs import pages as jobs_pages
from beffroi.domains.jobs import runs_pages
from beffroi.domains.jobs.declare import JOBS
from beffroi.domains.timeline import pages as timeline_pages
from beffroi.domains.timeline.figures import Figures
from beffroi.domains.workloads import api as workloads
from beffroi.domains.workloads import pages as workloads_pages
from beffroi.domains.workloads import targets_api as targets
from beffroi.domains.workloads import targets_pages
from beffroi.domains.workloads.declare import SCHEDULES, TARGETS
from beffroi.domains.workloads.targets import see_to_discovery, see_to_resync
from beffroi.engine.clock import Clock, DatabaseClock, SystemClock
from beffroi.engine.history import History
from beffroi.engine.machine import Machine, Tuning
from beffroi.engine.models import Role
from beffroi.engine.queue import QUEUE, NoQueue, Queue
from beffroi.settings import Auth, Settings, load
from beffroi.store.db import Database, lock_sqlite, make_folder
from beffroi.store.migrate import migrate, require
from beffroi.web import documents, errors, health, nodes, search, streams
from beffroi.web.context import Context
from beffroi.web.forms import RefusedError, show_refused
from beffroi.web.frame import Frame, see_other
from beffroi.web.live import Pulse
from beffroi.web.shield import LARGEST_BODY, Shield

if TYPE_CHECKING:
    app: FastAPI

SWITCH_INTERVAL = 0.0001
"""Seconds after which a thread must let another go on: a busy request must not make the timer late."""

SECTIONS = (TARGETS, SCHEDULES, JOBS)

ROUTERS = (
    jobs.router,
    jobs.runs_router,
    workloads.router,
    targets.router,
    documents.router(SECTIONS),
    nodes.router,
    accounts.router,
    health.router,
)

PAGES = (
    timeline_pages.router,
    jobs_pages.router,
    runs_pages.router,
    workloads_pages.router,
    targets_pages.router,
    oidc.router,
    accounts_pages.router,
    search.router,
    streams.router,
)
MENU = (timeline_pages.MENU, jobs_pages.MENU, runs_pages.MENU, workloads_pages.MENU, *accounts_pages.MENU)
TEMPLATES = {name: f"beffroi.domains.{name}" for name in ("timeline", "jobs", "workloads", "accounts")}
FINDERS = (jobs_pages.find, workloads_pages.find, runs_pages.find)
WATCHERS = (targets_pages.watch,)


def create_app(
    settings: Settings,
    clock: Clock | None = None,
    *,
    timer: bool = True,
    role: Role = Role.SERVE,
    everybody: Caller | None = None,
) -> FastAPI:
    """Build the application. Without `timer` it answers and changes, and fires nothing.

    In the role of a worker it executes and answers probes, and that is all. `everybody`: who every
    caller is taken for; None: as the settings say.
    """
    database = Database(settings.database_url)
    clock = clock or clock_of(database)
    database.info[QUEUE] = queue_for(database, clock)
    is_open = settings.auth is Auth.OFF and everybody is None
    throttle = Throttle()
    pulse = Pulse(database)
    context = Context(
        database=database,
        clock=clock,
        machine=Machine(database, clock, action_table(settings, database, clock), _tuning(settings, role)),
        gate=Gate(database, throttle, ANYBODY if is_open else everybody),
        pulse=pulse,
        frame=Frame(database, pulse, TEMPLATES, MENU),
        finders=FINDERS,
        watchers=WATCHERS,
        zone=settings.timezone,
        commands=settings.commands.keys(),
        resync=settings.resync,
        public_url=settings.public_url,
    )
    application = FastAPIOffline(
        redoc_url=None,
        title="Beffroi",
        version=__version__,
        lifespan=lambda _: _alive(context, settings, timer),
        summary="A scheduler for small operations teams.",
    )
    application.state.context = context
    application.state.throttle = throttle
    application.add_middleware(RequestBodyLimitMiddleware, max_body_size=LARGEST_BODY)
    application.add_middleware(Shield, is_open=is_open, public_url=settings.public_url)
    errors.install(application)
    if role is Role.SERVE:
        _furnish(application, context, settings)
    else:
        application.include_router(health.router)
    return application


def _furnish(application: FastAPI, context: Context, settings: Settings) -> None:
    """Add what people and programs ask for: the API and the pages."""
    application.state.figures = Figures()
    application.state.provider = _provider(settings)
    application.add_exception_handler(RefusedError, show_refused)
    for router in (*ROUTERS, *PAGES):
        application.include_router(router)
    application.add_route("/", lambda _: see_other("/ui/"), include_in_schema=False)
    application.mount(context.frame.static_path, context.frame.static, name="static")


@asynccontextmanager
async def _alive(context: Context, settings: Settings, timer: bool) -> AsyncIterator[None]:
    """From start to stop: the file is ours, the schema is right, the timer is armed."""
    database = context.database
    make_folder(database.url)
    lock = lock_sqlite(database.url)
    try:
        await run_in_threadpool(prepare, database, context.clock)
        if timer:
            keep_steady()
            await run_in_threadpool(_take_on, context, settings)
            await run_in_threadpool(context.machine.start)
        yield
        await run_in_threadpool(context.pulse.close)
        await run_in_threadpool(context.machine.stop)
    finally:
        database.close()
        if lock is not None:
            lock.release()


def _take_on(context: Context, settings: Settings) -> None:
    """Let the jobs that look after workloads be as the settings say."""
    now = context.clock.now()
    with context.database.write() as session:
        see_to_resync(session, settings.resync, now)
        see_to_discovery(session, settings.discover, settings.resync, now)


def first_visit(application: FastAPI) -> str | None:
    """Return the path of the page that makes the first account; None when it is not wanted any more."""
    context: Context = application.state.context
    if context.gate.is_open:
        return None
    with context.database.write() as session:
        key = setup_key(session, context.clock.now())
    return f"/ui/welcome?key={key}" if key else None


def clock_of(database: Database) -> Clock:
    """Return the clock that all nodes on the database go by."""
    return SystemClock() if database.is_sqlite else DatabaseClock(database.now)


def queue_for(database: Database, clock: Clock) -> Queue:
    """Return the queue in which a process that executes nothing leaves what it plans."""
    if database.is_sqlite:
        return NoQueue()
    from beffroi.engine.shared import SharedQueue

    return SharedQueue(clock)


def prepare(database: Database, clock: Clock) -> None:
    """See that schema and clock are right. SQLite is migrated here, PostgreSQL by `beffroi migrate`."""
    if database.is_sqlite:
        migrate(database)
    else:
        require(database)
    if isinstance(clock, DatabaseClock):
        clock.set()


def _provider(settings: Settings) -> oidc.Provider | None:
    if not (settings.oidc_issuer and settings.oidc_client_id and settings.oidc_client_secret):
        return None
    secret = settings.oidc_client_secret.get_secret_value()
    return oidc.Provider(settings.oidc_issuer, settings.oidc_client_id, secret, settings.oidc_role)


def keep_steady() -> None:
    """Spare the timer the pauses of a Python process: long turns of a thread, and full collections.

    Collecting what the program is made of (code, models, the OpenAPI description) takes tens of
    milliseconds and finds nothing: it is set aside for good, and what is left is looked at less often.
    """
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


def _tuning(settings: Settings, role: Role) -> Tuning:
    return Tuning(
        role=role,
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

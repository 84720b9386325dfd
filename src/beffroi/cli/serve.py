"""`beffroi serve`, `migrate`, `check`: running the program and looking at its configuration."""

import asyncio
import errno
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Annotated

import typer
import uvicorn
from fastapi import FastAPI
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

from beffroi import events, logs
from beffroi.app import create_app, first_visit
from beffroi.cli.render import err, out, print_json
from beffroi.core.errors import SettingsError
from beffroi.engine.models import Role
from beffroi.settings import LogFormat, Settings, config_path, load, split_address, warnings
from beffroi.store.db import Database, lock_sqlite, make_folder, unreachable
from beffroi.store.migrate import migrate as run_migrations
from beffroi.store.migrate import require

GRACE = 5
"""Seconds that open requests get when the server stops."""

TRY_NEXT = """
Beffroi serves on {url}. Try, from another terminal:

  curl -X POST {url}/jobs -H 'Content-Type: application/json' -d '{{
    "name": "hello", "trigger": {{"kind": "interval", "every": "5s"}},
    "action": {{"kind": "http", "url": "{url}/health"}}}}'
  curl {url}/runs
  {command} jobs

The API with its examples: {url}/docs
"""


def serve(
    listen: Annotated[
        str | None, typer.Option(help="Addresses to serve on instead of the configured ones.")
    ] = None,
    hints: Annotated[bool, typer.Option(help="Print what to try next.")] = True,
    reload: Annotated[bool, typer.Option(help="Start anew when the code changes (for development).")] = False,
) -> None:
    """Run the server: API and timer. The schema of an SQLite database is brought up to date first."""
    if listen:
        os.environ["BEFFROI_LISTEN"] = listen
    settings = load()
    logs.set_up(settings)
    for warning in warnings(settings):
        err.print(f"[yellow]{warning}[/]", highlight=False)
    if reload:
        host, port = split_address(settings.listen[0])
        uvicorn.run(
            "beffroi.app:app", host=host, port=port, reload=True, reload_dirs=["src"], log_config=None
        )
        return
    _serve(settings, hints)


def work(
    listen: Annotated[
        str | None, typer.Option(help="An address for probes (`GET /health`); none is served without it.")
    ] = None,
) -> None:
    """Execute runs, and nothing else: a further node on a PostgreSQL database."""
    settings = load()
    if settings.database_url.startswith("sqlite"):
        raise SettingsError(
            "A worker needs a database that machines can share: set BEFFROI_DATABASE_URL to "
            "'postgresql://...'. On SQLite `beffroi serve` executes everything itself."
        )
    if settings.concurrency == 0:
        raise SettingsError("concurrency: a worker must be allowed at least 1 run at a time.")
    logs.set_up(settings)
    addresses = [part.strip() for part in listen.split(",")] if listen else []
    _serve(settings.model_copy(update={"listen": addresses}), hints=False, role=Role.WORK)


def migrate() -> None:
    """Bring the database's schema up to date."""
    settings = load()
    logs.set_up(settings)
    database = Database(settings.database_url)
    make_folder(database.url)
    lock = lock_sqlite(database.url)
    try:
        before, after = run_migrations(database)
    except OperationalError as error:
        raise unreachable(database.url, error) from None
    database.close()
    if lock is not None:
        lock.release()
    out.print(
        "The schema is up to date." if before == after else f"The schema is now at {after}.", highlight=False
    )


def check(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check the configuration: every error (exit code 2) and every warning, in sentences."""
    errors: list[str] = []
    found: list[str] = []
    try:
        settings = load()
        found = warnings(settings)
        make_folder(Database(settings.database_url).url)
    except SettingsError as error:
        errors = error.message.splitlines()
    if as_json:
        print_json({"errors": errors, "warnings": found})
    else:
        _print_findings(errors, found)
    if errors:
        raise typer.Exit(2)


def _print_findings(errors: list[str], found: list[str]) -> None:
    for sentence in errors:
        out.print(f"[red]error[/]    {sentence}", highlight=False)
    for sentence in found:
        out.print(f"[yellow]warning[/]  {sentence}", highlight=False)
    if not errors and not found:
        path = config_path()
        out.print(
            f"The configuration is fine ({path or 'no file; defaults and environment'}).", highlight=False
        )


def _serve(settings: Settings, hints: bool, role: Role = Role.SERVE) -> None:
    # Everything that can be wrong is tried before anything is started, and ends in one sentence.
    url = _try_database(settings)
    sockets = [_bind(address) for address in settings.listen]
    application = create_app(settings, role=role)
    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACE,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
    )
    server = _Server(config)
    server.stopping = application.state.context.pulse.end_streams
    if role is Role.SERVE and sockets:
        server.welcome = lambda: _welcome(application, settings.public_url or _url(sockets[0]))
    if role is Role.SERVE:
        events.serving(settings.listen, url.render_as_string())
    else:
        events.working(settings.concurrency, url.render_as_string())
    if hints and sockets and settings.log is LogFormat.HUMAN:
        typer.echo(TRY_NEXT.format(url=_url(sockets[0]), command=sys.argv[0]))
    asyncio.run(server.serve(sockets=sockets))
    if not server.started:
        raise typer.Exit(2)


def _welcome(application: FastAPI, url: str) -> None:
    if path := first_visit(application):
        typer.echo(f"\nNobody has an account yet. Make the first one here, within a day:\n\n  {url}{path}\n")


def _try_database(settings: Settings) -> URL:
    """See that the database can be worked with; SettingsError with one sentence when it cannot."""
    database = Database(settings.database_url)
    make_folder(database.url)
    if database.is_sqlite:
        if (lock := lock_sqlite(database.url)) is not None:
            lock.release()
        return database.url
    try:
        require(database)
    except OperationalError as error:
        raise unreachable(database.url, error) from None
    finally:
        database.close()
    return database.url


class _Server(uvicorn.Server):
    """Ends with code 0 when it is told to stop: Uvicorn's own would die of the signal it has served.

    It wakes up once a second, for the `Date` header, where Uvicorn's own does so ten times.
    """

    welcome: Callable[[], None] | None = None
    stopping: Callable[[], None] = staticmethod(lambda: None)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self.welcome is not None:
            await asyncio.to_thread(self.welcome)

    async def main_loop(self) -> None:
        self._told_to_stop = asyncio.Event()
        self._main = asyncio.get_running_loop()
        while not await self.on_tick(counter=0) and not self.should_exit:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told_to_stop.wait(), 1.0)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if self._told_to_stop is not None:
            self._main.call_soon_threadsafe(self._told_to_stop.set)
            self._main.call_soon_threadsafe(self.stopping)

    _told_to_stop: asyncio.Event | None = None
    _main: asyncio.AbstractEventLoop

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {
            number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _bind(address: str) -> socket.socket:
    host, port = split_address(address)
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # Visitors by IPv4 come by an address of their own: mapped into IPv6, all of them look alike.
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(where)
        bound.listen(2048)
    except OSError as error:
        raise SettingsError(_why_not(address, error)) from None
    return bound


def _why_not(address: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{address} is in use by another program; choose another with BEFFROI_LISTEN."
    return f"{address} cannot be listened on: {error.strerror}; choose another with BEFFROI_LISTEN."


def _url(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

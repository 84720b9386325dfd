"""`beffroi serve`, `migrate`, `check`: running the program and looking at its configuration."""

import asyncio
import errno
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
import uvicorn

from beffroi import events, logs
from beffroi.app import create_app
from beffroi.cli.render import err, out, print_json
from beffroi.core.errors import SettingsError
from beffroi.settings import Settings, config_path, load, split_address, warnings
from beffroi.store.db import Database, lock_sqlite, make_folder
from beffroi.store.migrate import migrate as run_migrations

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


def migrate() -> None:
    """Bring the database's schema up to date."""
    settings = load()
    logs.set_up(settings)
    database = Database(settings.database_url)
    make_folder(database.url)
    lock = lock_sqlite(database.url)
    before, after = run_migrations(database)
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


def _serve(settings: Settings, hints: bool) -> None:
    # Everything that can be wrong is tried before anything is started, and ends in one sentence.
    url = Database(settings.database_url).url
    make_folder(url)
    sockets = [_bind(address) for address in settings.listen]
    lock = lock_sqlite(url)
    if lock is not None:
        lock.release()
    config = uvicorn.Config(
        create_app(settings),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACE,
        server_header=False,
    )
    server = _Server(config)
    events.serving(settings.listen, url.render_as_string())
    if hints:
        typer.echo(TRY_NEXT.format(url=_url(sockets[0]), command=sys.argv[0]))
    asyncio.run(server.serve(sockets=sockets))
    if not server.started:
        raise typer.Exit(2)


class _Server(uvicorn.Server):
    """Ends with code 0 when it is told to stop: Uvicorn's own would die of the signal it has served."""

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

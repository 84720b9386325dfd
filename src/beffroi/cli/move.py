"""`beffroi move`: carry everything over to another database."""

from contextlib import ExitStack
from typing import Annotated

import typer
from sqlalchemy.exc import ArgumentError, OperationalError

from beffroi.app import clock_of, prepare, queue_for
from beffroi.cli.render import err, out
from beffroi.core.errors import SettingsError
from beffroi.engine.clock import Clock
from beffroi.engine.move import Moved
from beffroi.engine.move import move as move_tables
from beffroi.engine.queue import QUEUE
from beffroi.store.db import Database, lock_sqlite, make_folder, sqlite_path, unreachable
from beffroi.store.migrate import migrate

FROM, TO = "--from", "--to"


def move(
    source: Annotated[str, typer.Option(FROM, help="The database that has everything, as a URL.")],
    target: Annotated[str, typer.Option(TO, help="An empty database, as a URL; its schema is made.")],
) -> None:
    """Carry everything over to another database, compare it, and leave the old one as it is.

    Stop the server first. What has been carried over already is only compared.
    """
    if source == target:
        raise SettingsError(f"{FROM} and {TO} name the same database.")
    with ExitStack() as stack:
        (old, _), (new, clock) = (_open(url, option, stack) for url, option in ((source, FROM), (target, TO)))
        if (path := sqlite_path(old.url)) is not None and not path.is_file():
            raise SettingsError(f"{FROM}: there is no file {str(path)!r}.")
        make_folder(new.url)
        for database in (old, new):
            if (lock := lock_sqlite(database.url)) is not None:
                stack.callback(lock.release)
            try:
                migrate(database)
            except OperationalError as error:
                raise unreachable(database.url, error) from None
        prepare(new, clock)
        moved = move_tables(old, new, clock.now(), _tell)
    if any(each.is_new for each in moved):
        out.print(f"Everything is in the new database. Set BEFFROI_DATABASE_URL to what you gave as {TO}.")
    else:
        out.print("Everything was there already; nothing was changed.", highlight=False)


def _open(url: str, option: str, stack: ExitStack) -> tuple[Database, Clock]:
    try:
        database = Database(url)
    except ArgumentError:
        raise SettingsError(f"{option}: {url!r} is not an SQLAlchemy URL.") from None
    clock = clock_of(database)
    database.info[QUEUE] = queue_for(database, clock)
    stack.callback(database.close)
    return database, clock


def _tell(moved: Moved) -> None:
    what = "copied and compared" if moved.is_new else "compared"
    err.print(f"{moved.table}: {moved.content.rows:,} rows {what}.", highlight=False)

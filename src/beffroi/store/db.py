"""Sessions: one to read, one to write, committed once at its end."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Executable, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import ConnectionPoolEntry
from sqlmodel import Session

from beffroi.core.errors import SettingsError

BUSY_TIMEOUT_MS = 5_000
"""How long SQLite waits for another program that holds the file."""


IMPATIENT = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""A server that vanished without a word is noticed in seconds, not when the kernel gives up."""


class Database:
    """The engine behind the sessions. `info` is handed to every session (`session.info`)."""

    def __init__(self, url: str, info: Mapping[str, Any] | None = None) -> None:
        self.url = with_driver(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.info = dict(info or {})
        # Parameters stay out of error texts: they hold headers, bodies and other people's secrets.
        self.engine = create_engine(
            self.url,
            pool_size=20,
            max_overflow=40,
            pool_timeout=30,
            pool_pre_ping=not self.is_sqlite,
            connect_args={} if self.is_sqlite else IMPATIENT,
            hide_parameters=True,
        )
        self._writer = threading.Lock()
        if self.is_sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session for reading; what it would write is rolled back."""
        with Session(self.engine, info=self.info) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a session for writing; commit once at the end, roll back on any error.

        On SQLite writers of this process queue up here, not in SQLite's busy handler, which sleeps
        in steps of milliseconds and is not fair.
        """
        with self._turn(), self._session_to_write() as session:
            yield session

    @contextmanager
    def _session_to_write(self) -> Iterator[Session]:
        with Session(self.engine, info=self.info) as session:
            session.connection(execution_options={"beffroi_immediate": True})
            try:
                yield session
                session.commit()
            except BaseException:
                session.rollback()
                raise

    def write_if_free(self, statement: Executable) -> bool:
        """Write something that may be left out, unless somebody else is writing; return whether it was.

        Never waits for another writer of this process: that one may be waiting for us.
        """
        if not self.is_sqlite:
            with self.write() as session:
                session.execute(statement)
            return True
        if not self._writer.acquire(blocking=False):
            return False
        try:
            with self._session_to_write() as session:
                session.execute(statement)
        finally:
            self._writer.release()
        return True

    def now(self) -> datetime:
        """Return what the clock of a PostgreSQL server says."""
        with self.engine.connect() as connection:
            moment: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        return moment

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self.is_sqlite:
            yield
            return
        with self._writer:
            yield

    def close(self) -> None:
        self.engine.dispose()


def with_driver(url: str) -> URL:
    """Read a URL; `postgresql://`, as everybody writes it, means psycopg 3."""
    made = make_url(url)
    return made.set(drivername="postgresql+psycopg") if made.drivername == "postgresql" else made


def unreachable(url: URL, error: Exception) -> SettingsError:
    """Say in a sentence that the database cannot be reached; the password is not in it."""
    reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
    return SettingsError(f"The database {url.render_as_string()} cannot be reached: {reason}")


def sqlite_path(url: URL) -> Path | None:
    """Return the file of an SQLite URL; None for a database in memory or another kind."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(str(url.database))


def make_folder(url: URL) -> None:
    """Make the folder of an SQLite database; SettingsError when it cannot be written."""
    path = sqlite_path(url)
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        probe = path.parent / f".{path.name}.probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SettingsError(
            f"The folder {str(path.parent)!r} of the database cannot be written ({error.strerror}). "
            "Make it writable or set BEFFROI_DATABASE_URL."
        ) from None


def lock_sqlite(url: URL) -> FileLock | None:
    """Take the file for this process; the lock goes with the process, even when that is killed.

    Raises SettingsError when another process has it: two would both fire every job's action.
    """
    path = sqlite_path(url)
    if path is None:
        return None
    lock = FileLock(f"{path}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise SettingsError(
            f"Another Beffroi already runs on {str(path)!r}. "
            "Stop it, or give this one a database of its own with BEFFROI_DATABASE_URL."
        ) from None
    return lock


def _prepare_sqlite(connection: Any, _record: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions are begun in _begin_sqlite, not by the driver
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "journal_mode = WAL",
        "foreign_keys = ON",
        "synchronous = FULL",
        "cache_size = -16000",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("beffroi_immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

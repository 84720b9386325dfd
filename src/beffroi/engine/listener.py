"""Hears what other machines say: something was changed, a run is to be cancelled, the queue has grown."""

from collections.abc import Callable

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from sqlalchemy.engine import URL

from beffroi.engine.shared import CHANNEL
from beffroi.store import pgqueuer
from beffroi.store.db import IMPATIENT

LISTEN_FOR = 1.0
"""Seconds after which it looks whether it is to stop."""


class Listener:
    """Its own connection. `on_message` gets what is said; `on_queue` is called when the queue has grown."""

    def __init__(self, url: URL, on_message: Callable[[str], None], on_queue: Callable[[], None]) -> None:
        self._dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._on_message = on_message
        self._on_queue = on_queue
        self._connection: psycopg.Connection | None = None

    def poll(self) -> float:
        try:
            connection = self._connection or self._connect()
            for notice in connection.notifies(timeout=LISTEN_FOR):
                if notice.channel == CHANNEL:
                    self._on_message(notice.payload)
                elif INSERTED in notice.payload:
                    self._on_queue()
        except psycopg.Error:
            self.close()
            raise
        return 0.0

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> psycopg.Connection:
        self._connection = psycopg.connect(make_conninfo(self._dsn, **IMPATIENT), autocommit=True)
        for channel in (CHANNEL, pgqueuer.channel()):
            self._connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        # What was said while nobody listened is not repeated.
        self._on_message("")
        self._on_queue()
        return self._connection


INSERTED = '"operation" : "insert"'
"""How PgQueuer's trigger words that something was added; that something was taken is no news."""

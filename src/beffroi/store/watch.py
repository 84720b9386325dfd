"""Sees that something was written, without knowing what: a connection of its own, and one small question."""

from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from beffroi.store.db import Database

AWAY = "away"


class Watch:
    """`version()` changes whenever anybody commits.

    SQLite counts what other connections commit (`data_version`); on PostgreSQL the place in the
    write-ahead log moves with every write of every node. Not safe to be asked by two threads at once.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._question = (
            "PRAGMA data_version" if database.is_sqlite else "SELECT pg_current_wal_insert_lsn()::text"
        )
        self._connection: Any = None

    def version(self) -> str:
        """Return the version of all data; `away` while the database does not answer."""
        try:
            if self._connection is None:
                self._connection = self._connect()
            cursor = self._connection.cursor()
            try:
                cursor.execute(self._question)
                return str(cursor.fetchone()[0])
            finally:
                cursor.close()
        except (SQLAlchemyError, self._database.engine.dialect.loaded_dbapi.Error):
            # Whoever asks the database for more than a number will be told what is wrong.
            self.close()
            return AWAY

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connect(self) -> Any:
        pooled = self._database.engine.raw_connection()
        connection: Any = pooled.dbapi_connection
        # Out of the pool, which would begin transactions: inside one, nothing ever changes.
        pooled.detach()
        if not self._database.is_sqlite:
            connection.autocommit = True
        return connection

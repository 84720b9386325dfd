"""Brings the schema to what this program needs. One at a time: the migration runs under the write lock."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from beffroi import events
from beffroi.store.db import Database

HEAD = "0001"
"""The newest revision; a test holds it to the migrations folder."""


def migrate(database: Database) -> tuple[str | None, str]:
    """Apply the migrations that are missing; return the revision before and after."""
    with database.write() as session:
        connection = session.connection()
        before = current_revision(connection)
        if before != HEAD:
            _upgrade(connection)
            events.migrated(before, HEAD)
    return before, HEAD


def current_revision(connection: Connection) -> str | None:
    """Return the revision of the schema; None for an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision


def _upgrade(connection: Connection) -> None:
    # Alembic takes a third of a second to import, which a start that migrates nothing does not pay.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")

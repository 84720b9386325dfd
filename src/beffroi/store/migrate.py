"""Brings the schema to what this program needs: one at a time, whoever else starts waits.

Migrations only add (columns with a default, tables, indexes), so a program of the release before
works on the new schema, and machines can be upgraded one after the other. What is no longer used is
taken away a release later.
"""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from beffroi import events
from beffroi.core.errors import SettingsError
from beffroi.store.db import Database

HEAD = "0005"
"""The newest revision; a test holds it to the migrations folder."""

LOCK = 0x0BEFF401
"""The advisory lock under which PostgreSQL's schema is migrated."""


def migrate(database: Database) -> tuple[str | None, str]:
    """Apply the migrations that are missing; return the revision before and after."""
    with database.write() as session:
        connection = session.connection()
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        before = current_revision(connection)
        if not _serves(before):
            _upgrade(connection)
            events.migrated(before, HEAD)
            return before, HEAD
    return before, before or HEAD


def require(database: Database) -> None:
    """Refuse a schema that is older than this program; SettingsError says what to do."""
    with database.read() as session:
        found = current_revision(session.connection())
    if not _serves(found):
        present = "no schema yet" if found is None else f"the schema {found}"
        raise SettingsError(
            f"The database has {present}; this program needs {HEAD}. Run `beffroi migrate` first."
        )


def current_revision(connection: Connection) -> str | None:
    """Return the revision of the schema; None for an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision


def _serves(revision: str | None) -> bool:
    """Whether this program can work with the schema: its own, or that of a newer program."""
    return revision is not None and revision >= HEAD


def _upgrade(connection: Connection) -> None:
    # Alembic takes a third of a second to import, which a start that migrates nothing does not pay.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")

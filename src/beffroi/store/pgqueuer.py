"""PgQueuer, spoken to inside our own transactions.

PgQueuer gives the tables, the statements, the order by priority, SKIP LOCKED and the heartbeats. Its
own driver insists on autocommit and its workers end jobs in transactions of their own; we need what is
enqueued and what is ended to be one with the ledger, so its statements are sent over the session's
connection.
"""

from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder
from pgqueuer.adapters.persistence.queries import SyncQueries
from pgqueuer.domain.settings import DBSettings, Durability
from pgqueuer.domain.types import QueueEntrypoint, QueueManagerId
from pgqueuer.ports.driver import SyncDriver
from psycopg import Connection, RawCursor
from psycopg import OperationalError as PsycopgOperationalError
from psycopg.rows import dict_row
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

ENTRY_POINT = QueueEntrypoint("beffroi.run")


class Ticket(NamedTuple):
    """A place in the queue, and whose place it is."""

    id: int
    subjects: list[str]


class Item(NamedTuple):
    """What is to be enqueued: its subjects, how much they matter, and how soon they may be taken."""

    subjects: Sequence[str]
    priority: int
    delay: timedelta


@cache
def settings() -> DBSettings:
    """Its journal is not logged: the ledger is ours, and this is written three times a run."""
    return DBSettings(durability=Durability.balanced)


def channel() -> str:
    """Return the channel on which the queue says that it has changed."""
    return str(settings().channel)


def install_statement() -> str:
    return QueryBuilderEnvironment(settings()).build_install_query()


def uninstall_statement() -> str:
    return QueryBuilderEnvironment(settings()).build_uninstall_query()


class _SessionDriver(SyncDriver):
    """Sends PgQueuer's statements over the connection, and in the transaction, of a session."""

    def __init__(self, session: Session) -> None:
        connection = session.connection().connection.driver_connection
        assert isinstance(connection, Connection)
        self._connection = connection

    def fetch(self, query: str, *args: object) -> list[dict[str, Any]]:
        cursor = RawCursor(self._connection, row_factory=dict_row)
        try:
            cursor.execute(query, args or None)
        except PsycopgOperationalError as error:
            # As SQLAlchemy words it: whoever waits for the database to come back looks for this.
            raise OperationalError(query, None, error) from error
        return cursor.fetchall() if cursor.description else []


@cache
def _builder() -> QueryQueueBuilder:
    return QueryQueueBuilder(settings())


def enqueue(session: Session, items: Sequence[Item]) -> None:
    """Add items, in the session's transaction."""
    SyncQueries(_SessionDriver(session), _builder()).enqueue(
        [ENTRY_POINT] * len(items),
        [",".join(item.subjects).encode() for item in items],
        [item.priority for item in items],
        [item.delay for item in items],
    )


def without_ticket(session: Session, subjects: Sequence[str]) -> list[str]:
    """Return those of the subjects that are on no ticket at all."""
    if not subjects:
        return []
    names = _builder().qualified
    rows = _SessionDriver(session).fetch(
        "SELECT wanted FROM unnest($1::text[]) AS wanted EXCEPT SELECT"
        f" unnest(string_to_array(convert_from(payload, 'UTF8'), ',')) FROM {names.queue_table}"
        " WHERE entrypoint = $2",
        list(subjects),
        ENTRY_POINT,
    )
    return [str(row["wanted"]) for row in rows]


def dequeue(session: Session, most: int, worker: str, lease: timedelta) -> list[Ticket]:
    """Take what may be taken now, and what others took and did not keep alive for the lease."""
    query = _builder().build_dequeue_query(
        batch_size=most,
        entrypoints=[ENTRY_POINT],
        concurrency_limits=[0],
        queue_manager_id=QueueManagerId(UUID(worker)),
        global_concurrency_limit=None,
        heartbeat_timeout=lease,
    )
    rows = _SessionDriver(session).fetch(query.sql, *query.args)
    return [Ticket(row["id"], bytes(row["payload"]).decode().split(",")) for row in rows]


def finish(session: Session, tickets: Sequence[int]) -> None:
    """Take ended items out of the queue."""
    outcomes = ["successful"] * len(tickets)
    nothing = [None] * len(tickets)
    _SessionDriver(session).fetch(_builder().build_log_job_query(), list(tickets), outcomes, nothing)


def keep_alive(session: Session, tickets: Sequence[int]) -> None:
    """Say that whoever took the items lives."""
    _SessionDriver(session).fetch(_builder().build_update_heartbeat_query(), list(tickets))


def next_delay(session: Session) -> timedelta | None:
    """Return how long until the next item may be taken; None when none waits."""
    rows = _SessionDriver(session).fetch(_builder().build_next_deferred_eta_query(), [ENTRY_POINT])
    return rows[0]["eta"] if rows else None


def forget_journal(session: Session) -> None:
    """Empty the queue's own journal, which nothing here reads; OperationalError when it is in use."""
    _SessionDriver(session).fetch("SET LOCAL lock_timeout = '100ms'")
    _SessionDriver(session).fetch(_builder().build_truncate_log_query())

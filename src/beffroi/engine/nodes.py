"""Nodes: saying that we live, taking back the runs of those that do not, deleting old history."""

import os
import socket
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import CursorResult, and_, case, func, or_, select, update
from sqlmodel import Session, col
from uuid_utils import uuid7

from beffroi import __version__, events
from beffroi.core.outcomes import Reason, State
from beffroi.core.policies import Rescue, read_policy
from beffroi.engine import signals
from beffroi.engine.clock import Clock
from beffroi.engine.history import History, prune
from beffroi.engine.models import IS_OPEN, Job, Node, Run
from beffroi.store.db import Database

HEARTBEAT = timedelta(seconds=4)
LEASE = timedelta(seconds=10)
"""A node that was silent for so long is taken for dead; its runs are taken back."""

MOST_RESCUES = 3
"""A run that took so many processes with it is not given to another one."""

ABSENCE = timedelta(seconds=30)
"""A silence of all nodes longer than this is recorded."""


class Lost(NamedTuple):
    """The verdict of a run that is given up."""

    id: str
    message: str
    state: State = State.FAILED


def register(session: Session, now: datetime) -> str:
    """Write this process down as a node; return its id, which is new for every start."""
    node = Node(
        id=str(uuid7()),
        host=socket.gethostname(),
        pid=os.getpid(),
        version=__version__,
        started_at=now,
        heartbeat_at=now,
    )
    session.add(node)
    return node.id


def note_absence(session: Session, now: datetime) -> None:
    """Record the gap between the last heartbeat of any node and now, if it is one."""
    last = session.scalar(select(func.max(col(Node.heartbeat_at))))
    if last is not None and now - last > ABSENCE:
        signals.absence(session, last, now)


def heartbeat(session: Session, node_id: str, now: datetime) -> None:
    session.execute(update(Node).where(col(Node.id) == node_id).values(heartbeat_at=now, stopped_at=None))


def sign_off(session: Session, node_id: str, now: datetime) -> None:
    """Say that the node stopped in good order, and leave what it held to others."""
    session.execute(update(Node).where(col(Node.id) == node_id).values(heartbeat_at=now, stopped_at=now))
    release(session, node_id, now)


def rescue(session: Session, node_id: str, now: datetime, alone: bool) -> int:
    """Take back the open runs of dead nodes; return how many.

    `alone`: this process has the database for itself, so every other node is dead, however short
    its silence.
    """
    silent = [] if alone else [col(Node.heartbeat_at) < now - LEASE]
    held = session.execute(
        select(col(Run.node_id))
        .where(IS_OPEN, col(Run.node_id).is_not(None), col(Run.node_id) != node_id)
        .distinct()
    ).scalars()
    dead = session.execute(
        select(col(Node.id), col(Node.host)).where(
            col(Node.id).in_(list(held)), or_(col(Node.stopped_at).is_not(None), and_(True, *silent))
        )
    ).all()
    taken = 0
    for row in dead:
        count = release(session, row.id, now)
        events.runs_rescued(count, row.host)
        taken += count
    return taken


def release(session: Session, node_id: str, now: datetime) -> int:
    """Put the open runs of a node back among the planned ones; return how many were open.

    The token grows, so that the node, should it live after all, can settle none of them.
    """
    mine = and_(col(Run.node_id) == node_id, IS_OPEN)
    given_up = _give_up(session, mine, now)
    started = col(Run.state) == State.RUNNING.value
    freed: CursorResult[Any] = session.execute(  # type: ignore[assignment]
        update(Run)
        .where(mine)
        .values(
            state=State.PLANNED.value,
            node_id=None,
            started_at=None,
            token=col(Run.token) + 1,
            attempt=col(Run.attempt) + case((started, 1), else_=0),
            rescues=col(Run.rescues) + case((started, 1), else_=0),
        )
    )
    return given_up + freed.rowcount


def _give_up(session: Session, mine: Any, now: datetime) -> int:
    """Fail the running ones that must not be started again."""
    rows = session.execute(
        select(col(Run.id), col(Run.job_id), col(Run.rescues), col(Job.policy))
        .join(Job, col(Job.id) == col(Run.job_id))
        .where(mine, col(Run.state) == State.RUNNING.value)
    ).all()
    hopeless = [row for row in rows if row.rescues >= MOST_RESCUES or not _may_start_again(row.policy)]
    message = "The process that ran it died, and it is not to be started again."
    for row in hopeless:
        session.execute(
            update(Run)
            .where(col(Run.id) == row.id)
            .values(
                state=State.FAILED.value,
                reason=Reason.LOST.value,
                message=message,
                finished_at=now,
                token=col(Run.token) + 1,
            )
        )
    failed = {row.job_id: Lost(row.id, message) for row in hopeless}
    signals.note_outcomes(session, failed, now)
    return len(hopeless)


def _may_start_again(policy: str) -> bool:
    try:
        return read_policy(policy).rescue is Rescue.AGAIN
    except ValueError:
        return False  # whoever cannot be read cannot be run


class Keeper:
    """Upkeep beside the timer: heartbeat, rescue, history. `poll` answers how long to sleep."""

    def __init__(self, database: Database, clock: Clock, node_id: str, history: History) -> None:
        self._database = database
        self._clock = clock
        self._node_id = node_id
        self._history = history
        self._prune_at = clock.monotonic() + history.first_pass.total_seconds()

    def poll(self) -> float:
        now = self._clock.now()
        with self._database.write() as session:
            note_absence(session, now)
            heartbeat(session, self._node_id, now)
            rescue(session, self._node_id, now, alone=self._database.is_sqlite)
        if self._clock.monotonic() >= self._prune_at:
            self._prune_at = self._clock.monotonic() + self._history.every.total_seconds()
            prune(self._database, self._history, now)
        return HEARTBEAT.total_seconds()

"""Nodes: saying that we live, and taking back the runs of those that do not."""

import os
import socket
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, case, func, or_, select, update
from sqlmodel import Session, col
from sqlmodel import select as select_nodes
from uuid_utils import uuid7

from beffroi import __version__, events
from beffroi.core.errors import ConflictError, NotFoundError
from beffroi.core.outcomes import Outcome, Reason, State
from beffroi.core.policies import Rescue, read_policy
from beffroi.engine import runs, signals
from beffroi.engine.models import IS_OPEN, Job, Node, Role, Run
from beffroi.store.tables import rows_touched

MOST_RESCUES = 3
"""A run that took so many processes with it is not given to another one."""

ABSENCE = timedelta(seconds=30)
"""A silence of all nodes longer than this is recorded."""


class Lost(NamedTuple):
    """The verdict of a run that is given up."""

    id: str
    message: str
    state: State = State.FAILED


def register(session: Session, now: datetime, role: Role = Role.SERVE) -> str:
    """Write this process down as a node; return its id, which is new for every start."""
    node = Node(
        id=str(uuid7()),
        role=role,
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


def heartbeat(session: Session, node_id: str, now: datetime) -> bool:
    """Say that the node lives; return whether it is to take no more runs."""
    session.execute(update(Node).where(col(Node.id) == node_id).values(heartbeat_at=now, stopped_at=None))
    return session.scalar(select(col(Node.draining_at)).where(col(Node.id) == node_id)) is not None


def sign_off(session: Session, node_id: str, now: datetime) -> None:
    """Say that the node stopped in good order, and leave what it held to others."""
    session.execute(update(Node).where(col(Node.id) == node_id).values(heartbeat_at=now, stopped_at=now))
    release(session, col(Run.node_id) == node_id, now, died=False)


def rescue(session: Session, node_id: str, now: datetime) -> int:
    """Take back the open runs of all other nodes; return how many.

    For the one process that has the database for itself: every other node is dead, however short its
    silence. What is carried by a shared queue comes back through that.
    """
    held = session.execute(
        select(col(Run.node_id))
        .where(IS_OPEN, col(Run.node_id).is_not(None), col(Run.node_id) != node_id)
        .distinct()
    ).scalars()
    dead = session.execute(select(col(Node.id), col(Node.host)).where(col(Node.id).in_(list(held)))).all()
    taken = 0
    for row in dead:
        count = release(session, col(Run.node_id) == row.id, now)
        events.runs_rescued(count, row.host)
        taken += count
    return taken


def living(session: Session, node_ids: Collection[str], since: datetime) -> set[str]:
    """Return those of the nodes that said since then that they live, and have not stopped."""
    alive = select(col(Node.id)).where(
        col(Node.id).in_(node_ids), col(Node.heartbeat_at) >= since, col(Node.stopped_at).is_(None)
    )
    return set(session.scalars(alive))


def release_dead(session: Session, since: datetime, now: datetime) -> int:
    """Take back the open runs of nodes that were silent since then; return how many."""
    held = select(col(Run.node_id)).where(IS_OPEN, col(Run.node_id).is_not(None)).distinct()
    holders = [node_id for node_id in session.scalars(held) if node_id is not None]
    dead = set(holders) - living(session, holders, since)
    return release(session, col(Run.node_id).in_(dead), now) if dead else 0


def release(session: Session, which: ColumnElement[bool], now: datetime, died: bool = True) -> int:
    """Put open runs back among the planned ones, in nobody's hands; return how many were open.

    The token grows, so that who held them, should it live after all, can settle none of them. When it
    `died`, what was due counts as a rescue even if nothing says that it began: a run that kills its
    process at once leaves no trace of its start, and must not be given to process after process.
    """
    mine = and_(which, IS_OPEN)
    given_up = _give_up(session, mine, now)
    _note_lost_attempts(session, mine, now)
    started = col(Run.state) == State.RUNNING.value
    suspect = or_(started, col(Run.due_at) <= now) if died else started
    free = (
        update(Run)
        .where(mine)
        .values(
            state=State.PLANNED.value,
            node_id=None,
            started_at=None,
            token=col(Run.token) + 1,
            attempt=col(Run.attempt) + case((started, 1), else_=0),
            rescues=col(Run.rescues) + case((suspect, 1), else_=0),
        )
        .execution_options(synchronize_session=False)
    )
    return given_up + rows_touched(session, free)


def _note_lost_attempts(session: Session, mine: Any, now: datetime) -> None:
    """Write among the earlier attempts what had begun: the ledger says why the run starts again."""
    begun = select(
        col(Run.id), col(Run.attempt), col(Run.started_at), col(Run.earlier), col(Node.host)
    ).outerjoin(Node, col(Node.id) == col(Run.node_id))
    for row in session.execute(begun.where(mine, col(Run.state) == State.RUNNING.value)).all():
        message = f"Its process on {row.host or 'a node that is gone'} died, or was silent for too long."
        lost = Outcome(State.FAILED, Reason.LOST, message)
        earlier = runs.attempts_with(row.earlier, row.attempt, lost, row.started_at, now)
        session.execute(update(Run).where(col(Run.id) == row.id).values(earlier=earlier))


def _give_up(session: Session, mine: Any, now: datetime) -> int:
    """Fail those that took too many processes with them, and those that must not be started twice."""
    started = col(Run.state) == State.RUNNING.value
    rows = session.execute(
        select(col(Run.id), col(Run.job_id), col(Run.state), col(Run.rescues), col(Job.policy))
        .join(Job, col(Job.id) == col(Run.job_id))
        .where(mine, or_(started, col(Run.rescues) >= MOST_RESCUES))
    ).all()
    hopeless = [
        row
        for row in rows
        if row.rescues >= MOST_RESCUES or (row.state is State.RUNNING and not _may_start_again(row.policy))
    ]
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


SILENT = timedelta(seconds=12)
"""A node that has not said for so long that it lives is shown as dead."""


class NodeState(StrEnum):
    """`drained`: takes no more runs, and has none left. `dead`: silent, without having signed off."""

    ALIVE = "alive"
    DRAINING = "draining"
    DRAINED = "drained"
    STOPPED = "stopped"
    DEAD = "dead"


def state_of(node: Node, busy: int, now: datetime) -> NodeState:
    """Say how a node is that has so many runs in hand."""
    if node.stopped_at is not None:
        return NodeState.STOPPED
    if now - node.heartbeat_at > SILENT:
        return NodeState.DEAD
    if node.draining_at is not None:
        return NodeState.DRAINING if busy else NodeState.DRAINED
    return NodeState.ALIVE


def list_nodes(session: Session, since: datetime) -> Sequence[Node]:
    """Return the nodes that were heard of since a moment, the newest first."""
    query = select_nodes(Node).where(col(Node.heartbeat_at) >= since).order_by(col(Node.id).desc())
    return session.exec(query).all()


def in_hand(session: Session, node_ids: Sequence[str]) -> Sequence[tuple[Run, str]]:
    """Return the open runs of nodes, with the names of their jobs, in order of their moments."""
    query = (
        select(Run, col(Job.name))
        .join(Job, col(Job.id) == col(Run.job_id))
        .where(IS_OPEN, col(Run.node_id).in_(node_ids))
        .order_by(col(Run.due_at))
    )
    return [(run, name) for run, name in session.execute(query)]


def busy(session: Session, node_ids: Sequence[str]) -> dict[str, int]:
    """Return how many open runs each of the nodes has in hand; those that have none are left out."""
    query = select(col(Run.node_id), func.count()).where(IS_OPEN, col(Run.node_id).in_(node_ids))
    return {str(row[0]): row[1] for row in session.execute(query.group_by(col(Run.node_id)))}


def set_draining(session: Session, node_id: str, is_draining: bool, now: datetime) -> Node:
    """Tell a node to take no more runs, or to take runs again; it hears of it at once."""
    node = session.get(Node, node_id)
    if node is None:
        raise NotFoundError(f"There is no node {node_id}.")
    if node.stopped_at is not None:
        raise ConflictError("The node has stopped.")
    if is_draining != (node.draining_at is not None):
        node.draining_at = now if is_draining else None
    return node

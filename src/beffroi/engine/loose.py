"""Runs that nobody holds: said by hand, tried again, rescued. Before one is taken, can it be run at all?"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlmodel import Session

from beffroi.core.outcomes import Outcome, Reason, State
from beffroi.core.policies import Policy, read_policy
from beffroi.engine import runs, signals
from beffroi.engine.held import HeldRun

_DELETED = Outcome(State.CANCELLED, Reason.JOB_DELETED, "The job was deleted.")
_UNREADABLE = Outcome(State.FAILED, Reason.ERROR, "The job cannot be read.")


def policy_of(session: Session, row: Row[Any], now: datetime) -> Policy | None:
    """Return the policy of a run's job; None, and the run is put away, when it is not to be run."""
    if row.deleted_at is not None:
        runs.put_away(session, [row.id], _DELETED, now)
        return None
    try:
        return read_policy(row.policy)
    except ValueError as error:
        runs.put_away(session, [row.id], _UNREADABLE, now)
        signals.park_broken(session, row.job_id, str(error), now)
        return None


def take(session: Session, rows: Sequence[Row[Any]], node_id: str, now: datetime) -> list[HeldRun]:
    """Take loose runs for this node; those that are not to be run are put away."""
    readable = [(row, policy_of(session, row, now)) for row in rows]
    taken = [runs.held(row, policy, node_id) for row, policy in readable if policy is not None]
    runs.mark_claimed(session, taken)
    return taken

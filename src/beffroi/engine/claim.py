"""Claiming: of the runs taken from the shared queue, which are ours to start, which must wait, which end.

In one transaction with taking them. The ledger decides, not the queue: a run that was withdrawn, or that
another machine has already begun, is not started; nor is one whose job runs elsewhere and must not
overlap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, func, select, text
from sqlmodel import Session, col

from beffroi import events
from beffroi.core.outcomes import SKIPPED_FOR_OVERLAP
from beffroi.core.policies import Overlap, Policy
from beffroi.engine import nodes, runs
from beffroi.engine.held import HeldRun
from beffroi.engine.loose import policy_of
from beffroi.engine.models import IS_OPEN, Run
from beffroi.engine.queue import REPLACE, queue_of
from beffroi.engine.shared import LEAD, LEASE
from beffroi.store import pgqueuer
from beffroi.store.pgqueuer import Item, Ticket

PATIENCE = timedelta(milliseconds=100)
"""A run that seems active at our moment may have ended, its outcome not written yet."""

TURN = timedelta(milliseconds=500)
"""How soon a run that waits for its turn is looked at again."""

Good = tuple[int, Row[Any], Policy]
"""A run that can be run: its ticket, its row, and how it is to be run."""


@dataclass(slots=True)
class Claimed:
    """`ours`: held until due. `refused`: ours, but not to be started."""

    ours: list[HeldRun] = field(default_factory=list)
    refused: list[HeldRun] = field(default_factory=list)


def claim(
    session: Session, tickets: Sequence[Ticket], node_id: str, now: datetime, silence: timedelta
) -> Claimed:
    """Claim in the ledger what was taken from the queue, and put back what must wait.

    What is in the hands of a node that was silent for longer than `silence` is taken over.
    """
    claimed = Claimed()
    later: list[Item] = []
    rows = _open_rows(session, tickets, now, silence, later)
    good = _good(session, rows, tickets, now)
    active = _active_jobs(session, good)
    behind = _is_behind(session, good, now)
    for ticket, row, policy in sorted(good, key=lambda each: each[1].due_at):
        is_free = row.job_id not in active and row.id not in behind
        if policy.overlap is Overlap.ALLOW or is_free:
            claimed.ours.append(runs.held(row, policy, node_id, ticket, now))
            active.add(row.job_id)
        elif (wait := _wait(row, policy, now)) is not None:
            later.append(Item([row.id], policy.priority, wait))
            if policy.overlap is Overlap.REPLACE and wait == PATIENCE:
                _replace(session, row, now)
        else:
            claimed.refused.append(runs.held(row, policy, node_id, ticket, now))
    _write(session, claimed, later, tickets)
    return claimed


def _write(session: Session, claimed: Claimed, later: Sequence[Item], tickets: Sequence[Ticket]) -> None:
    taken = [*claimed.ours, *claimed.refused]
    runs.mark_claimed(session, taken)
    if later:
        pgqueuer.enqueue(session, later)
    still_needed = {run.ticket for run in taken}
    if over := [ticket.id for ticket in tickets if ticket.id not in still_needed]:
        pgqueuer.finish(session, over)


def _good(
    session: Session, rows: Mapping[str, Row[Any]], tickets: Sequence[Ticket], now: datetime
) -> list[Good]:
    """Return the runs on the tickets that can be run; those that cannot are put away.

    A run may be on two tickets: it counts on the first, and the other is finished.
    """
    ticket_of = {run_id: ticket.id for ticket in reversed(tickets) for run_id in ticket.subjects}
    read = [(ticket_of[run_id], row, policy_of(session, row, now)) for run_id, row in rows.items()]
    return [(ticket, row, policy) for ticket, row, policy in read if policy is not None]


def _open_rows(
    session: Session, tickets: Sequence[Ticket], now: datetime, silence: timedelta, later: list[Item]
) -> dict[str, Row[Any]]:
    """Return, locked, the open runs on the tickets that nobody holds, or whose holder is silent.

    What another node holds, or what is to be tried again much later, goes back into the queue.
    """
    ids = [run_id for ticket in tickets for run_id in ticket.subjects]
    rows = runs.open_runs(session, ids)
    holders = {row.node_id for row in rows if row.node_id is not None}
    living = nodes.living(session, holders, now - silence) if holders else set()
    later += [Item([row.id], 0, LEASE / 4) for row in rows if row.node_id in living]
    if lost := [row.id for row in rows if row.node_id is not None and row.node_id not in living]:
        events.runs_taken_over(nodes.release(session, col(Run.id).in_(lost), now))
        rows = runs.open_runs(session, ids)
    free = [row for row in rows if row.node_id is None]
    early = [row for row in free if row.due_at > now + 2 * LEAD]
    later += [Item([row.id], 0, row.due_at - LEAD - now) for row in early]
    return {row.id: row for row in free if row.due_at <= now + 2 * LEAD}


def _active_jobs(session: Session, good: Sequence[Good]) -> set[int]:
    """Return the jobs that run somewhere; nobody else claims runs of these jobs until we commit."""
    exclusive = sorted({row.job_id for _, row, policy in good if policy.overlap is not Overlap.ALLOW})
    if not exclusive:
        return set()
    session.execute(
        text("SELECT pg_advisory_xact_lock(:space, id) FROM unnest(CAST(:ids AS integer[])) AS id"),
        {"space": ADVISORY, "ids": exclusive},
    )
    in_hand = select(col(Run.job_id)).where(
        IS_OPEN, col(Run.node_id).is_not(None), col(Run.job_id) == func.any(exclusive)
    )
    return set(session.scalars(in_hand))


def _is_behind(session: Session, good: Sequence[Good], now: datetime) -> set[str]:
    """Return the runs that must let an older one of their job go first."""
    queued = [
        (row.job_id, row.scheduled_for, row.id) for _, row, policy in good if policy.overlap is Overlap.QUEUE
    ]
    if not queued:
        return set()
    jobs = list({job_id for job_id, _, _ in queued})
    waiting = select(col(Run.job_id), func.min(col(Run.scheduled_for))).where(
        IS_OPEN, col(Run.node_id).is_(None), col(Run.due_at) <= now, col(Run.job_id) == func.any(jobs)
    )
    rows = session.execute(waiting.group_by(col(Run.job_id)))
    oldest = {row[0]: row[1] for row in rows}
    return {run_id for job_id, moment, run_id in queued if moment > oldest.get(job_id, moment)}


ADVISORY = 0x0BEFF402
"""The space of the advisory locks, one a job, under which its runs are claimed."""


def _wait(row: Row[Any], policy: Policy, now: datetime) -> timedelta | None:
    """Say how long a run must wait while its job runs elsewhere; None when it is not to run at all."""
    if now < row.due_at:
        until_due: timedelta = row.due_at - now
        return until_due
    if now < row.due_at + PATIENCE:
        return PATIENCE
    if policy.overlap is Overlap.SKIP:
        return None
    return TURN if policy.overlap is Overlap.QUEUE else PATIENCE


def _replace(session: Session, row: Row[Any], now: datetime) -> None:
    """Have the active runs of the job cancelled wherever they are; older ones that wait are skipped."""
    mine = col(Run.job_id) == row.job_id
    active = select(col(Run.id)).where(IS_OPEN, mine, col(Run.node_id).is_not(None))
    for run_id in session.scalars(active):
        queue_of(session).tell(session, f"{REPLACE}{run_id}")
    waiting = select(col(Run.id)).where(
        IS_OPEN, mine, col(Run.node_id).is_(None), col(Run.scheduled_for) < row.scheduled_for
    )
    runs.put_away(session, list(session.scalars(waiting)), SKIPPED_FOR_OVERLAP, now)

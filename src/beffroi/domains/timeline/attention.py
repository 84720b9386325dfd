"""What needs a person: failing, late, paused, broken; grouped by cause, counted, the worst first."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, select
from sqlmodel import Session, col

from beffroi.core.outcomes import State
from beffroi.engine.models import IS_FAILING, IS_OPEN, IS_SET_ASIDE, Job, JobState, Run

LATE = timedelta(seconds=5)
"""A run that was due so long ago and has not begun is late."""

SHOWN = 5
"""Causes of each kind that are told in words."""

MOST = 200
"""Of each kind so many are read; beyond, only their number is told."""


@dataclass(slots=True)
class Cause:
    """Jobs that have the same thing wrong with them. `state`: failing, late, paused or broken."""

    state: str
    sentence: str
    jobs: list[tuple[int, str]] = field(default_factory=list)
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Attention:
    """`causes`: of each kind the first in words, and how many more there are; the numbers count all."""

    failing: int
    late: int
    paused: int
    broken: int
    causes: Sequence[Cause]
    more: int

    @property
    def is_well(self) -> bool:
        return not (self.failing or self.late or self.broken)


def attention(session: Session, now: datetime) -> Attention:
    """Say what needs a person."""
    by_state = select(col(Job.state), func.count()).where(IS_SET_ASIDE, _IS_THERE).group_by(col(Job.state))
    set_aside = {row[0]: row[1] for row in session.execute(by_state)}
    failing = session.scalar(select(func.count()).select_from(Job).where(IS_FAILING, _IS_THERE)) or 0
    late = session.scalar(select(func.count()).select_from(Run).where(_is_late(now))) or 0
    kinds = [_late(session, now), _failing(session), _set_aside(session)]
    return Attention(
        failing=failing,
        late=late,
        paused=set_aside.get(JobState.PAUSED, 0),
        broken=set_aside.get(JobState.BROKEN, 0),
        causes=[cause for causes in kinds for cause in causes[:SHOWN]],
        more=sum(max(0, len(causes) - SHOWN) for causes in kinds),
    )


_IS_THERE = col(Job.deleted_at).is_(None)


def _is_late(now: datetime) -> ColumnElement[bool]:
    return and_(IS_OPEN, col(Run.state) == State.PLANNED, col(Run.due_at) < now - LATE)


def _failing(session: Session) -> list[Cause]:
    """Group failing jobs by what their last failed run said."""
    last = (
        select(func.max(col(Run.scheduled_for)))
        .where(col(Run.job_id) == col(Job.id), col(Run.state) == State.FAILED)
        .correlate(Job)
        .scalar_subquery()
    )
    query = (
        select(col(Job.id), col(Job.name), col(Run.id), col(Run.message))
        .outerjoin(
            Run,
            and_(
                col(Run.job_id) == col(Job.id),
                col(Run.scheduled_for) == last,
                col(Run.state) == State.FAILED,
            ),
        )
        .where(IS_FAILING, _IS_THERE)
        .order_by(col(Job.name))
        .limit(MOST)
    )
    causes: dict[str, Cause] = {}
    for job_id, name, run_id, message in session.execute(query):
        sentence = message or ""
        cause = causes.setdefault(sentence, Cause("failing", sentence, run_id=run_id))
        if (job_id, name) not in cause.jobs:
            cause.jobs.append((job_id, name))
    return sorted(causes.values(), key=lambda cause: -len(cause.jobs))


def _late(session: Session, now: datetime) -> list[Cause]:
    query = (
        select(col(Job.id), col(Job.name))
        .join(Run, col(Run.job_id) == col(Job.id))
        .where(_is_late(now))
        .group_by(col(Job.id), col(Job.name))
        .limit(MOST)
    )
    jobs = [(job_id, name) for job_id, name in session.execute(query)]
    return [Cause("late", "", jobs)] if jobs else []


def _set_aside(session: Session) -> list[Cause]:
    """Group paused and broken jobs by their notes."""
    query = select(col(Job.id), col(Job.name), col(Job.state), col(Job.note)).where(IS_SET_ASIDE, _IS_THERE)
    found: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
    for job_id, name, state, note in session.execute(query.order_by(col(Job.name)).limit(MOST)):
        found[state.value, note or ""].append((job_id, name))
    causes = [Cause(state, note, jobs) for (state, note), jobs in found.items()]
    return sorted(causes, key=lambda cause: (cause.state != "broken", -len(cause.jobs)))

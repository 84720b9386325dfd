"""The timeline: a lane a job, with its runs of the last hours and its occurrences of the next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlmodel import Session, col
from sqlmodel import select as select_rows
from sqlmodel.sql.expression import SelectOfScalar

from beffroi.core.outcomes import State
from beffroi.core.triggers import enumerate_moments, read_trigger
from beffroi.engine.jobs import id_of
from beffroi.engine.models import IS_FAILING, IS_SET_ASIDE, WENT_WRONG, Job, JobState, Run
from beffroi.engine.planner import read_skips

REACH = timedelta(hours=12)
"""How far the timeline goes, back and ahead."""

MOST_LANES = 24
MOST_RUNS = 60
MOST_WRONG = 30
MOST_AHEAD = 60


@dataclass(frozen=True, slots=True)
class Mark:
    """A run, or an occurrence to come (without an id). `x` and `width` in per cent of the whole."""

    x: float
    width: float
    state: str
    at: datetime
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """`dense`: where so many runs went well that they are drawn as one band, from and to.

    `is_crowded`: so many are to come that they are drawn as one line.
    """

    job: Job
    marks: Sequence[Mark]
    ahead: Sequence[Mark]
    dense: tuple[float, float] | None
    is_crowded: bool

    @property
    def failed(self) -> int:
        return sum(mark.state in ("failed", "missed") for mark in self.marks)


def lanes(session: Session, now: datetime) -> list[Lane]:
    """Return the lanes of the jobs that say most: failing ones first, then the next that are due."""
    return [_lane(session, job, now) for job in _chosen(session, now)]


def _chosen(session: Session, now: datetime) -> Sequence[Job]:
    there = col(Job.deleted_at).is_(None)
    failing = select_rows(Job).where(IS_FAILING, there).order_by(col(Job.name))
    due = (
        select_rows(Job)
        .where(col(Job.next_due_at).is_not(None), there)
        .order_by(col(Job.next_due_at), col(Job.id))
    )
    aside = select_rows(Job).where(IS_SET_ASIDE, there).order_by(col(Job.name))
    recent = _recently_run(session)
    found: dict[int, Job] = {}
    for query in (failing, due, recent, aside):
        if len(found) < MOST_LANES:
            for job in session.exec(query.limit(MOST_LANES)):
                found.setdefault(id_of(job), job)
    return list(found.values())[:MOST_LANES]


def _recently_run(session: Session) -> SelectOfScalar[Job]:
    """Jobs of the newest runs: also those that are over by now."""
    newest = select(col(Run.job_id)).order_by(col(Run.id).desc()).limit(200)
    ids = set(session.scalars(newest))
    return select_rows(Job).where(col(Job.id).in_(ids), col(Job.deleted_at).is_(None)).order_by(col(Job.name))


def _lane(session: Session, job: Job, now: datetime) -> Lane:
    since = now - REACH
    columns = (
        col(Run.id), col(Run.state), col(Run.scheduled_for), col(Run.last_of_gap),
        col(Run.started_at), col(Run.finished_at),
    )  # fmt: skip
    mine = select(*columns).where(col(Run.job_id) == job.id, col(Run.scheduled_for).between(since, now))
    newest = session.execute(mine.order_by(col(Run.scheduled_for).desc()).limit(MOST_RUNS)).all()
    oldest = newest[-1].scheduled_for if len(newest) == MOST_RUNS else since
    wrong = (
        session.execute(
            mine.where(WENT_WRONG, col(Run.scheduled_for) < oldest)
            .order_by(col(Run.scheduled_for).desc())
            .limit(MOST_WRONG)
        ).all()
        if len(newest) == MOST_RUNS
        else []
    )
    marks = [
        Mark(
            _place(row.scheduled_for, now),
            _width(row.scheduled_for, row.last_of_gap or row.finished_at, now),
            row.state.value,
            row.scheduled_for,
            row.id,
        )
        for row in reversed([*newest, *wrong])
        if row.state is not State.PLANNED
    ]
    ahead = _ahead(job, now)
    return Lane(
        job,
        marks,
        ahead[:MOST_AHEAD],
        (_place(max(since, job.created_at), now), _place(oldest, now)) if len(newest) == MOST_RUNS else None,
        len(ahead) > MOST_AHEAD,
    )


def _ahead(job: Job, now: datetime) -> list[Mark]:
    """Return the occurrences to come, one more than are drawn when there are more."""
    if job.state is not JobState.ACTIVE:
        return []
    skips = read_skips(job.skips)
    try:
        # Lazily: of a rule that fires once a year, the years to come are not asked for.
        future = enumerate_moments(read_trigger(job.trigger), now, MOST_AHEAD + 1)
        moments = list(takewhile(lambda at: at <= now + REACH, future))
    except ValueError:
        return []
    return [Mark(_place(at, now), 0.3, "skipped" if at in skips else "planned", at) for at in moments]


def _place(moment: datetime, now: datetime) -> float:
    """Return where a moment lies, in per cent of the whole width; now is in the middle."""
    return round(50 + (moment - now) / REACH * 50, 3)


def _width(start: datetime, end: datetime | None, now: datetime) -> float:
    """Return how wide a run is drawn: never so narrow that it cannot be seen."""
    length = ((end or now) - start) / REACH * 50
    return round(min(max(length, 0.25), 50.0), 3)


def hours(now: datetime, zone: ZoneInfo) -> list[tuple[float, datetime]]:
    """Return the full hours of the axis, every third, with their places."""
    there = now.astimezone(zone).replace(minute=0, second=0, microsecond=0)
    found = [there + timedelta(hours=step) for step in range(-12, 13)]
    return [(_place(each, now), each) for each in found if each.hour % 3 == 0 and abs(each - now) < REACH]

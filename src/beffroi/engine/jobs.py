"""What can be done to a job: verbs of the engine, used by every domain that owns jobs.

A change made while runs are planned ahead wins: those whose moment has not come are recalled from
whoever holds them and taken out of the ledger, in the same transaction, and decided anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Row, and_, func, or_, select, update
from sqlmodel import Session, col

from beffroi.core.errors import ConflictError, InvalidError
from beffroi.core.moments import MICROSECOND
from beffroi.core.outcomes import Outcome, Reason, State
from beffroi.core.planning import WrittenOff, decide, write_off
from beffroi.core.policies import Policy, read_policy
from beffroi.core.triggers import read_trigger
from beffroi.core.triggers.base import Rule
from beffroi.core.triggers.interval import Interval
from beffroi.engine import runs
from beffroi.engine.models import IS_OPEN, Job, JobState, Origin, Run
from beffroi.engine.planner import read_skips, write_skips
from beffroi.engine.queue import Loose, queue_of
from beffroi.store.tables import rows_touched


@dataclass(frozen=True, slots=True)
class Definition:
    """What defines a job; what is decided of it is not part of this."""

    name: str
    trigger: Rule
    action: BaseModel
    policy: Policy


def add(session: Session, definition: Definition, owner: str, now: datetime) -> Job:
    """Write a new job down; it is decided from `now` on."""
    _refuse_taken_name(session, definition.name, None)
    trigger = _anchored(definition.trigger, None, now)
    cursor = trigger.first_cursor(now)
    job = Job(
        name=definition.name,
        owner=owner,
        trigger=trigger.model_dump_json(),
        cursor=cursor,
        action=definition.action.model_dump_json(),
        action_kind=kind_of(definition.action),
        policy=definition.policy.model_dump_json(),
        created_at=now,
        updated_at=now,
    )
    _aim(job, trigger)
    session.add(job)
    session.flush()
    return job


def lock(session: Session, job_id: int) -> Job | None:
    """Return a job to be changed: until the session ends nobody else decides or changes it."""
    return session.get(Job, job_id, with_for_update={"key_share": True}, populate_existing=True)


def redefine(session: Session, job: Job, definition: Definition, now: datetime) -> None:
    """Replace a job's definition. Nothing decided is decided again, and no tick to come is lost."""
    _refuse_taken_name(session, definition.name, job.id)
    trigger = _anchored(definition.trigger, job, now)
    withdraw(session, job, now)
    text = trigger.model_dump_json()
    if text != job.trigger:
        if trigger.first_cursor(now) < now:
            raise InvalidError("trigger.at", "lies in the past; to run the job at once, run it by hand")
        _decide_past(session, job, now)
        job.trigger, job.cursor = text, now
    job.name = definition.name
    job.action, job.action_kind = definition.action.model_dump_json(), kind_of(definition.action)
    job.policy = definition.policy.model_dump_json()
    if job.state != JobState.PAUSED:
        job.note = None
        _aim(job, trigger)
    touch(job, now)


def is_defined_so(job: Job, definition: Definition, now: datetime) -> bool:
    """Whether the definition would change nothing of the job."""
    return (
        job.state != JobState.BROKEN
        and job.name == definition.name
        and job.trigger == _anchored(definition.trigger, job, now).model_dump_json()
        and job.action == definition.action.model_dump_json()
        and job.policy == definition.policy.model_dump_json()
    )


def pause(session: Session, job: Job, until: datetime | None, note: str | None, now: datetime) -> None:
    """Stop deciding the job, until a moment or until it is resumed."""
    if job.state not in (JobState.ACTIVE, JobState.PAUSED):
        raise ConflictError(f"The job is {job.state}; only an active one can be paused.")
    if until is not None and until <= now:
        raise InvalidError("until", "must lie in the future")
    withdraw(session, job, now)
    _decide_past(session, job, now)
    job.state, job.paused_until, job.note, job.next_due_at = JobState.PAUSED, until, note, until
    touch(job, now)


def resume(session: Session, job: Job, now: datetime) -> None:
    """Decide the job again from now on; the occurrences of the pause are `skipped`."""
    if job.state != JobState.PAUSED:
        raise ConflictError(f"The job is {job.state}, not paused.")
    _decide_past(session, job, now)
    job.paused_until, job.note = None, None
    _aim(job, read_trigger(job.trigger))
    touch(job, now)


def skip(session: Session, job: Job, at: datetime | None, now: datetime) -> datetime:
    """Leave out one occurrence: the next one, or the one at `at`. Return its moment."""
    if job.state != JobState.ACTIVE:
        raise ConflictError(f"The job is {job.state}; only of an active one an occurrence can be skipped.")
    trigger = read_trigger(job.trigger)
    skips = read_skips(job.skips)
    moment = at or _next_unskipped(trigger, skips, now)
    if moment is None:
        raise ConflictError("The job has no occurrence to come.")
    if moment <= now or trigger.last_between(moment - MICROSECOND, moment) != moment:
        raise InvalidError("at", "is not an occurrence to come of this job; see its next occurrences")
    withdraw(session, job, now)
    job.skips = write_skips({*skips, moment})
    _aim(job, trigger)
    touch(job, now)
    return moment


def run_now(session: Session, job: Job, now: datetime) -> str:
    """Write down a run by hand, due at once; return its id. The schedule is not touched."""
    if job.state == JobState.BROKEN:
        raise ConflictError(f"The job is broken: {job.note}")
    run = runs.Planned(runs.new_run_id(), id_of(job), now, now, None, Origin.MANUAL)
    _plan_loose(session, job, [run])
    return run.id


def is_asked_for(session: Session, job: Job, now: datetime) -> bool:
    """Whether this very transaction, or one of the same moment, has asked for a run by hand already."""
    asked = select(col(Run.id)).where(
        col(Run.job_id) == job.id, col(Run.scheduled_for) == now, col(Run.origin) == Origin.MANUAL
    )
    return session.scalar(asked) is not None


def remove(session: Session, job: Job, now: datetime) -> None:
    """Delete a job. Its ledger stays; what was planned is cancelled, what runs runs to its end."""
    withdraw(session, job, now)
    recalled = queue_of(session).recall(session, lambda run: run.job_id == job.id)
    unstarted = or_(col(Run.node_id).is_(None), col(Run.id).in_([run.id for run in recalled]))
    gone = Outcome(State.CANCELLED, Reason.JOB_DELETED, "The job was deleted.")
    cancel_planned(session, and_(col(Run.job_id) == job.id, unstarted), gone, now)
    job.deleted_at, job.next_due_at = now, None
    touch(job, now)


def cancel_run(session: Session, run: Run, outcome: Outcome, now: datetime) -> None:
    """End one planned run without starting it."""
    recalled = queue_of(session).recall(session, lambda held: held.id == run.id)
    if run.node_id is not None and not recalled:
        raise ConflictError("The run is just being started.")
    nobodys = or_(col(Run.node_id).is_(None), col(Run.id).in_([held.id for held in recalled]))
    if cancel_planned(session, and_(col(Run.id) == run.id, nobodys), outcome, now) == 0:
        raise ConflictError("The run is no longer planned, or just being started.")
    session.expire(run)


def cancel_planned(session: Session, which: ColumnElement[bool], outcome: Outcome, now: datetime) -> int:
    """End planned runs without starting them; the token grows, so nobody else can settle them."""
    end = (
        update(Run)
        .where(IS_OPEN, col(Run.state) == State.PLANNED.value, which)
        .values(
            state=outcome.state.value,
            reason=outcome.reason,
            message=outcome.message,
            finished_at=now,
            token=col(Run.token) + 1,
        )
    )
    return rows_touched(session, end)


def withdraw(session: Session, job: Job, now: datetime) -> None:
    """Take back what was decided of this job beyond `now`, and set the cursor back to there.

    What has begun stands, and everything before it with it: the ledger has no holes before a cursor.
    """
    if job.cursor <= now:
        return
    recalled = queue_of(session).recall(
        session, lambda run: run.job_id == job.id and run.attempt == 1 and run.scheduled_for > now
    )
    ours = {run.id for run in recalled}
    ahead = _decided_beyond(session, id_of(job), now)
    floor = max([now, *(row.until for row in ahead if row.id not in ours and not _is_untouched(row))])
    withdrawn = [row for row in ahead if row.until > floor]
    runs.delete_rows(session, [row.id for row in withdrawn])
    runs.let_go(session, [run for run in recalled if run.scheduled_for <= floor])
    skipped = {row.until for row in withdrawn if row.reason is Reason.BY_HAND}
    job.skips = write_skips(read_skips(job.skips) | skipped)
    job.cursor = floor
    if job.state == JobState.FINISHED:
        job.state = JobState.ACTIVE


def _decided_beyond(session: Session, job_id: int, now: datetime) -> Sequence[Row[Any]]:
    """Return the rows of the ledger, made by the schedule, that reach beyond `now`."""
    mine = and_(col(Run.job_id) == job_id, col(Run.origin) == Origin.SCHEDULE)
    until = func.coalesce(col(Run.last_of_gap), col(Run.scheduled_for))
    # Of the rows that begin before `now` only the newest can be a gap that reaches beyond it.
    newest = session.scalar(
        select(func.max(col(Run.scheduled_for))).where(mine, col(Run.scheduled_for) <= now)
    )
    columns = (col(Run.id), col(Run.state), col(Run.reason), col(Run.node_id), col(Run.attempt))
    query = select(*columns, until.label("until")).where(
        mine, col(Run.scheduled_for) >= (newest or now), until > now
    )
    return session.execute(query.with_for_update()).all()


def _is_untouched(row: Row[Any]) -> bool:
    """Whether nobody holds the run, nor ever began it; or it is one occurrence skipped by hand."""
    if row.reason is Reason.BY_HAND:
        return True
    return row.state is State.PLANNED and row.node_id is None and row.attempt == 1


def touch(job: Job, now: datetime) -> None:
    """Count a change made by somebody; the version is what their next change is checked against."""
    job.version += 1
    job.updated_at = now


def kind_of(action: BaseModel) -> str:
    kind: str = action.kind  # type: ignore[attr-defined]
    return kind


def id_of(job: Job) -> int:
    assert job.id is not None, "the job was not flushed"
    return job.id


def _aim(job: Job, trigger: Rule) -> None:
    """Set when the planner must look at the job again."""
    job.next_due_at = trigger.next_after(job.cursor)
    job.state = JobState.FINISHED if job.next_due_at is None else JobState.ACTIVE


def _decide_past(session: Session, job: Job, now: datetime) -> None:
    """Write down what the job, as it was, said up to now: it is about to say something else."""
    if job.state == JobState.BROKEN or job.cursor >= now:
        return
    trigger = read_trigger(job.trigger)
    fires: list[datetime] = []
    gone: list[WrittenOff] = []
    if job.state == JobState.PAUSED:
        paused = write_off(trigger, job.cursor, now, State.SKIPPED, Reason.PAUSED)
        gone = [paused] if paused else []
    else:
        policy, skips, cursor = read_policy(job.policy), read_skips(job.skips), job.cursor
        while trigger.next_after(cursor) is not None and cursor < now:
            decision = decide(trigger, policy, cursor, now, now, skips)
            fires += decision.fires
            gone += decision.written_off
            if decision.cursor == cursor:
                break
            cursor = decision.cursor
    runs.insert_written_off(session, [(id_of(job), occurrences) for occurrences in gone], now)
    _plan_loose(
        session,
        job,
        [runs.Planned(runs.new_run_id(), id_of(job), nominal, nominal, None) for nominal in fires],
    )
    job.cursor = now


def _plan_loose(session: Session, job: Job, planned: Sequence[runs.Planned]) -> None:
    """Write runs down for whoever picks them up."""
    priority = read_policy(job.policy).priority
    runs.insert_planned(session, planned)
    queue_of(session).offer(session, [Loose(run.id, run.due_at, priority) for run in planned])


def _anchored(trigger: Rule, job: Job | None, now: datetime) -> Rule:
    """Give an interval without an anchor the one it had, or the present second."""
    if not isinstance(trigger, Interval) or trigger.anchor is not None:
        return trigger
    anchor = now.replace(microsecond=0)
    if job is not None and job.state != JobState.BROKEN:
        before = read_trigger(job.trigger)
        if isinstance(before, Interval) and before.anchor is not None:
            anchor = before.anchor
    return trigger.model_copy(update={"anchor": anchor})


def _next_unskipped(trigger: Rule, skips: frozenset[datetime], now: datetime) -> datetime | None:
    moment = trigger.next_after(now)
    while moment is not None and moment in skips:
        moment = trigger.next_after(moment)
    return moment


def _refuse_taken_name(session: Session, name: str, job_id: int | None) -> None:
    taken = select(func.count()).where(
        col(Job.name) == name, col(Job.deleted_at).is_(None), col(Job.id) != (job_id or 0)
    )
    if session.scalar(taken):
        raise ConflictError(f"There is already a job named {name!r}.")

"""Who has a say about what: windows and overrides, read from the database."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, and_, or_, select
from sqlmodel import Session, col

from beffroi.core.errors import InvalidError
from beffroi.core.triggers.edges import Edges
from beffroi.domains.workloads.models import WorkloadOverride, WorkloadSchedule
from beffroi.domains.workloads.rules import (
    Override,
    Verdict,
    Wanted,
    Window,
    next_change,
    replicas_at,
    wanted,
)
from beffroi.domains.workloads.windows import window_of


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is wanted at a moment and why; then what is wanted next, and when."""

    at: datetime
    verdict: Verdict
    replicas: int | None
    then: tuple[datetime, Wanted] | None


@dataclass(slots=True)
class Voices:
    """The windows of the active schedules, and what was said by hand about these.

    `unreadable`: why the window of one of them is missing here, if it is.
    """

    windows: list[Window] = field(default_factory=list)
    overrides: list[Override] = field(default_factory=list)
    unreadable: str | None = None

    def at(self, moment: datetime) -> Verdict:
        return wanted(moment, self.windows, self.overrides)

    def explain(self, moment: datetime) -> Explanation:
        verdict = self.at(moment)
        then = next_change(moment, self.windows, self.overrides)
        return Explanation(moment, verdict, replicas_at(verdict, self.windows), then)


def of_schedule(session: Session, schedule: WorkloadSchedule) -> Voices:
    """Return who has a say about what a schedule brings up: it alone, or all of its target."""
    if schedule.target_id is not None:
        return of_targets(session, [schedule.target_id])[schedule.target_id]
    found = _gather(session, col(WorkloadSchedule.id) == schedule.id, None)
    return next(iter(found.values()), Voices())


def of_targets(
    session: Session, target_ids: Collection[int] | None, since: datetime | None = None
) -> Mapping[int, Voices]:
    """Return who has a say about targets (None: all), an entry for each that is asked for.

    Overrides that had ended by `since` are left out.
    """
    asked = col(WorkloadSchedule.target_id)
    which = asked.is_not(None) if target_ids is None else asked.in_(target_ids)
    silent = {each: Voices() for each in target_ids or ()}
    return {**silent, **_gather(session, which, since)}


def edges_of(schedule: WorkloadSchedule) -> Edges:
    """Return the edges of a schedule; InvalidError when its recurrence makes no sense."""
    try:
        return window_of(schedule.start_time, schedule.end_time, schedule.recurrence, schedule.timezone)
    except ValueError as error:
        raise InvalidError("recurrence", reason_of(error)) from None


def _gather(session: Session, which: ColumnElement[bool], since: datetime | None) -> Mapping[int, Voices]:
    """Return the voices of the active schedules among these, by their targets (0: none)."""
    which = and_(which, col(WorkloadSchedule.active).is_(True))
    found: dict[int, Voices] = {}
    by_schedule: dict[int, Voices] = {}
    for schedule in session.scalars(select(WorkloadSchedule).where(which).order_by(col(WorkloadSchedule.id))):
        voices = found.setdefault(schedule.target_id or 0, Voices())
        number = schedule.id or 0
        by_schedule[number] = voices
        try:
            voices.windows.append(Window(number, schedule.name, edges_of(schedule), schedule.replicas))
        except InvalidError as error:
            voices.unreadable = f"The schedule {schedule.name!r} cannot be read: {error.message}"
    mine = col(WorkloadSchedule.id) == col(WorkloadOverride.schedule_id)
    query = select(WorkloadOverride).join(WorkloadSchedule, mine).where(which)
    if since is not None:
        query = query.where(or_(col(WorkloadOverride.until).is_(None), col(WorkloadOverride.until) > since))
    for each in session.scalars(query.order_by(col(WorkloadOverride.id))):
        said = Override(each.id or 0, each.wanted, each.since, each.until, each.author, each.note)
        by_schedule[each.schedule_id].overrides.append(said)
    return found


def reason_of(error: ValueError) -> str:
    """Return the sentence inside a validation error."""
    text = str(error)
    lines = [line.strip() for line in text.splitlines() if "Value error, " in line]
    return lines[0].split("Value error, ", 1)[1].split(" [type=")[0] if lines else text

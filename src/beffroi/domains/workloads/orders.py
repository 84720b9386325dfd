"""What is to be brought about at a target, and what became of it: read before the deed, written after.

Nothing is written when nothing differs.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col

from beffroi.domains.workloads import voices
from beffroi.domains.workloads.kinds import (
    HttpWorkload,
    KubernetesWorkload,
    NoWorkload,
    read_workload,
)
from beffroi.domains.workloads.models import (
    Observed,
    Status,
    WorkloadChange,
    WorkloadObject,
    WorkloadSchedule,
    WorkloadTarget,
)
from beffroi.domains.workloads.reasons import because
from beffroi.domains.workloads.rules import Wanted, replicas_at
from beffroi.domains.workloads.sizes import Memory, Wish
from beffroi.domains.workloads.voices import Voices, edges_of
from beffroi.domains.workloads.windows import status_at


@dataclass(frozen=True, slots=True)
class Kept:
    """What is remembered of one thing, as it was read. `id` None: nothing yet."""

    place: str
    uid: str
    memory: Memory
    id: int | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be brought about at one target, and what it shows so far.

    `is_said`: what is wanted, why, and where its schedules stand is written down already.
    """

    target_id: int
    name: str
    workload: NoWorkload | HttpWorkload | KubernetesWorkload
    dry_run: bool
    wish: Wish
    why: str
    kept: Mapping[str, Kept]
    trouble: str | None
    done: str | None
    observed: Observed
    is_said: bool


@dataclass(slots=True)
class Report:
    """What was found and done. `forget`: places that need not be remembered any more."""

    observed: Observed = Observed.UNKNOWN
    done: list[str] = field(default_factory=list)
    trouble: str | None = None
    keep: list[Kept] = field(default_factory=list)
    forget: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not (self.done or self.keep or self.forget)


def read_orders(session: Session, target_ids: Collection[int] | None, now: datetime) -> Sequence[Order]:
    """Read what is to be brought about at targets (None: at all)."""
    query, kept = select(WorkloadTarget), select(WorkloadObject)
    schedules = select(WorkloadSchedule).where(col(WorkloadSchedule.target_id).is_not(None))
    if target_ids is not None:
        query = query.where(col(WorkloadTarget.id).in_(target_ids))
        kept = kept.where(col(WorkloadObject.target_id).in_(target_ids))
        schedules = schedules.where(col(WorkloadSchedule.target_id).in_(target_ids))
    heard = voices.of_targets(session, target_ids, now)
    by_target: dict[int, dict[str, Kept]] = {}
    for each in session.scalars(kept):
        by_target.setdefault(each.target_id, {})[each.place] = _kept(each)
    stale = {
        schedule.target_id
        for schedule in session.scalars(schedules)
        if schedule.active and schedule.status not in (Status.FAILED, status_at(edges_of(schedule), now))
    }
    return [
        _order(target, heard.get(target.id or 0, Voices()), by_target.get(target.id or 0, {}), now, stale)
        for target in session.scalars(query.order_by(col(WorkloadTarget.id)))
    ]


def read_kept(session: Session, place: str) -> tuple[int | None, Kept]:
    """Return what is remembered of a thing now, and the target that it belongs to."""
    found = session.scalars(
        select(WorkloadObject)
        .where(col(WorkloadObject.place) == place)
        .execution_options(populate_existing=True)
    ).one_or_none()
    return (found.target_id, _kept(found)) if found else (None, Kept(place, "", Memory()))


def keep(session: Session, target_id: int, kept: Kept) -> Kept | None:
    """Write down what is to be remembered, if it is still what was read; None when it is not."""
    memory = kept.memory
    values: dict[str, Any] = {
        "uid": kept.uid,
        "original": memory.original,
        "applied": memory.applied,
        "written_at": memory.written_at,
        "rival": memory.rival,
        "version": kept.version + 1,
    }
    if kept.id is None:
        made = WorkloadObject(target_id=target_id, place=kept.place, **values)
        try:
            with session.begin_nested():
                session.add(made)
        except IntegrityError:
            return None
        return Kept(kept.place, kept.uid, memory, made.id, kept.version + 1)
    written = session.execute(
        update(WorkloadObject)
        .where(col(WorkloadObject.id) == kept.id, col(WorkloadObject.version) == kept.version)
        .values(**values)
    )
    if not written.rowcount:  # type: ignore[attr-defined]
        return None
    return Kept(kept.place, kept.uid, memory, kept.id, kept.version + 1)


def is_news(order: Order, report: Report) -> bool:
    """Whether there is anything to write down."""
    return (
        not report.is_empty
        or not order.is_said
        or report.trouble != order.trouble
        or report.observed is not order.observed
    )


def conclude(session: Session, ended: Sequence[tuple[Order, Report, datetime]]) -> None:
    """Write down what was found and done at targets, and where their schedules stand."""
    ids = [order.target_id for order, _report, _now in ended]
    for order, report, _now in ended:
        for kept in report.keep:
            keep(session, order.target_id, kept)
        _forget(session, report.forget)
    # Schedules before targets: whoever changes a schedule holds them in this order too.
    schedules = _schedules_of(session, ids)
    query = select(WorkloadTarget).where(col(WorkloadTarget.id).in_(ids)).order_by(col(WorkloadTarget.id))
    targets = {target.id: target for target in session.scalars(query.with_for_update())}
    for order, report, now in ended:
        target = targets.get(order.target_id)
        if target is not None:
            _conclude(session, target, schedules.get(order.target_id, ()), order, report, now)


def _conclude(
    session: Session,
    target: WorkloadTarget,
    schedules: Iterable[WorkloadSchedule],
    order: Order,
    report: Report,
    now: datetime,
) -> None:
    for schedule in schedules:
        schedule.status = Status.FAILED if report.trouble else status_at(edges_of(schedule), now)
        schedule.reason = report.trouble
    if report.observed is not target.observed:
        session.add(
            WorkloadChange(target_id=order.target_id, at=now, observed=report.observed, why=order.why)
        )
    target.wanted, target.why = order.wish.wanted, order.why
    target.observed, target.trouble = report.observed, report.trouble
    if report.done:
        target.done, target.done_at = "; ".join(report.done)[:2000], now


def _order(
    target: WorkloadTarget,
    heard: Voices,
    kept: Mapping[str, Kept],
    now: datetime,
    stale: Collection[int | None],
) -> Order:
    verdict = heard.at(now)
    why = because(verdict, "UTC")
    wish = Wish(
        verdict.wanted,
        replicas_at(verdict, heard.windows) if verdict.wanted is Wanted.UP else None,
        is_over=verdict.wanted is Wanted.LEAVE and verdict.winner is None,
    )
    is_said = target.wanted is wish.wanted and target.why == why and target.id not in stale
    return Order(
        target_id=target.id or 0,
        name=target.name,
        workload=read_workload(target.params),
        dry_run=target.dry_run,
        wish=wish,
        why=why,
        kept=kept,
        trouble=target.trouble,
        done=target.done,
        observed=target.observed,
        is_said=is_said,
    )


def _kept(row: WorkloadObject) -> Kept:
    memory = Memory(row.applied, row.original, row.written_at, row.rival)
    return Kept(row.place, row.uid, memory, row.id, row.version)


def _forget(session: Session, places: Iterable[str]) -> None:
    for place in places:
        for each in session.scalars(select(WorkloadObject).where(col(WorkloadObject.place) == place)):
            session.delete(each)


def _schedules_of(session: Session, target_ids: Collection[int]) -> Mapping[int, list[WorkloadSchedule]]:
    query = (
        select(WorkloadSchedule)
        .where(col(WorkloadSchedule.target_id).in_(target_ids), col(WorkloadSchedule.active).is_(True))
        .order_by(col(WorkloadSchedule.id))
    )
    found: dict[int, list[WorkloadSchedule]] = {}
    for schedule in session.scalars(query.with_for_update()):
        found.setdefault(schedule.target_id or 0, []).append(schedule)
    return found

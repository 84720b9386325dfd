"""Targets and schedules as sections of the document."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlmodel import Session, col

from beffroi.core.errors import ConflictError
from beffroi.domains.workloads import service, shapes, target_shapes, targets
from beffroi.domains.workloads.models import Origin, WorkloadSchedule, WorkloadTarget
from beffroi.domains.workloads.shapes import WorkloadScheduleCreate
from beffroi.domains.workloads.target_shapes import TargetSpec
from beffroi.web.context import Context
from beffroi.web.documents import Deed, Pruned, Section


def _apply_target(session: Session, spec: TargetSpec, context: Context, now: datetime) -> Collection[Deed]:
    target = targets.find(session, spec.name)
    if target is None:
        targets.create(session, spec, context.resync, now, Origin.FILE)
        return ["created"]
    deeds = _take_over(session, target)
    if targets.is_defined_so(target, spec):
        return [*deeds, "unchanged"]
    targets.replace(session, target, spec, now)
    return [*deeds, "changed"]


def _prune_targets(session: Session, names: Collection[str], now: datetime) -> Pruned:
    query = select(WorkloadTarget).where(col(WorkloadTarget.origin) == Origin.FILE)
    found = session.scalars(query.order_by(col(WorkloadTarget.name))).all()
    pruned = Pruned()
    for target in [each for each in found if each.name not in names]:
        targets.refuse_named(session, target)
        if targets.is_down_by_us(session, target):
            targets.take_in_earnest(session, target, now)
            pruned.waiting.append(target.name)
        else:
            pruned.deleted.append(target.name)
            targets.delete(session, target, now)
    return pruned


def _export_targets(session: Session) -> Sequence[dict[str, Any]]:
    query = select(WorkloadTarget).where(col(WorkloadTarget.origin) != Origin.CLUSTER)
    return [target_shapes.spec_of(each) for each in session.scalars(query.order_by(col(WorkloadTarget.name)))]


def _apply_schedule(
    session: Session, body: WorkloadScheduleCreate, context: Context, now: datetime
) -> Collection[Deed]:
    schedule = _find(session, body.name)
    if schedule is None:
        service.create(session, body, context.zone, now, Origin.FILE)
        return ["created"]
    deeds = _take_over(session, schedule)
    if not service.replace(session, schedule, body, context.zone, now):
        return [*deeds, "unchanged"]
    return [*deeds, "changed"]


def _prune_schedules(session: Session, names: Collection[str], now: datetime) -> Pruned:
    query = select(WorkloadSchedule).where(col(WorkloadSchedule.origin) == Origin.FILE)
    found = session.scalars(query.order_by(col(WorkloadSchedule.name))).all()
    gone = [each for each in found if each.name not in names]
    told = [each.name for each in gone]
    for schedule in gone:
        service.delete(session, schedule, now)
    return Pruned(told)


def _export_schedules(session: Session) -> Sequence[dict[str, Any]]:
    query = select(WorkloadSchedule).where(col(WorkloadSchedule.origin) != Origin.CLUSTER)
    found = session.scalars(query.order_by(col(WorkloadSchedule.name), col(WorkloadSchedule.id))).all()
    named = targets.by_ids(session, [each.target_id for each in found])
    return [shapes.spec_of(each, named.get(each.target_id)) for each in found]


def _find(session: Session, name: str) -> WorkloadSchedule | None:
    """Return the schedule of a name: the one from a file, else the only one."""
    found = session.scalars(select(WorkloadSchedule).where(col(WorkloadSchedule.name) == name)).all()
    ours = [each for each in found if each.origin is Origin.FILE] or found
    if len(ours) > 1:
        raise ConflictError(f"{len(ours)} schedules have this name; give all but one another name.")
    return ours[0] if ours else None


def _take_over(session: Session, thing: WorkloadTarget | WorkloadSchedule) -> list[Deed]:
    service.refuse_foreign(session, thing)
    if thing.origin is Origin.FILE:
        return []
    thing.origin = Origin.FILE
    return ["taken_over"]


TARGETS = Section(
    "targets",
    "target",
    TargetSpec,
    _apply_target,
    _prune_targets,
    _export_targets,
    target_shapes.EXAMPLE,
    targets.hold_all,
)
SCHEDULES = Section(
    "schedules",
    "schedule",
    WorkloadScheduleCreate,
    _apply_schedule,
    _prune_schedules,
    _export_schedules,
    shapes.EXAMPLE,
    targets.hold_all,
)

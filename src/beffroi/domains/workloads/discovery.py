"""Windows that are written at the workloads themselves, in the annotation `beffroi.dev/uptime`.

What the annotations of a cluster say is made so: a target for each workload that has one, and a
schedule for each of its windows. What cannot be read is told at the workload, once, and in a schedule
that `failed`; what was read before stays as it was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlmodel import Session, col

from beffroi.clients.workloads import Workload
from beffroi.core.errors import ConflictError
from beffroi.domains.workloads import service, targets
from beffroi.domains.workloads.kinds import KubernetesWorkload
from beffroi.domains.workloads.models import Origin, Status, WorkloadSchedule, WorkloadTarget
from beffroi.domains.workloads.shapes import WorkloadScheduleCreate
from beffroi.domains.workloads.target_shapes import TargetSpec
from beffroi.domains.workloads.uptime import Uptime, read_uptime

UPTIME = "beffroi.dev/uptime"
DRY_RUN = "beffroi.dev/dry-run"


@dataclass(frozen=True, slots=True)
class Found:
    """An annotated workload: its windows, or why they cannot be read."""

    workload: Workload
    text: str
    windows: Sequence[Uptime] = ()
    error: str | None = None


@dataclass(slots=True)
class Outcome:
    """Names of targets by what became of them, and what is to be told at workloads."""

    made: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    warnings: list[tuple[Workload, str]] = field(default_factory=list)


def annotated(workloads: Sequence[Workload], default_zone: str) -> list[Found]:
    """Return the workloads that have the annotation, with what it says."""
    found = []
    for workload in workloads:
        text = workload.annotations.get(UPTIME)
        if text is None:
            continue
        try:
            found.append(Found(workload, text, read_uptime(text, default_zone)))
        except ValueError as error:
            found.append(Found(workload, text, error=str(error)))
    return found


def follow(
    session: Session, context: str | None, found: Sequence[Found], resync: timedelta, now: datetime
) -> Outcome:
    """Make what the annotations of a cluster say so."""
    outcome = Outcome()
    present = _present(session, context)
    for each in found:
        name = _name(each.workload, context)
        target = present.pop(name, None)
        try:
            if target is None:
                target = targets.create(session, _spec(each, context), resync, now, Origin.CLUSTER)
                outcome.made.append(name)
            elif target.dry_run != _is_dry(each):
                targets.replace(session, target, _spec(each, context), now)
        except ConflictError as error:
            outcome.warnings.append((each.workload, error.message))
            continue
        if _agree(session, target, each, outcome, now) and name not in outcome.made:
            outcome.changed.append(name)
    for name, target in present.items():
        _let_go(session, target, name, outcome, now)
    return outcome


def _agree(session: Session, target: WorkloadTarget, found: Found, outcome: Outcome, now: datetime) -> bool:
    """Make the schedules of a target what its annotation says; return whether that changed anything."""
    schedules = session.scalars(
        select(WorkloadSchedule).where(col(WorkloadSchedule.target_id) == target.id)
    ).all()
    ours = {each.name: each for each in schedules if each.origin is Origin.CLUSTER}
    if found.error is not None:
        return _note_unreadable(session, target, found, ours, outcome, now)
    wanted = {_schedule_name(target, each.text): each for each in found.windows}
    changed = False
    for name, schedule in ours.items():
        if name not in wanted or schedule.timezone != wanted[name].zone or not schedule.active:
            service.delete(session, schedule, now)
            changed = True
    for name, window in wanted.items():
        kept = ours.get(name)
        if kept is None or kept.timezone != window.zone or not kept.active:
            service.create(session, body_of(name, window, target.name), window.zone, now, Origin.CLUSTER)
            changed = True
    return changed


def _note_unreadable(
    session: Session,
    target: WorkloadTarget,
    found: Found,
    ours: Mapping[str, WorkloadSchedule],
    outcome: Outcome,
    now: datetime,
) -> bool:
    """Show an annotation that cannot be read, and no older one; return whether it is new."""
    name, error = _schedule_name(target, found.text), found.error or ""
    for other in ours.values():
        if other.status is Status.FAILED and not other.active and other.name != name:
            service.delete(session, other, now)
    if name in ours and not ours[name].active:
        return False
    session.add(_unreadable(name, error, target, now))
    outcome.warnings.append((found.workload, f"{UPTIME}: {error}"))
    return True


def body_of(name: str, window: Uptime, target: str | None) -> WorkloadScheduleCreate:
    """Return the schedule that a window is."""
    return WorkloadScheduleCreate(
        name=name,
        start_time=window.start,
        end_time=window.end,
        timezone=window.zone,
        recurrence=window.recurrence,
        target=target,
    )


def _unreadable(name: str, error: str, target: WorkloadTarget, now: datetime) -> WorkloadSchedule:
    return WorkloadSchedule(
        name=name,
        start_time=now,
        end_time=now,
        status=Status.FAILED,
        reason=error,
        active=False,
        timezone="UTC",
        target_id=target.id,
        origin=Origin.CLUSTER,
        created_at=now,
        updated_at=now,
    )


def _let_go(session: Session, target: WorkloadTarget, name: str, outcome: Outcome, now: datetime) -> None:
    """Let a target go whose workload says nothing any more: first its windows, and when it is up, itself."""
    mine = col(WorkloadSchedule.target_id) == target.id
    schedules = session.scalars(select(WorkloadSchedule).where(mine)).all()
    for schedule in schedules:
        service.delete(session, schedule, now)
    if schedules or targets.is_down_by_us(session, target):
        return
    targets.delete(session, target, now)
    outcome.gone.append(name)


def _present(session: Session, context: str | None) -> dict[str, WorkloadTarget]:
    """Return the targets that came from annotations of this cluster, by their names."""
    query = select(WorkloadTarget).where(col(WorkloadTarget.origin) == Origin.CLUSTER)
    suffix = _suffix(context)
    return {
        target.name: target
        for target in session.scalars(query)
        if (target.name.endswith(suffix) if suffix else " in " not in target.name)
    }


def _schedule_name(target: WorkloadTarget, text: str) -> str:
    return f"{target.name}: {' '.join(text.split())}"[:200]


def _spec(found: Found, context: str | None) -> TargetSpec:
    ref = found.workload.ref
    workload = KubernetesWorkload(
        resource=ref.resource, namespaces=[ref.namespace], name=ref.name, context=context
    )
    return TargetSpec(name=_name(found.workload, context), workload=workload, dry_run=_is_dry(found))


def _is_dry(found: Found) -> bool:
    return found.workload.annotations.get(DRY_RUN, "").lower() == "true"


def _name(workload: Workload, context: str | None) -> str:
    return f"{workload.ref}{_suffix(context)}"[:190]


def _suffix(context: str | None) -> str:
    return f" in {context}" if context else ""


def summary(outcome: Outcome, seen: int) -> str:
    """Say in a line what was found and done."""
    parts = [f"{seen} annotated"]
    for what in ("made", "changed", "gone"):
        names = getattr(outcome, what)
        if names:
            parts.append(f"{what}: {', '.join(names)}")
    parts += [f"{workload.ref}: {sentence}" for workload, sentence in outcome.warnings]
    return "; ".join(parts)

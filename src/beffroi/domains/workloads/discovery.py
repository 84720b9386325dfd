"""Windows that are written at the workloads themselves, in the annotation `beffroi.dev/uptime`.

What the annotations of a cluster say is made so: a target for each workload that has one, and a
schedule for each of its windows. What cannot be read is told at the workload, once, and in a schedule
that `failed`; what was read before stays as it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import select
from sqlmodel import Session, col

from beffroi.clients.workloads import Workload
from beffroi.core.errors import BeffroiError
from beffroi.domains.workloads import overrides, service, targets
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


class Became(StrEnum):
    """What became of a target."""

    SAME = "same"
    MADE = "made"
    CHANGED = "changed"
    GONE = "gone"


@dataclass(slots=True)
class Outcome:
    """Names of targets by what became of them, and what is to be told at workloads."""

    names: dict[Became, list[str]] = field(default_factory=dict)
    warnings: list[tuple[Workload, str]] = field(default_factory=list)

    def note(self, name: str, became: Became) -> None:
        self.names.setdefault(became, []).append(name)


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
    targets.hold_all(session)
    present = _present(session, context)
    for each in found:
        name = _name(each.workload, context)
        try:
            # What cannot be done for one workload is taken back, and the others go on.
            with session.begin_nested():
                became = _heed(session, present.pop(name, None), each, context, resync, now)
        except BeffroiError as error:
            outcome.warnings.append((each.workload, error.message))
            continue
        outcome.note(name, became)
        if each.error is not None and became is not Became.SAME:
            outcome.warnings.append((each.workload, f"{UPTIME}: {each.error}"))
    for name, target in present.items():
        if _let_go(session, target, now):
            outcome.note(name, Became.GONE)
    return outcome


def _heed(
    session: Session,
    target: WorkloadTarget | None,
    found: Found,
    context: str | None,
    resync: timedelta,
    now: datetime,
) -> Became:
    """Make a target and its schedules what the annotation of a workload says."""
    became, spec = Became.SAME, _spec(found, context)
    if target is None:
        target = targets.create(session, spec, resync, now, Origin.CLUSTER)
        became = Became.MADE
    elif not targets.is_defined_so(target, spec):
        targets.replace(session, target, spec, now)
        became = Became.CHANGED
    is_changed = _agree(session, target, found, now)
    return Became.CHANGED if is_changed and became is Became.SAME else became


def _agree(session: Session, target: WorkloadTarget, found: Found, now: datetime) -> bool:
    """Make the schedules of a target what its annotation says; return whether that changed anything.

    A window that reads otherwise now is the same schedule: what was said about it by hand still holds.
    """
    mine = col(WorkloadSchedule.target_id) == target.id, col(WorkloadSchedule.origin) == Origin.CLUSTER
    ours = session.scalars(select(WorkloadSchedule).where(*mine).order_by(col(WorkloadSchedule.id))).all()
    if found.error is not None:
        return _show_unreadable(session, target, found, ours, now)
    wanted = {_schedule_name(target, each.text): each for each in found.windows}
    kept = [each for each in ours if _is_so(each, wanted.get(each.name))]
    spare = [each for each in ours if each not in kept]
    missing = [name for name in wanted if name not in {each.name for each in kept}]
    for name in missing:
        body, zone = body_of(name, wanted[name], target.name), wanted[name].zone
        if spare:
            kept.append(spare.pop(0))
            service.replace(session, kept[-1], body, zone, now)
        else:
            kept.append(service.create(session, body, zone, now, Origin.CLUSTER))
    for schedule in spare:
        overrides.hand_over(session, schedule, kept[0])
        service.delete(session, schedule, now)
    return bool(missing or spare)


def _is_so(schedule: WorkloadSchedule, window: Uptime | None) -> bool:
    """Whether a schedule is what a window says, and nobody has changed it while it was not looked at."""
    if window is None or not schedule.active or schedule.replicas is not None:
        return False
    shown = schedule.start_time, schedule.end_time, schedule.recurrence, schedule.timezone
    return shown == (window.start, window.end, window.recurrence, window.zone)


def _show_unreadable(
    session: Session,
    target: WorkloadTarget,
    found: Found,
    ours: Sequence[WorkloadSchedule],
    now: datetime,
) -> bool:
    """Show an annotation that cannot be read, and no older one; return whether it is new."""
    name = _schedule_name(target, found.text)
    for other in ours:
        if other.status is Status.FAILED and not other.active and other.name != name:
            service.delete(session, other, now)
    if any(each.name == name and not each.active for each in ours):
        return False
    session.add(_unreadable(name, found.error or "", target, now))
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


def _let_go(session: Session, target: WorkloadTarget, now: datetime) -> bool:
    """Let a target go whose workload says nothing any more: first its windows, and when it is up, itself.

    As long as a schedule that somebody else made names it, it stays.
    """
    mine = col(WorkloadSchedule.target_id) == target.id
    schedules = session.scalars(select(WorkloadSchedule).where(mine)).all()
    for schedule in schedules:
        if schedule.origin is Origin.CLUSTER:
            service.delete(session, schedule, now)
    if any(schedule.origin is not Origin.CLUSTER for schedule in schedules):
        return False
    if targets.is_down_by_us(session, target):
        # Who said that it is a dry run has taken that back too; else it would never come up.
        targets.take_in_earnest(session, target, now)
        return False
    if schedules:
        return False
    targets.delete(session, target, now)
    return True


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
    for became in (Became.MADE, Became.CHANGED, Became.GONE):
        if names := outcome.names.get(became):
            parts.append(f"{became}: {', '.join(names)}")
    parts += [f"{workload.ref}: {sentence}" for workload, sentence in outcome.warnings]
    return "; ".join(parts)

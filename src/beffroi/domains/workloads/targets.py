"""Verbs on targets: the things that schedules bring up and down."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlmodel import Session, col

from beffroi.core.errors import ConflictError, InvalidError, NotFoundError
from beffroi.core.policies import CatchUp, Overlap, Policy, Retries
from beffroi.core.triggers.boundaries import Boundaries
from beffroi.core.triggers.interval import Interval
from beffroi.domains.workloads import voices
from beffroi.domains.workloads.hours import Stretch, stretches
from beffroi.domains.workloads.kinds import AnyWorkload, KubernetesWorkload, is_the_same_thing, read_workload
from beffroi.domains.workloads.models import (
    Observed,
    Origin,
    WorkloadChange,
    WorkloadObject,
    WorkloadSchedule,
    WorkloadTarget,
)
from beffroi.domains.workloads.params import DiscoverParams, ResyncParams, TargetParams
from beffroi.domains.workloads.rules import Wanted
from beffroi.domains.workloads.target_shapes import TargetSpec
from beffroi.engine import jobs
from beffroi.engine.jobs import Definition
from beffroi.engine.models import Job

OWNER = "workloads"
RESYNC = "resync of the workload targets"
DISCOVERY = "annotations of the cluster"
DEFAULT_CONTEXT = "default"
"""In the settings, for the present context of the kubeconfig, or the cluster that we run in."""

POLICY = Policy(
    timeout=timedelta(minutes=5),
    overlap=Overlap.QUEUE,
    retries=Retries(max=5, first_delay=timedelta(seconds=1)),
)
RESYNC_POLICY = Policy(timeout=timedelta(minutes=10), overlap=Overlap.SKIP, catch_up=CatchUp.LAST)


@dataclass(frozen=True, slots=True)
class TargetFilter:
    """`name`: a part of it."""

    name: str | None = None
    in_trouble: bool | None = None


def get(session: Session, target_id: int) -> WorkloadTarget:
    target = session.get(WorkloadTarget, target_id)
    if target is None:
        raise NotFoundError(f"There is no target {target_id}.")
    return target


def named(session: Session, name: str) -> WorkloadTarget:
    found = find(session, name)
    if found is None:
        raise NotFoundError(f"There is no target named {name!r}.")
    return found


def find(session: Session, name: str) -> WorkloadTarget | None:
    return session.scalars(select(WorkloadTarget).where(col(WorkloadTarget.name) == name)).one_or_none()


def by_ids(session: Session, target_ids: Iterable[int | None]) -> Mapping[int | None, WorkloadTarget]:
    """Return targets by their ids."""
    wanted = {each for each in target_ids if each is not None}
    if not wanted:
        return {}
    found = session.scalars(select(WorkloadTarget).where(col(WorkloadTarget.id).in_(wanted)))
    return {target.id: target for target in found}


def schedules_of(session: Session, target_ids: Iterable[int | None]) -> Mapping[int, list[int]]:
    """Return the ids of the schedules that name targets."""
    query = select(col(WorkloadSchedule.target_id), col(WorkloadSchedule.id)).where(
        col(WorkloadSchedule.target_id).in_(list(target_ids))
    )
    found: dict[int, list[int]] = {}
    for target_id, schedule_id in session.execute(query.order_by(col(WorkloadSchedule.id))):
        found.setdefault(target_id, []).append(schedule_id)
    return found


def stretches_of(
    session: Session, target_ids: Sequence[int], since: datetime, until: datetime
) -> Mapping[int, Sequence[Stretch]]:
    """Return what was found at targets in `[since, until)`."""
    mine = col(WorkloadChange.target_id).in_(target_ids)
    at, number = col(WorkloadChange.at), col(WorkloadChange.target_id)
    last_before = (
        select(number, func.max(col(WorkloadChange.id)).label("id"))
        .where(mine, at < since)
        .group_by(number)
        .subquery()
    )
    before = select(WorkloadChange).join(last_before, col(WorkloadChange.id) == last_before.c.id)
    within = select(WorkloadChange).where(mine, at >= since, at < until).order_by(at, col(WorkloadChange.id))
    changes: dict[int, list[tuple[datetime, Observed]]] = {each: [] for each in target_ids}
    for change in (*session.scalars(before), *session.scalars(within)):
        changes[change.target_id].append((change.at, change.observed))
    return {each: stretches(changes[each], since, until) for each in target_ids}


def lock(session: Session, target_id: int) -> WorkloadTarget:
    """Return a target to be changed."""
    target = session.get(WorkloadTarget, target_id, with_for_update=True, populate_existing=True)
    if target is None:
        raise NotFoundError(f"There is no target {target_id}.")
    return target


def hold_all(session: Session) -> None:
    """Let nobody else change schedules and targets until the session ends; for whoever changes many.

    In this order everybody takes them who takes both: schedules, targets, each by their ids.
    """
    for kind in (WorkloadSchedule, WorkloadTarget):
        session.execute(select(col(kind.id)).order_by(col(kind.id)).with_for_update())


def list_targets(
    session: Session, wanted: TargetFilter, after: int | None, limit: int
) -> Sequence[WorkloadTarget]:
    """Return targets in order of their ids, from the one after `after` on."""
    query = select(WorkloadTarget)
    if wanted.name:
        query = query.where(col(WorkloadTarget.name).icontains(wanted.name, autoescape=True))
    if wanted.in_trouble is not None:
        query = query.where(col(WorkloadTarget.trouble).is_not(None) == wanted.in_trouble)
    if after is not None:
        query = query.where(col(WorkloadTarget.id) > after)
    return session.scalars(query.order_by(col(WorkloadTarget.id)).limit(limit)).all()


def create(
    session: Session, spec: TargetSpec, resync: timedelta, now: datetime, origin: Origin = Origin.API
) -> WorkloadTarget:
    """Write a new target down; nothing is wanted of it until a schedule names it."""
    if find(session, spec.name) is not None:
        raise ConflictError(f"There is already a target named {spec.name!r}.")
    target = WorkloadTarget(
        name=spec.name,
        params=spec.workload.model_dump_json(),
        dry_run=spec.dry_run,
        origin=origin,
        created_at=now,
        updated_at=now,
    )
    session.add(target)
    session.flush()
    definition = _definition(session, target)
    target.job_id = jobs.add(session, definition, OWNER, now).id
    see_to_resync(session, resync, now)
    return target


def replace(session: Session, target: WorkloadTarget, spec: TargetSpec, now: datetime) -> None:
    """Change a target. One that is down by us cannot become another: it would never come up again."""
    taken = find(session, spec.name)
    if taken is not None and taken.id != target.id:
        raise ConflictError(f"There is already a target named {spec.name!r}.")
    if not _is_made_of(target, spec.workload):
        _refuse_while_down(session, target, "changed into something else")
        _forget(session, target)
    target.name, target.params, target.dry_run = spec.name, spec.workload.model_dump_json(), spec.dry_run
    target.version += 1
    target.updated_at = now
    session.flush()
    heed(session, target.id, now)


def is_defined_so(target: WorkloadTarget, spec: TargetSpec) -> bool:
    """Whether a target is already what a spec of its name says."""
    return (target.params, target.dry_run) == (spec.workload.model_dump_json(), spec.dry_run)


def _is_made_of(target: WorkloadTarget, workload: AnyWorkload) -> bool:
    try:
        return is_the_same_thing(read_workload(target.params), workload)
    except InvalidError:
        return False


def delete(session: Session, target: WorkloadTarget, now: datetime) -> None:
    """Delete a target that no schedule names; refuse while it is down by us, so that it comes up first."""
    refuse_named(session, target)
    _refuse_while_down(session, target, "deleted")
    _forget(session, target)
    for change in session.scalars(select(WorkloadChange).where(col(WorkloadChange.target_id) == target.id)):
        session.delete(change)
    job = jobs.lock(session, target.job_id) if target.job_id is not None else None
    if job is not None:
        jobs.remove(session, job, now)
    target.job_id = None
    session.flush()
    session.delete(target)
    session.flush()
    if not session.scalar(select(func.count()).select_from(WorkloadTarget)):
        _end(session, RESYNC, now)


def refuse_named(session: Session, target: WorkloadTarget) -> None:
    """Refuse what would leave schedules without their target."""
    named = select(col(WorkloadSchedule.name)).where(col(WorkloadSchedule.target_id) == target.id).limit(3)
    names = session.scalars(named).all()
    if names:
        raise ConflictError(
            f"Schedules name the target {target.name!r}: {', '.join(names)}; delete or change them first."
        )


def is_down_by_us(session: Session, target: WorkloadTarget) -> bool:
    """Whether we took something of it down, and have not brought it up since."""
    down = select(func.count()).where(
        col(WorkloadObject.target_id) == target.id, col(WorkloadObject.applied) == Wanted.DOWN
    )
    return bool(session.scalar(down))


def heed(session: Session, target_id: int | None, now: datetime) -> None:
    """Let the job of a target fire when its windows and overrides now say, and once at once."""
    target = session.get(WorkloadTarget, target_id) if target_id is not None else None
    if target is None or target.job_id is None:
        return
    job = jobs.lock(session, target.job_id)
    if job is None:
        return
    definition = _definition(session, target, now)
    if not jobs.is_defined_so(job, definition, now):
        jobs.redefine(session, job, definition, now)
    if not jobs.is_asked_for(session, job, now):
        jobs.run_now(session, job, now)


def see_to_resync(session: Session, every: timedelta, now: datetime) -> None:
    """See that all targets are looked at every so often, as long as there are any."""
    if session.scalar(select(func.count()).select_from(WorkloadTarget)):
        _see_to(session, Definition(RESYNC, Interval(every=every), ResyncParams(), RESYNC_POLICY), now)


def see_to_discovery(session: Session, contexts: Collection[str], every: timedelta, now: datetime) -> None:
    """See that the annotations of these clusters are read every so often, and of no others."""
    wanted = {f"{DISCOVERY} {context}": context for context in contexts}
    for name, context in wanted.items():
        params = DiscoverParams(context=None if context == DEFAULT_CONTEXT else context)
        _see_to(session, Definition(name, Interval(every=every), params, RESYNC_POLICY), now)
    kind = DiscoverParams.model_fields["kind"].default
    query = select(col(Job.name)).where(
        col(Job.owner) == OWNER, col(Job.action_kind) == kind, col(Job.deleted_at).is_(None)
    )
    for name in session.scalars(query).all():
        if name not in wanted:
            _end(session, name, now)


def take_in_earnest(session: Session, target: WorkloadTarget, now: datetime) -> None:
    """Let a target be no dry run any more."""
    if target.dry_run:
        target.dry_run = False
        target.version += 1
        session.flush()
        heed(session, target.id, now)


def has_replicas(target: WorkloadTarget | None) -> bool:
    """Whether a target is made of things that can be more or fewer."""
    return target is not None and isinstance(read_workload(target.params), KubernetesWorkload)


def is_followed(session: Session, target: WorkloadTarget) -> bool:
    """Whether the annotations of the cluster that a target is in are being read."""
    try:
        workload = read_workload(target.params)
    except InvalidError:
        return False
    context = workload.context if isinstance(workload, KubernetesWorkload) else None
    return _find_own(session, f"{DISCOVERY} {context or DEFAULT_CONTEXT}") is not None


def _see_to(session: Session, definition: Definition, now: datetime) -> None:
    job = _own_job(session, definition.name)
    if job is None:
        jobs.add(session, definition, OWNER, now)
    elif not jobs.is_defined_so(job, definition, now):
        jobs.redefine(session, job, definition, now)


def _end(session: Session, name: str, now: datetime) -> None:
    job = _own_job(session, name)
    if job is not None:
        jobs.remove(session, job, now)


def _own_job(session: Session, name: str) -> Job | None:
    found = _find_own(session, name)
    return jobs.lock(session, found) if found is not None else None


def _find_own(session: Session, name: str) -> int | None:
    query = select(col(Job.id)).where(
        col(Job.name) == name, col(Job.owner) == OWNER, col(Job.deleted_at).is_(None)
    )
    return session.scalar(query)


def _definition(session: Session, target: WorkloadTarget, now: datetime | None = None) -> Definition:
    number = target.id or 0
    heard = voices.of_targets(session, [number], now)[number]
    moments = {each.until for each in heard.overrides if each.until is not None}
    trigger = Boundaries(
        windows=tuple(window.edges for window in heard.windows), moments=tuple(sorted(moments))
    )
    return Definition(
        f"target {number}: {target.name}"[:200], trigger, TargetParams(target_id=number), POLICY
    )


def _refuse_while_down(session: Session, target: WorkloadTarget, what: str) -> None:
    if is_down_by_us(session, target):
        how = "when 'dry_run' is false again" if target.dry_run else "by an override"
        raise ConflictError(
            f"The target is down by us, and would stay so; it can be {what} when it is up again. "
            f"It comes up when no active schedule names it, or {how}."
        )


def _forget(session: Session, target: WorkloadTarget) -> None:
    for each in session.scalars(select(WorkloadObject).where(col(WorkloadObject.target_id) == target.id)):
        session.delete(each)
    session.flush()

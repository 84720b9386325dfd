"""What is to be brought about at targets, and what is remembered of what was touched there."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import select
from sqlmodel import Session, col

from beffroi.core.errors import InvalidError
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
    WorkloadObject,
    WorkloadSchedule,
    WorkloadTarget,
)
from beffroi.domains.workloads.reasons import because
from beffroi.domains.workloads.rules import Wanted, replicas_at
from beffroi.domains.workloads.sizes import NOTHING, Memory, Wish
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
    """What is to be brought about at one target at the moment `at`, and what it shows so far.

    `version`: of the target; what it is made of has not changed as long as that is the same.
    `unreadable`: what of the target or its windows makes no sense; then nothing is done.
    `is_said`: what is wanted, why, and where its schedules stand is written down already.
    """

    target_id: int
    version: int
    at: datetime
    name: str
    workload: NoWorkload | HttpWorkload | KubernetesWorkload
    unreadable: str | None
    dry_run: bool
    wish: Wish
    why: str
    kept: Mapping[str, Kept]
    trouble: str | None
    done: str | None
    observed: Observed
    is_said: bool


def read_orders(session: Session, target_ids: Collection[int] | None, now: datetime) -> Sequence[Order]:
    """Read what is to be brought about at targets (None: at all)."""
    query, kept = select(WorkloadTarget), select(WorkloadObject)
    schedules = select(WorkloadSchedule).where(
        col(WorkloadSchedule.target_id).is_not(None), col(WorkloadSchedule.active).is_(True)
    )
    if target_ids is not None:
        query = query.where(col(WorkloadTarget.id).in_(target_ids))
        kept = kept.where(col(WorkloadObject.target_id).in_(target_ids))
        schedules = schedules.where(col(WorkloadSchedule.target_id).in_(target_ids))
    heard = voices.of_targets(session, target_ids, now)
    by_target: dict[int, dict[str, Kept]] = {}
    for each in session.scalars(kept):
        by_target.setdefault(each.target_id, {})[each.place] = _kept(each)
    shown: dict[int, list[WorkloadSchedule]] = {}
    for schedule in session.scalars(schedules):
        shown.setdefault(schedule.target_id or 0, []).append(schedule)
    return [
        _order(target, heard.get(number, Voices()), by_target.get(number, {}), shown.get(number, ()), now)
        for target in session.scalars(query.order_by(col(WorkloadTarget.id)))
        if (number := target.id or 0)
    ]


def read_kept(session: Session, place: str) -> tuple[int | None, Kept]:
    """Return what is remembered of a thing now, and the target that it belongs to."""
    found = session.scalars(
        select(WorkloadObject)
        .where(col(WorkloadObject.place) == place)
        .execution_options(populate_existing=True)
    ).one_or_none()
    return (found.target_id, _kept(found)) if found else (None, Kept(place, "", NOTHING))


def lock_targets(session: Session, orders: Sequence[Order]) -> Mapping[int, WorkloadTarget]:
    """Return the targets of orders; until the session ends nobody makes them into something else."""
    ids = {order.target_id for order in orders}
    mine = select(WorkloadTarget).where(col(WorkloadTarget.id).in_(ids)).order_by(col(WorkloadTarget.id))
    return {target.id or 0: target for target in session.scalars(mine.with_for_update(key_share=True))}


def standing(
    session: Session, targets: Mapping[int, WorkloadTarget], orders: Sequence[Order], now: datetime
) -> Sequence[bool]:
    """Tell of each order whether it is still what is wanted, of a target that nobody has changed since."""
    ids = {order.target_id for order in orders}
    heard = voices.of_targets(session, ids, min((order.at for order in orders), default=now))

    @cache  # many things of one target come with the same order
    def stands(target_id: int, version: int, at: datetime, wish: Wish) -> bool:
        # The wall clock may stand a hair before the edge that woke us.
        is_the_same = target_id in targets and targets[target_id].version == version
        return is_the_same and _wish(heard[target_id], max(now, at)) == wish

    return [stands(order.target_id, order.version, order.at, order.wish) for order in orders]


def _order(
    target: WorkloadTarget,
    heard: Voices,
    kept: Mapping[str, Kept],
    schedules: Iterable[WorkloadSchedule],
    now: datetime,
) -> Order:
    why = because(heard.at(now), "UTC")
    wish = _wish(heard, now)
    workload, unreadable = _workload(target, heard)
    is_shown = unreadable is not None or all(_is_shown(each, target, now) for each in schedules)
    return Order(
        target_id=target.id or 0,
        version=target.version,
        at=now,
        name=target.name,
        workload=workload,
        unreadable=unreadable,
        dry_run=target.dry_run,
        wish=wish,
        why=why,
        kept=kept,
        trouble=target.trouble,
        done=target.done,
        observed=target.observed,
        is_said=target.wanted is wish.wanted and target.why == why and is_shown,
    )


def _workload(
    target: WorkloadTarget, heard: Voices
) -> tuple[NoWorkload | HttpWorkload | KubernetesWorkload, str | None]:
    """Return what a target is made of, and what of it or of its windows cannot be read."""
    try:
        return read_workload(target.params), heard.unreadable
    except InvalidError as error:
        return NoWorkload(), error.message


def _is_shown(schedule: WorkloadSchedule, target: WorkloadTarget, now: datetime) -> bool:
    """Whether a schedule shows where it stands."""
    return schedule.status is (Status.FAILED if target.trouble else status_at(edges_of(schedule), now))


def _wish(heard: Voices, now: datetime) -> Wish:
    verdict = heard.at(now)
    return Wish(
        verdict.wanted,
        replicas_at(verdict, heard.windows) if verdict.wanted is Wanted.UP else None,
        is_over=verdict.wanted is Wanted.LEAVE and verdict.winner is None,
    )


def _kept(row: WorkloadObject) -> Kept:
    memory = Memory(row.applied, row.original, row.size, row.meant, row.written_at, row.rival)
    return Kept(row.place, row.uid, memory, row.id, row.version)

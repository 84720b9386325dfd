"""What is to be brought about at targets, and what is remembered of what was touched there."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import select
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
    """What is to be brought about at one target at the moment `at`, and what it shows so far.

    `version`: of the target; what it is made of has not changed as long as that is the same.
    `is_said`: what is wanted, why, and where its schedules stand is written down already.
    """

    target_id: int
    version: int
    at: datetime
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
    now: datetime,
    stale: Collection[int | None],
) -> Order:
    why = because(heard.at(now), "UTC")
    wish = _wish(heard, now)
    is_said = target.wanted is wish.wanted and target.why == why and target.id not in stale
    return Order(
        target_id=target.id or 0,
        version=target.version,
        at=now,
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

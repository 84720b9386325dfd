"""What becomes of orders: what is meant is written down before the deed, what was found and done after it.

Nothing is written when nothing differs. Schedules are locked before targets, and these before what is
remembered of their things: whoever changes one of them by hand holds them in this order too.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from sqlalchemy import select
from sqlmodel import Session, col

from beffroi.domains.workloads.keeping import forget, keep
from beffroi.domains.workloads.models import (
    Observed,
    Status,
    WorkloadChange,
    WorkloadSchedule,
    WorkloadTarget,
)
from beffroi.domains.workloads.orders import Kept, Order, lock_targets, standing
from beffroi.domains.workloads.voices import edges_of
from beffroi.domains.workloads.windows import status_at


class Refusal(Enum):
    """Why a thing must not be touched. `meanwhile`: somebody else has just touched it."""

    MEANWHILE = "meanwhile"
    OUTDATED = "outdated"


@dataclass(frozen=True, slots=True)
class Intent:
    """A thing is about to be touched, by an order; `kept`: what is to be remembered of it before."""

    order: Order
    kept: Kept


@dataclass(slots=True)
class Report:
    """What was found and done. `forget`: what need not be remembered any more."""

    observed: Observed = Observed.UNKNOWN
    done: list[str] = field(default_factory=list)
    trouble: str | None = None
    keep: list[Kept] = field(default_factory=list)
    forget: list[Kept] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not (self.done or self.keep or self.forget)


@dataclass(frozen=True, slots=True)
class Ended:
    """A pass over a target has ended."""

    order: Order
    report: Report


def claim(session: Session, intents: Sequence[Intent], now: datetime) -> Sequence[Kept | Refusal]:
    """Write down what is meant with things, and so take them from everybody else; or say why not.

    An order that is not what is wanted any more touches nothing.
    """
    orders = [intent.order for intent in intents]
    stands = standing(session, lock_targets(session, orders), orders, now)
    valid = [each for each, is_standing in zip(intents, stands, strict=True) if is_standing]
    kept = iter(keep(session, [(each.order.target_id, each.kept) for each in valid]))
    return [(next(kept) or Refusal.MEANWHILE) if is_standing else Refusal.OUTDATED for is_standing in stands]


def is_news(order: Order, report: Report) -> bool:
    """Whether there is anything to write down."""
    return (
        not report.is_empty
        or not order.is_said
        or report.trouble != order.trouble
        or report.observed is not order.observed
    )


def conclude(session: Session, ended: Sequence[Ended], now: datetime) -> Sequence[bool]:
    """Write down what was found and done at targets; tell of each whether its order still stands."""
    schedules = _schedules_of(session, [each.order.target_id for each in ended])
    orders = [each.order for each in ended]
    targets = lock_targets(session, orders)
    present = [(each, targets[each.order.target_id]) for each in ended if each.order.target_id in targets]
    for each, target in present:
        _conclude(session, target, schedules.get(each.order.target_id, ()), each)
    keep(session, [ask for each, target in present for ask in _to_keep(each, target)])
    forget(session, [kept for each, _target in present for kept in each.report.forget])
    return standing(session, targets, orders, now)


def _conclude(
    session: Session, target: WorkloadTarget, schedules: Iterable[WorkloadSchedule], ended: Ended
) -> None:
    order, report = ended.order, ended.report
    for schedule in schedules:
        schedule.status = Status.FAILED if report.trouble else status_at(edges_of(schedule), order.at)
        schedule.reason = report.trouble
    if report.observed is not target.observed:
        session.add(
            WorkloadChange(target_id=order.target_id, at=order.at, observed=report.observed, why=order.why)
        )
    target.wanted, target.why = order.wish.wanted, order.why
    target.observed, target.trouble = report.observed, report.trouble
    if report.done:
        target.done, target.done_at = "; ".join(report.done)[:2000], order.at


def _to_keep(ended: Ended, target: WorkloadTarget) -> Iterable[tuple[int, Kept]]:
    for kept in ended.report.keep:
        # What the target was made of when it was looked at may be another's by now.
        if kept.id is not None or target.version == ended.order.version:
            yield ended.order.target_id, kept


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

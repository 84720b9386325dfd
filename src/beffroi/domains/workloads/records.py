"""Orders, what is remembered of things, and what becomes of both; those who ask at once share a session."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from beffroi.clients.workloads import ChangedMeanwhileError
from beffroi.core.errors import BeffroiError
from beffroi.domains.workloads import orders, outcomes
from beffroi.domains.workloads.batches import Batches
from beffroi.domains.workloads.orders import Kept, Order
from beffroi.domains.workloads.outcomes import Ended, Intent, Refusal, Report
from beffroi.engine.clock import Clock
from beffroi.store.db import Database


class OutdatedError(BeffroiError):
    """What was to be done is not what is wanted any more, or the target is not what it was."""


class Records:
    """What those who bring targets up and down read from the database, and write into it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._orders = Batches(self._read_each)
        self._claims = Batches(self._claim_each)
        self._ends = Batches(self._conclude_each)

    async def order(self, target_id: int, now: datetime) -> Order | None:
        """Return what is to be brought about at a target; None when there is no such target."""
        return await self._orders.do((target_id, now))

    async def orders(self, now: datetime) -> Sequence[Order]:
        """Return what is to be brought about at all targets."""
        return await asyncio.to_thread(self._read, None, now)

    async def remembered(self, place: str) -> tuple[int | None, Kept]:
        """Return what is remembered of a thing now, and the target that it belongs to."""
        return await asyncio.to_thread(self._read_kept, place)

    async def claim(self, order: Order, kept: Kept) -> Kept:
        """Write down what is meant with a thing, before it is touched.

        Raises OutdatedError when the order does not stand any more, ChangedMeanwhileError when somebody
        else has touched the thing since it was read.
        """
        claimed = await self._claims.do(Intent(order, kept))
        if claimed is Refusal.OUTDATED:
            raise OutdatedError
        if not isinstance(claimed, Kept):
            raise ChangedMeanwhileError
        return claimed

    async def conclude(self, order: Order, report: Report) -> bool:
        """Write down what was found and done, if that is news; return whether the order still stands."""
        return not outcomes.is_news(order, report) or await self._ends.do(Ended(order, report))

    def _read(self, target_ids: list[int] | None, now: datetime) -> Sequence[Order]:
        with self._database.read() as session:
            return orders.read_orders(session, target_ids, now)

    def _read_each(self, asks: Sequence[tuple[int, datetime]]) -> Sequence[Order | None]:
        found = self._read([target_id for target_id, _now in asks], max(now for _target_id, now in asks))
        by_target = {order.target_id: order for order in found}
        return [by_target.get(target_id) for target_id, _now in asks]

    def _read_kept(self, place: str) -> tuple[int | None, Kept]:
        with self._database.read() as session:
            return orders.read_kept(session, place)

    def _claim_each(self, intents: Sequence[Intent]) -> Sequence[Kept | Refusal]:
        with self._database.write() as session:
            return outcomes.claim(session, intents, self._clock.now())

    def _conclude_each(self, ended: Sequence[Ended]) -> Sequence[bool]:
        with self._database.write() as session:
            return outcomes.conclude(session, ended, self._clock.now())

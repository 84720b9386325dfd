"""Brings targets to what is wanted of them: looks, compares, and writes only where it differs.

The same pass serves an edge, a change by hand, and the resync; it needs to know nothing of what was missed.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from beffroi.clients.http import HttpClient
from beffroi.clients.requests import refused, send, succeed
from beffroi.core.errors import ActionError, PermanentError, TemporaryError
from beffroi.domains.workloads import orders
from beffroi.domains.workloads.batches import Batches
from beffroi.domains.workloads.kinds import HttpWorkload, KubernetesWorkload
from beffroi.domains.workloads.models import Observed
from beffroi.domains.workloads.orders import Kept, Order, Report
from beffroi.domains.workloads.rules import Wanted
from beffroi.domains.workloads.sizes import Memory
from beffroi.domains.workloads.visit import AT_ONCE, Clusters, Store, Visit
from beffroi.engine.clock import Clock
from beffroi.store.db import Database

GONE = frozenset({404, 410, 503})
"""Answers to the question for the state by which a thing says that it is down."""


class Reconciler:
    """Looks at targets and writes down what became of them."""

    def __init__(self, database: Database, clock: Clock, http: HttpClient, clusters: Clusters) -> None:
        self._database = database
        self._clock = clock
        self._http = http
        self._clusters = clusters
        self._orders = Batches(self._read_each)
        self._memories = Batches(self._keep_each)
        self._reports = Batches(self._conclude_each)

    async def bring(self, target_id: int, key: str, not_before: datetime) -> str:
        """Bring one target to what is wanted of it; return what was found and done, in a line.

        `key`: the idempotency key of the requests. Raises ActionError when it could not be done, and
        the first time that somebody else turns out to manage it.
        """
        # The wall clock may stand a hair before the edge that woke us.
        now = max(self._clock.now(), not_before)
        order = await self._orders.do((target_id, now))
        if order is None:
            raise PermanentError("The target is not there any more.")
        return await self._bring(order, key, now)

    async def resync(self, key: str) -> str:
        """Look at all targets; return how many there are of each finding, in a line.

        Raises ActionError, at the end, when some could not be brought to what is wanted.
        """
        now = self._clock.now()
        all_orders = await asyncio.to_thread(self._read, None, now)
        turns = asyncio.Semaphore(AT_ONCE)
        failures: list[ActionError] = []
        findings: Counter[str] = Counter()

        async def look(order: Order) -> None:
            try:
                findings[await self._bring(order, f"{key}-{order.target_id}", now, turns)] += 1
            except ActionError as error:
                failures.append(error)
                findings[f"{order.name}: {error.message}"] += 1

        await asyncio.gather(*(look(order) for order in all_orders))
        told = "\n".join(f"{count} {finding}" for finding, count in findings.most_common(50))
        if failures:
            raise TemporaryError(
                f"{len(failures)} of {len(all_orders)} targets could not be seen to.", output=told
            )
        return told

    async def _bring(
        self, order: Order, key: str, now: datetime, turns: asyncio.Semaphore | None = None
    ) -> str:
        report, workload = Report(), order.workload
        was_known = order.trouble
        try:
            if isinstance(workload, KubernetesWorkload):
                turns = turns or asyncio.Semaphore(AT_ONCE)
                store = Store(self._database, self._memories)
                visit = Visit(store, self._clusters, order, workload, report, now, turns)
                await visit.make()
            elif isinstance(workload, HttpWorkload):
                await self._ask(order, workload, report, key, now)
            else:
                report.observed = _as_wanted(order.wish.wanted)
        except ActionError as error:
            # What was done before that is not forgotten.
            report.trouble = error.message
            await self._write(order, report, now)
            raise
        await self._write(order, report, now)
        if report.trouble is not None and report.trouble != was_known:
            raise PermanentError(report.trouble, output="; ".join(report.done) or None)
        return _in_a_line(order, report)

    async def _ask(
        self, order: Order, workload: HttpWorkload, report: Report, key: str, now: datetime
    ) -> None:
        """Bring a target behind HTTP up or down, if what it says, or what was last done, differs."""
        place = f"target {order.target_id}"
        kept = order.kept.get(place) or Kept(place, "", Memory())
        observed = await self._state(workload, key)
        known = observed if observed is not Observed.UNKNOWN else _as_wanted(kept.memory.applied)
        report.observed = known
        wished = _wished(order, kept.memory)
        if wished is None or known is _as_wanted(wished):
            return
        request = workload.up if wished is Wanted.UP else workload.down
        if order.dry_run:
            report.done.append(f"would call {request.method} {request.url}")
            return
        await succeed(self._http, request, key)
        report.done.append(f"called {request.method} {request.url}")
        report.observed = _as_wanted(wished)
        if order.wish.is_over:
            report.forget.append(place)
        else:
            report.keep.append(replace(kept, memory=Memory(wished, None, now)))

    async def _state(self, workload: HttpWorkload, key: str) -> Observed:
        if workload.state is None:
            return Observed.UNKNOWN
        reply = await send(self._http, workload.state, key)
        if not workload.state.expects(reply.status):
            if reply.status in GONE:
                return Observed.DOWN
            raise refused(reply, "what tells up from down")
        is_up = workload.state.up_if is None or workload.state.up_if in reply.tail
        return Observed.UP if is_up else Observed.DOWN

    async def _write(self, order: Order, report: Report, now: datetime) -> None:
        """Write down what is new; nothing when nothing is."""
        if order.dry_run and "; ".join(report.done) == order.done:
            report.done.clear()
        if orders.is_news(order, report):
            await self._reports.do((order, report, now))

    def _read(self, target_ids: list[int] | None, now: datetime) -> Sequence[Order]:
        with self._database.read() as session:
            return orders.read_orders(session, target_ids, now)

    def _read_each(self, asks: Sequence[tuple[int, datetime]]) -> Sequence[Order | None]:
        found = self._read([target_id for target_id, _now in asks], max(now for _target_id, now in asks))
        by_target = {order.target_id: order for order in found}
        return [by_target.get(target_id) for target_id, _now in asks]

    def _keep_each(self, asks: Sequence[tuple[int, Kept]]) -> Sequence[Kept | None]:
        with self._database.write() as session:
            return [orders.keep(session, target_id, kept) for target_id, kept in asks]

    def _conclude_each(self, asks: Sequence[tuple[Order, Report, datetime]]) -> Sequence[None]:
        with self._database.write() as session:
            orders.conclude(session, asks)
        return [None] * len(asks)


def _wished(order: Order, memory: Memory) -> Wanted | None:
    """Return what is to be done, if anything: what we took down comes up when nobody wants anything more."""
    if order.wish.is_over:
        return Wanted.UP if memory.applied is Wanted.DOWN else None
    return None if order.wish.wanted is Wanted.LEAVE else order.wish.wanted


def _as_wanted(wanted: Wanted | None) -> Observed:
    return {Wanted.UP: Observed.UP, Wanted.DOWN: Observed.DOWN}.get(wanted or Wanted.LEAVE, Observed.UNKNOWN)


def _in_a_line(order: Order, report: Report) -> str:
    done = "; ".join(report.done) or "nothing to do"
    line = f"wanted {order.wish.wanted}, found {report.observed}: {done}"
    return f"{line} ({report.trouble})" if report.trouble else line

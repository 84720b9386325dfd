"""Brings targets to what is wanted of them: looks, compares, and writes only where it differs.

The same pass serves an edge, a change by hand, and the resync; it needs to know nothing of what was missed.
"""

import asyncio
from collections import Counter
from datetime import datetime

from beffroi import events
from beffroi.clients.http import HttpClient
from beffroi.core.errors import ActionError, PermanentError, TemporaryError
from beffroi.domains.workloads.asking import Asking, as_wanted
from beffroi.domains.workloads.clusters import Clusters
from beffroi.domains.workloads.kinds import HttpWorkload, KubernetesWorkload
from beffroi.domains.workloads.orders import Order
from beffroi.domains.workloads.outcomes import Report
from beffroi.domains.workloads.records import OutdatedError, Records
from beffroi.domains.workloads.visit import AT_ONCE, Visit
from beffroi.engine.clock import Clock
from beffroi.store.db import Database

PASSES = 5
"""How often a target is looked at anew because what is wanted of it changed meanwhile."""


class Reconciler:
    """Looks at targets and writes down what became of them."""

    def __init__(self, database: Database, clock: Clock, http: HttpClient, clusters: Clusters) -> None:
        self._clock = clock
        self._http = http
        self._clusters = clusters
        self._records = Records(database, clock)

    async def bring(self, target_id: int, key: str, not_before: datetime) -> str:
        """Bring one target to what is wanted of it; return what was found and done, in a line.

        `key`: the idempotency key of the requests. Raises ActionError when it could not be done, and
        the first time that somebody else turns out to manage it.
        """
        order = await self._records.order(target_id, self._now(not_before))
        if order is None:
            raise PermanentError("The target is not there any more.")
        return await self._bring(order, key, asyncio.Semaphore(AT_ONCE))

    async def resync(self, key: str, not_before: datetime) -> str:
        """Look at all targets; return how many there are of each finding, in a line.

        Raises ActionError, at the end, when some could not be brought to what is wanted.
        """
        all_orders = await self._records.orders(self._now(not_before))
        turns = asyncio.Semaphore(AT_ONCE)
        failures = 0
        findings: Counter[str] = Counter()

        async def look(order: Order) -> None:
            nonlocal failures
            try:
                findings[await self._bring(order, f"{key}-{order.target_id}", turns)] += 1
            except ActionError as error:
                failures += 1
                findings[f"{order.name}: {error.message}"] += 1
            except Exception as error:  # noqa: BLE001  one target's fault is not to be that of all others
                events.target_failed(order.target_id, error)
                failures += 1
                findings[f"{order.name}: an error inside, which the log tells"] += 1

        await asyncio.gather(*(look(order) for order in all_orders))
        told = "\n".join(f"{count} {finding}" for finding, count in findings.most_common(50))
        if failures:
            raise TemporaryError(
                f"{failures} of {len(all_orders)} targets could not be seen to.", output=told
            )
        return told

    def _now(self, not_before: datetime) -> datetime:
        # The wall clock may stand a hair before the edge that woke us.
        return max(self._clock.now(), not_before)

    async def _bring(self, order: Order, key: str, turns: asyncio.Semaphore) -> str:
        """Pass over a target until what was brought about is what is wanted then."""
        report, was_known = Report(), order.trouble
        for _ in range(PASSES):
            # What was really done in the passes before is told with the rest.
            report = Report(done=[] if order.dry_run else report.done)
            if await self._pass(order, report, key, turns):
                return _told(order, report, was_known)
            again = await self._records.order(order.target_id, self._now(order.at))
            if again is None:
                return "it was deleted meanwhile"
            order = again
        raise TemporaryError(f"What is wanted of {order.name!r} changed over and over.")

    async def _pass(self, order: Order, report: Report, key: str, turns: asyncio.Semaphore) -> bool:
        """Pass over a target and write down what came of it; return whether that is what is wanted now."""
        try:
            await self._look(order, report, key, turns)
        except OutdatedError:
            report.observed, report.trouble = order.observed, order.trouble
            await self._records.conclude(order, report)
            return False
        except ActionError as error:
            # What was done before that is not forgotten.
            report.trouble = report.trouble or error.message
            await self._conclude(order, report)
            raise
        return await self._conclude(order, report)

    async def _conclude(self, order: Order, report: Report) -> bool:
        if order.dry_run and "; ".join(report.done) == order.done:
            report.done.clear()
        return await self._records.conclude(order, report)

    async def _look(self, order: Order, report: Report, key: str, turns: asyncio.Semaphore) -> None:
        workload = order.workload
        if order.unreadable is not None:
            raise PermanentError(order.unreadable)
        if isinstance(workload, KubernetesWorkload):
            await Visit(self._records, self._clusters, order, workload, report, turns).make()
        elif isinstance(workload, HttpWorkload):
            async with turns:
                await Asking(self._records, self._http, order, workload, report, key).make()
        else:
            report.observed = as_wanted(order.wish.wanted)


def _told(order: Order, report: Report, was_known: str | None) -> str:
    """Say in a line what was found and done; raises PermanentError for a trouble that is new."""
    done = "; ".join(report.done)
    if report.trouble is not None and report.trouble != was_known:
        raise PermanentError(report.trouble, output=done or None)
    line = f"wanted {order.wish.wanted}, found {report.observed}: {done or 'nothing to do'}"
    return f"{line} ({report.trouble})" if report.trouble else line

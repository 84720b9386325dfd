"""One pass over the workloads of a target in a cluster."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from beffroi.clients.workloads import EVERYWHERE, Ref, Resource, Workload, matches
from beffroi.core.errors import ActionError
from beffroi.domains.workloads.clusters import Cluster, Clusters
from beffroi.domains.workloads.kinds import KubernetesWorkload
from beffroi.domains.workloads.models import Observed
from beffroi.domains.workloads.orders import Kept, Order
from beffroi.domains.workloads.outcomes import Report
from beffroi.domains.workloads.records import Records
from beffroi.domains.workloads.rules import Wanted
from beffroi.domains.workloads.settling import Settling
from beffroi.domains.workloads.sizes import NOTHING, Wish

AT_ONCE = 20
"""Workloads that are changed at a time: of one target, and in a resync of all."""

RELEASED = Wish(Wanted.LEAVE, is_over=True)
"""For what does not belong to a target any more."""


@dataclass
class Visit:
    """Finds the workloads, and lets each take the step it needs. What comes of it goes into the report."""

    records: Records
    clusters: Clusters
    order: Order
    workload: KubernetesWorkload
    report: Report
    turns: asyncio.Semaphore

    async def make(self) -> None:
        """See to every workload of the target.

        Raises ActionError when one of them could not be, OutdatedError when the order stands no more.
        """
        context = self.workload.context
        cluster = self.clusters.of(context)
        mine, strays = (
            Settling(self.records, cluster, self.order, self.report, self.workload.insist) for _ in range(2)
        )
        failures: list[ActionError] = []
        for namespace in self.workload.namespaces:
            try:
                found = await self._find(cluster, namespace, mine)
                failures += await self._settle(
                    mine, [(seen, self._kept(seen), self.order.wish) for seen in found]
                )
                failures += await self._settle(strays, await self._strays(cluster, namespace, found))
            except ActionError as error:
                failures.append(error)
        self.report.observed = Observed.UNKNOWN if failures else _observed(mine.sizes)
        troubles = sorted({*mine.troubles, *strays.troubles, *(error.message for error in failures)})
        self.report.trouble = " ".join(troubles)[:2000] or None
        if any(error.code == 401 for error in failures):
            await self.clusters.forget(context, cluster)
        if failures:
            # All are seen to before a failure is told; rather one after which another try may help.
            raise next((failure for failure in failures if failure.retryable), failures[0])

    async def _find(self, cluster: Cluster, namespace: str, mine: Settling) -> Sequence[Workload]:
        workload = self.workload
        found = await cluster.find(workload.resource, namespace, workload.name, workload.selector)
        if workload.name is not None and not found and not self.order.wish.is_over:
            mine.troubles.append(f"There is no {workload.resource} {namespace}/{workload.name}.")
        return found

    async def _strays(
        self, cluster: Cluster, namespace: str, found: Sequence[Workload]
    ) -> Sequence[tuple[Workload, Kept, Wish]]:
        """Return what we remember and did not find, if it is there: it lost its labels, and is to be let go.

        What is gone is forgotten.
        """
        present = {self._place(seen.ref) for seen in found}
        missing = [
            (ref, kept)
            for place, kept in self.order.kept.items()
            if place not in present and namespace in (EVERYWHERE, (ref := _ref(place)).namespace)
        ]
        read = await asyncio.gather(*(cluster.read(ref) for ref, _ in missing))
        strays = []
        for seen, (_, kept) in zip(read, missing, strict=True):
            if seen is None:
                self.report.forget.append(kept)
            elif not self._is_mine(seen):
                strays.append((seen, kept, RELEASED))
        return strays

    async def _settle(
        self, settling: Settling, seen: Sequence[tuple[Workload, Kept, Wish]]
    ) -> Sequence[ActionError]:
        """See to the workloads that differ; those that do not cost nothing. Return what failed."""

        async def settle(workload: Workload, kept: Kept, wish: Wish) -> None:
            async with self.turns:
                await settling.settle(workload, kept, wish)

        ended = await asyncio.gather(
            *(settle(*each) for each in seen if not settling.is_settled(*each)), return_exceptions=True
        )
        failures = [each for each in ended if isinstance(each, BaseException)]
        for failure in failures:
            if not isinstance(failure, ActionError):
                raise failure
        return [each for each in failures if isinstance(each, ActionError)]

    def _is_mine(self, seen: Workload) -> bool:
        selector = self.workload.selector
        return seen.ref.name == self.workload.name if selector is None else matches(seen.labels, selector)

    def _kept(self, seen: Workload) -> Kept:
        place = self._place(seen.ref)
        return self.order.kept.get(place) or Kept(place, "", NOTHING)

    def _place(self, ref: Ref) -> str:
        return f"{self.workload.context or ''}|{ref}"


def _ref(place: str) -> Ref:
    namespace, resource, name = place.rpartition("|")[2].split("/")
    return Ref(Resource(resource), namespace, name)


def _observed(sizes: Sequence[int]) -> Observed:
    if not sizes:
        return Observed.ABSENT
    up = sum(1 for size in sizes if size > 0)
    if up == len(sizes):
        return Observed.UP
    return Observed.PARTLY if up else Observed.DOWN

"""One pass over the workloads of a target in a cluster."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from beffroi.clients.workloads import ChangedMeanwhileError, GoneError, Ref, Resource, Selector, Workload
from beffroi.core.errors import PermanentError, TemporaryError
from beffroi.domains.workloads import orders
from beffroi.domains.workloads.batches import Batches
from beffroi.domains.workloads.kinds import KubernetesWorkload
from beffroi.domains.workloads.models import Observed
from beffroi.domains.workloads.orders import Kept, Order, Report
from beffroi.domains.workloads.rules import Wanted
from beffroi.domains.workloads.sizes import NOTHING, ORIGINAL, Memory, Step, recalled, rival_of, step
from beffroi.store.db import Database

TRIES = 6
"""How often a workload is looked at anew because somebody changed it meanwhile."""

AT_ONCE = 20
"""Workloads that are changed at a time: of one target, and in a resync of all."""


class Cluster(Protocol):
    """What is asked of a cluster; see `clients.kubernetes`."""

    async def find(
        self, resource: Resource, namespace: str, name: str | None, selector: Selector | None
    ) -> Sequence[Workload]: ...

    async def list(
        self, resource: Resource, namespace: str, selector: Selector | None = None
    ) -> Sequence[Workload]: ...

    async def read(self, ref: Ref) -> Workload | None: ...

    async def resize(self, workload: Workload, size: int) -> Workload: ...

    async def annotate(self, workload: Workload, name: str, value: str | None) -> Workload: ...

    async def warn(self, workload: Workload, reason: str, message: str, now: datetime) -> None: ...


class Clusters(Protocol):
    """The clusters, by their contexts."""

    def of(self, context: str | None) -> Cluster: ...

    async def forget(self, context: str | None) -> None: ...


@dataclass(frozen=True)
class Store:
    """Where a visit reads and writes what is remembered of workloads."""

    database: Database
    memories: Batches[tuple[int, Kept], Kept | None]

    def read(self, place: str) -> tuple[int | None, Kept]:
        with self.database.read() as session:
            return orders.read_kept(session, place)


@dataclass
class Visit:
    """Finds the workloads, and lets each take the step it needs. What comes of it goes into the report."""

    store: Store
    clusters: Clusters
    order: Order
    workload: KubernetesWorkload
    report: Report
    now: datetime
    turns: asyncio.Semaphore
    sizes: list[int] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    async def make(self) -> None:
        """See to every workload of the target; raises ActionError when one of them could not be."""
        context = self.workload.context
        try:
            cluster = self.clusters.of(context)
            for namespace in self.workload.namespaces:
                await self._settle_all(cluster, await self._find(cluster, namespace))
        except PermanentError as error:
            if error.code == 401:
                await self.clusters.forget(context)
            raise
        self.report.observed = self._observed()
        if self.troubles:
            self.report.trouble = " ".join(sorted(self.troubles))[:2000]

    async def _find(self, cluster: Cluster, namespace: str) -> Sequence[Workload]:
        workload = self.workload
        found = await cluster.find(workload.resource, namespace, workload.name, workload.selector)
        if workload.name is not None and not found and self.order.wish.is_over:
            self.report.forget += list(self.order.kept)
        elif workload.name is not None and not found:
            self.troubles.append(f"There is no {workload.resource} {namespace}/{workload.name}.")
        return found

    async def _settle_all(self, cluster: Cluster, found: Sequence[Workload]) -> None:
        """See to the workloads that differ; those that do not cost nothing."""
        differing = []
        for seen in found:
            kept = self._kept(seen)
            if self._is_settled(kept, seen):
                self.sizes.append(seen.size)
            else:
                differing.append(self._settle(cluster, seen, kept))
        ended = await asyncio.gather(*differing, return_exceptions=True)
        # All are seen to before one's failure is told.
        for failure in ended:
            if isinstance(failure, BaseException):
                raise failure

    def _is_settled(self, kept: Kept, seen: Workload) -> bool:
        """Whether nothing is to be done, and nothing to be remembered that is not."""
        chosen = step(recalled(_valid(kept, seen), seen), seen, self.order.wish)
        if self.order.wish.is_over and kept.id is not None:
            return False
        is_known = chosen.after == (_valid(kept, seen) or NOTHING)
        return chosen.size is None and chosen.trouble is None and is_known

    async def _settle(self, cluster: Cluster, seen: Workload, kept: Kept) -> None:
        async with self.turns:
            for _ in range(TRIES):
                try:
                    if await self._try(cluster, seen, kept):
                        return
                except GoneError:
                    return
                except ChangedMeanwhileError:
                    pass
                owner, kept = await asyncio.to_thread(self.store.read, kept.place)
                again = await cluster.read(seen.ref)
                if again is None:
                    return
                seen = again
                if owner not in (None, self.order.target_id):
                    self.troubles.append(f"{seen.ref} belongs to another target already.")
                    return
        raise TemporaryError(f"{seen.ref} was changed by others over and over.")

    async def _try(self, cluster: Cluster, seen: Workload, kept: Kept) -> bool:
        """Take the step that the workload needs; False when what we know of it was out of date."""
        memory = recalled(_valid(kept, seen), seen)
        chosen = step(memory, seen, self.order.wish)
        rival = None if self.workload.insist else rival_of(memory, seen, chosen, self.now)
        if chosen.trouble is not None or rival is not None:
            return await self._leave(seen, kept, memory, chosen, rival)
        if self.order.dry_run:
            if chosen.size is not None:
                self.report.done.append(f"would set {seen.ref} from {seen.size} to {chosen.size}")
            self.sizes.append(seen.size)
            return True
        if chosen.size is None:
            return await self._remember(seen, kept, chosen)
        if chosen.before != memory or kept.id is None:
            wish = replace(kept, uid=seen.uid, memory=chosen.before)
            written = await self.store.memories.do((self.order.target_id, wish))
            if written is None:
                return False
            kept = written
        before = seen.size
        seen = await self._annotated(cluster, seen, chosen)
        await cluster.resize(seen, chosen.size)
        self.report.done.append(f"set {seen.ref} from {before} to {chosen.size}")
        self.sizes.append(chosen.size)
        after = replace(chosen.after, written_at=self.now)
        self._keep(replace(kept, uid=seen.uid, memory=after))
        return True

    async def _annotated(self, cluster: Cluster, seen: Workload, chosen: Step) -> Workload:
        """Note the original size at the workload itself; take the note away when nobody wants anything."""
        noted = seen.annotations.get(ORIGINAL)
        if self.order.wish.is_over:
            wanted = None
        elif chosen.after.applied is Wanted.DOWN:
            wanted = str(chosen.after.original)
        else:
            return seen
        return seen if noted == wanted else await cluster.annotate(seen, ORIGINAL, wanted)

    async def _leave(
        self, seen: Workload, kept: Kept, memory: Memory, chosen: Step, rival: str | None
    ) -> bool:
        """Leave a workload as it is, and say why."""
        self.sizes.append(seen.size)
        if rival is None:
            self.troubles.append(f"{seen.ref}: {chosen.trouble}")
            return True
        self.troubles.append(
            f"{seen.ref} should have {chosen.size} instead of {seen.size} replicas, but its size is managed "
            f"by {rival}; it is left alone."
        )
        if memory.applied is not None and memory.rival != rival and not self.order.dry_run:
            self._keep(replace(kept, uid=seen.uid, memory=replace(memory, rival=rival)))
        return True

    async def _remember(self, seen: Workload, kept: Kept, chosen: Step) -> bool:
        if chosen.after != kept.memory or kept.uid != seen.uid:
            self._keep(replace(kept, uid=seen.uid, memory=chosen.after))
        self.sizes.append(seen.size)
        return True

    def _keep(self, kept: Kept) -> None:
        if self.order.wish.is_over:
            self.report.forget.append(kept.place)
        else:
            self.report.keep.append(kept)

    def _kept(self, seen: Workload) -> Kept:
        place = f"{self.workload.context or ''}|{seen.ref}"
        return self.order.kept.get(place) or Kept(place, "", Memory())

    def _observed(self) -> Observed:
        if not self.sizes:
            return Observed.ABSENT
        up = sum(1 for size in self.sizes if size > 0)
        if up == len(self.sizes):
            return Observed.UP
        return Observed.PARTLY if up else Observed.DOWN


def _valid(kept: Kept, seen: Workload) -> Memory | None:
    """Return what is remembered of this very workload, not of one that had its name before."""
    return kept.memory if kept.id is not None and kept.uid in ("", seen.uid) else None

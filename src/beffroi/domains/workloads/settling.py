"""Brings single workloads of a target to what is wished, as carefully as several nodes at once require."""

from dataclasses import dataclass, field, replace

from beffroi.clients.workloads import ChangedMeanwhileError, GoneError, Workload
from beffroi.core.errors import TemporaryError
from beffroi.domains.workloads.clusters import Cluster
from beffroi.domains.workloads.orders import Kept, Order
from beffroi.domains.workloads.outcomes import Report
from beffroi.domains.workloads.records import Records
from beffroi.domains.workloads.rules import Wanted
from beffroi.domains.workloads.sizes import NOTHING, ORIGINAL, Memory, Step, Wish, recalled, rival_of, step

TRIES = 6
"""How often a workload is looked at anew because somebody changed it meanwhile."""


@dataclass
class Settling:
    """Sees to workloads of one order. What is done goes into the report; sizes and troubles gather here."""

    records: Records
    cluster: Cluster
    order: Order
    report: Report
    insist: bool
    sizes: list[int] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    def is_settled(self, seen: Workload, kept: Kept, wish: Wish) -> bool:
        """Whether nothing is to be done, and nothing to be remembered that is not; it is counted then."""
        chosen = step(recalled(_valid(kept, seen), seen, wish), seen, wish)
        is_known = chosen.after == (_valid(kept, seen) or NOTHING)
        if wish.is_over:
            is_known = kept.id is None and (seen.size == 0 or ORIGINAL not in seen.annotations)
        is_settled = chosen.size is None and chosen.trouble is None and is_known
        if is_settled:
            self.sizes.append(seen.size)
        return is_settled

    async def settle(self, seen: Workload, kept: Kept, wish: Wish) -> None:
        """Take the step that a workload needs, however often it is changed meanwhile.

        Raises OutdatedError when the order is not what is wanted now, ActionError when it cannot be done.
        """
        for _ in range(TRIES):
            try:
                self.sizes.append(await self._try(seen, kept, wish))
                return
            except GoneError:
                return
            except ChangedMeanwhileError:
                pass
            owner, kept = await self.records.remembered(kept.place)
            again = await self.cluster.read(seen.ref)
            if again is None:
                return
            seen = again
            if owner not in (None, self.order.target_id):
                self.troubles.append(f"{seen.ref} belongs to another target already.")
                return
        raise TemporaryError(f"{seen.ref} was changed by others over and over.")

    async def _try(self, seen: Workload, kept: Kept, wish: Wish) -> int:
        """Take the step that the workload needs; return the size that it has then."""
        memory = recalled(_valid(kept, seen), seen, wish)
        chosen = step(memory, seen, wish)
        rival = None if self.insist else rival_of(memory, seen, chosen, self.order.at)
        if chosen.trouble is not None:
            self.troubles.append(f"{seen.ref}: {chosen.trouble}")
        elif rival is not None:
            await self._leave(seen, kept, replace(memory, rival=rival), chosen)
        elif chosen.size is not None and self.order.dry_run:
            self.report.done.append(f"would set {seen.ref} from {seen.size} to {chosen.size}")
        elif chosen.size is not None:
            return await self._resize(seen, kept, wish, chosen)
        elif wish.is_over:
            await self._release(seen, kept)
        elif not self.order.dry_run:
            await self._remember(seen, kept, chosen.after)
        return seen.size

    async def _resize(self, seen: Workload, kept: Kept, wish: Wish, chosen: Step) -> int:
        size = chosen.size or 0
        claimed = await self.records.claim(self.order, replace(kept, uid=seen.uid, memory=chosen.before))
        resized = await self.cluster.resize(await self._noted(seen, chosen), size)
        self.report.done.append(f"set {seen.ref} from {seen.size} to {size}")
        if wish.is_over:
            await self._release(resized, claimed)
        else:
            await self._remember(seen, claimed, replace(chosen.after, written_at=self.order.at))
        return size

    async def _noted(self, seen: Workload, chosen: Step) -> Workload:
        """Note the original size at a workload itself before it goes down."""
        original = str(chosen.after.original)
        if chosen.after.applied is not Wanted.DOWN or seen.annotations.get(ORIGINAL) == original:
            return seen
        return await self.cluster.annotate(seen, ORIGINAL, original)

    async def _release(self, seen: Workload, kept: Kept) -> None:
        """Take our note away from a workload that is up, and forget it."""
        if ORIGINAL in seen.annotations and not self.order.dry_run:
            await self.cluster.annotate(seen, ORIGINAL, None)
        if kept.id is not None:
            self.report.forget.append(kept)

    async def _leave(self, seen: Workload, kept: Kept, memory: Memory, chosen: Step) -> None:
        """Leave a workload to whoever manages it, and say so."""
        self.troubles.append(
            f"{seen.ref} should have {chosen.size} replicas, but its size is managed by {memory.rival}; "
            "it is left alone."
        )
        if memory.applied is not None and not self.order.dry_run:
            await self._remember(seen, kept, memory)

    async def _remember(self, seen: Workload, kept: Kept, memory: Memory) -> None:
        found = replace(kept, uid=seen.uid, memory=memory)
        if kept.id is None:
            # It may belong to another target already; that is told now, not when it is to be written.
            await self.records.claim(self.order, found)
        elif found != kept:
            self.report.keep.append(found)


def _valid(kept: Kept, seen: Workload) -> Memory | None:
    """Return what is remembered of this very workload, not of one that had its name before."""
    return kept.memory if kept.id is not None and kept.uid in ("", seen.uid) else None

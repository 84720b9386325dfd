"""One pass over a target behind HTTP: ask what it is, and tell it what to be."""

from dataclasses import dataclass, replace

from beffroi.clients.http import HttpClient
from beffroi.clients.requests import refused, send, succeed
from beffroi.clients.workloads import ChangedMeanwhileError
from beffroi.core.errors import PermanentError
from beffroi.domains.workloads.kinds import HttpWorkload
from beffroi.domains.workloads.models import Observed
from beffroi.domains.workloads.orders import Kept, Order
from beffroi.domains.workloads.outcomes import Report
from beffroi.domains.workloads.records import Records
from beffroi.domains.workloads.rules import Wanted
from beffroi.domains.workloads.sizes import NOTHING, Memory, Wish

GONE = frozenset({404, 410, 503})
"""Answers to the question for the state by which a thing says that it is down."""


LONGEST_STATE = 1_000_000
"""Bytes of an answer in which `up_if` is looked for."""


@dataclass
class Asking:
    """Brings a target up or down, if what it says, or what was last done, differs from what is wanted."""

    records: Records
    http: HttpClient
    order: Order
    workload: HttpWorkload
    report: Report
    key: str

    async def make(self) -> None:
        """Raise ActionError when it cannot be asked or told, OutdatedError when the order stands no more."""
        order, report = self.order, self.report
        place = f"target {order.target_id}"
        kept = order.kept.get(place) or Kept(place, "", NOTHING)
        report.observed = await self._state() or _last_done(kept.memory)
        wished = _wished(order.wish, kept.memory)
        if wished is not None and report.observed is not as_wanted(wished):
            await self._tell(kept, wished)
        else:
            self._remember(kept, wished)

    async def _tell(self, kept: Kept, wished: Wanted) -> None:
        request = self.workload.up if wished is Wanted.UP else self.workload.down
        if self.order.dry_run:
            self.report.done.append(f"would call {request.method} {request.url}")
            return
        # It is down by us from before it is told to go down until it is known to be up.
        meant = Memory(Wanted.DOWN if wished is Wanted.DOWN else kept.memory.applied)
        try:
            kept = await self.records.claim(self.order, replace(kept, memory=meant))
        except ChangedMeanwhileError:
            # Another pass is at it just now: it will see to the rest.
            self.report.observed = self.order.observed
            return
        # A run that changes its mind does another deed; a service that honours keys must see that.
        await succeed(self.http, request, f"{self.key}-{wished}-{len(self.report.done)}")
        self.report.done.append(f"called {request.method} {request.url}")
        self.report.observed = as_wanted(wished)
        self._remember(kept, wished)

    def _remember(self, kept: Kept, wished: Wanted | None) -> None:
        """Remember that it is as wished, by whomever; of what we never touched nothing is remembered."""
        if kept.id is None:
            return
        if self.order.wish.is_over:
            self.report.forget.append(kept)
        elif wished is not None and not self.order.dry_run and not _is_known(kept.memory, wished):
            self.report.keep.append(replace(kept, memory=Memory(wished, written_at=self.order.at)))

    async def _state(self) -> Observed | None:
        """Return what it says of itself; None when it cannot be asked."""
        asked = self.workload.state
        if asked is None:
            return None
        reply = await send(self.http, asked, None, LONGEST_STATE)
        if not asked.expects(reply.status):
            if reply.status in GONE:
                return Observed.DOWN
            raise refused(reply, "what tells up from down")
        if asked.up_if is not None and reply.is_cut:
            raise PermanentError(
                f"The answer to `state` is longer than {LONGEST_STATE} bytes; `up_if` is not looked for."
            )
        is_up = asked.up_if is None or asked.up_if in reply.tail
        return Observed.UP if is_up else Observed.DOWN


def as_wanted(wanted: Wanted | None) -> Observed:
    """Return how a thing is seen that is as it is wanted."""
    return {Wanted.UP: Observed.UP, Wanted.DOWN: Observed.DOWN}.get(wanted or Wanted.LEAVE, Observed.UNKNOWN)


def _wished(wish: Wish, memory: Memory) -> Wanted | None:
    """Return what it is to be, if anything: what we took down comes up when nobody wants anything more."""
    if wish.is_over:
        return Wanted.UP if memory.applied is Wanted.DOWN else None
    return None if wish.wanted is Wanted.LEAVE else wish.wanted


def _is_known(memory: Memory, wished: Wanted) -> bool:
    return memory.applied is wished and memory.written_at is not None


def _last_done(memory: Memory) -> Observed:
    """Return what it should be by our last request, if that is known to have succeeded."""
    return as_wanted(memory.applied) if memory.written_at is not None else Observed.UNKNOWN

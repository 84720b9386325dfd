"""What happens at the edge of a window, and every so often: things are brought to what the time says."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from beffroi.clients.http import HttpClient
from beffroi.clients.workloads import EVERYWHERE, Resource
from beffroi.core.errors import ActionError, InvalidError, NotFoundError, PermanentError
from beffroi.domains.workloads import discovery, service
from beffroi.domains.workloads.clusters import Clusters
from beffroi.domains.workloads.discovery import Found, Outcome
from beffroi.domains.workloads.params import DiscoverParams, ResyncParams, TargetParams, WorkloadParams
from beffroi.domains.workloads.reconcile import Reconciler
from beffroi.engine.calls import Answer, Call
from beffroi.engine.clock import Clock
from beffroi.store.db import Database


class WorkloadAction:
    """Sets the status of a schedule from the time, not from the edge: after an absence one pass is right."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def reconcile(self, params: WorkloadParams, call: Call) -> Answer:
        # The wall clock may stand a hair before the edge that woke us.
        now = max(self._clock.now(), call.scheduled_for)
        try:
            with self._database.write() as session:
                before, after = service.reconcile(session, params.schedule_id, now)
        except (NotFoundError, InvalidError) as error:
            raise PermanentError(error.message) from None
        return Answer(output=str(after) if before == after else f"{before} -> {after}")


class TargetActions:
    """Brings targets to what is wanted of them: one, or all."""

    def __init__(self, database: Database, clock: Clock, http: HttpClient, clusters: Clusters) -> None:
        self._reconciler = Reconciler(database, clock, http, clusters)

    async def bring(self, params: TargetParams, call: Call) -> Answer:
        return Answer(output=await self._reconciler.bring(params.target_id, call.run_id, call.scheduled_for))

    async def resync(self, params: ResyncParams, call: Call) -> Answer:
        return Answer(output=await self._reconciler.resync(call.run_id, call.scheduled_for))


class DiscoverAction:
    """Reads the annotations of a cluster, and makes what they say so."""

    def __init__(
        self, database: Database, clock: Clock, clusters: Clusters, zone: str, resync: timedelta
    ) -> None:
        self._database = database
        self._clock = clock
        self._clusters = clusters
        self._zone = zone
        self._resync = resync
        self._told: set[tuple[str, str]] = set()

    async def discover(self, params: DiscoverParams, call: Call) -> Answer:
        cluster = self._clusters.of(params.context)
        try:
            workloads = [each for kind in Resource for each in await cluster.list(kind, EVERYWHERE)]
        except ActionError as error:
            if error.code == 401:
                await self._clusters.forget(params.context, cluster)
            raise
        found = discovery.annotated(workloads, self._zone)
        now = max(self._clock.now(), call.scheduled_for)
        outcome = await asyncio.to_thread(self._follow, params.context, found, now)
        for workload, sentence in outcome.warnings:
            if (workload.uid, sentence) not in self._told:
                self._told.add((workload.uid, sentence))
                await cluster.warn(workload, "UnusableUptime", sentence, now)
        return Answer(output=discovery.summary(outcome, len(found)))

    def _follow(self, context: str | None, found: Sequence[Found], now: datetime) -> Outcome:
        with self._database.write() as session:
            return discovery.follow(session, context, found, self._resync, now)

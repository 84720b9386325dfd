"""What happens at the edge of a window, and every so often: things are brought to what the time says."""

from beffroi.clients.http import HttpClient
from beffroi.core.errors import NotFoundError, PermanentError
from beffroi.domains.workloads import service
from beffroi.domains.workloads.params import ResyncParams, TargetParams, WorkloadParams
from beffroi.domains.workloads.reconcile import Reconciler
from beffroi.domains.workloads.visit import Clusters
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
        except NotFoundError as error:
            raise PermanentError(error.message) from None
        return Answer(output=str(after) if before == after else f"{before} -> {after}")


class TargetActions:
    """Brings targets to what is wanted of them: one, or all."""

    def __init__(self, database: Database, clock: Clock, http: HttpClient, clusters: Clusters) -> None:
        self._reconciler = Reconciler(database, clock, http, clusters)

    async def bring(self, params: TargetParams, call: Call) -> Answer:
        return Answer(output=await self._reconciler.bring(params.target_id, call.run_id, call.scheduled_for))

    async def resync(self, params: ResyncParams, call: Call) -> Answer:
        return Answer(output=await self._reconciler.resync(call.run_id))

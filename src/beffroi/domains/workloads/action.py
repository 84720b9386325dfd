"""What happens at the edge of a window: the schedule is brought to what the time says."""

from beffroi.core.errors import NotFoundError, PermanentError
from beffroi.domains.workloads import service
from beffroi.domains.workloads.params import WorkloadParams
from beffroi.engine.calls import Answer, Call
from beffroi.engine.clock import Clock
from beffroi.store.db import Database


class WorkloadAction:
    """Sets the status from the time, not from the edge: after an absence one pass is right."""

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

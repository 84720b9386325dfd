"""The parameters of the action that a schedule's job calls."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class WorkloadParams(BaseModel):
    """Bring one schedule to what the time says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["workload"] = "workload"
    schedule_id: int

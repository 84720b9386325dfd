"""The parameters of the actions that the jobs of this tool call."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Params(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WorkloadParams(_Params):
    """Set the status of a schedule that has no target."""

    kind: Literal["workload"] = "workload"
    schedule_id: int


class TargetParams(_Params):
    """Bring one target to what is wanted of it."""

    kind: Literal["target"] = "target"
    target_id: int


class ResyncParams(_Params):
    """Look at all targets, and bring those that drifted to what is wanted of them."""

    kind: Literal["resync"] = "resync"


class DiscoverParams(_Params):
    """Read the annotations of a cluster, and make what they say so."""

    kind: Literal["discover"] = "discover"
    context: str | None = None

"""What this tool asks of a cluster; `clients.kubernetes` and `clients.clusters` answer it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from beffroi.clients.workloads import Ref, Resource, Selector, Workload


class Cluster(Protocol):
    """One cluster."""

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

    async def forget(self, context: str | None, cluster: object) -> None: ...

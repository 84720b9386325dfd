"""The clusters that the configuration of Kubernetes names; each is connected to when it is first used."""

from typing import TYPE_CHECKING

from beffroi.core.errors import PermanentError

if TYPE_CHECKING:
    from beffroi.clients.kubernetes import Cluster


class Clusters:
    """Keeps a connection to each. They belong to the event loop that uses them."""

    def __init__(self) -> None:
        self._clusters: dict[str | None, Cluster] = {}

    def of(self, context: str | None) -> "Cluster":
        """Return the cluster of a context; of None: the present one, or the one that we run in."""
        if context not in self._clusters:
            try:
                # Not before it is needed: the client is optional, and not small.
                from beffroi.clients.kubernetes import connect
            except ModuleNotFoundError as error:
                raise PermanentError(
                    f"Kubernetes needs the extra of that name: pip install 'beffroi[kubernetes]' ({error})."
                ) from None
            self._clusters[context] = connect(context)
        return self._clusters[context]

    async def forget(self, context: str | None, cluster: object) -> None:
        """Read the configuration anew next time: what it said was not accepted by this cluster."""
        if self._clusters.get(context) is cluster:
            await self._clusters.pop(context).close()

    async def close(self) -> None:
        for context, cluster in list(self._clusters.items()):
            await self.forget(context, cluster)

"""Workloads in Kubernetes: read, list, resize, mark. Every wait ends, every failure is a sentence."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import httpx2
import msgspec
from lightkube import AsyncClient, KubeConfig
from lightkube.core.exceptions import ConfigError
from lightkube.models.core_v1 import EventSource, ObjectReference
from lightkube.models.meta_v1 import ObjectMeta, OwnerReference
from lightkube.resources.apps_v1 import Deployment, StatefulSet
from lightkube.resources.batch_v1 import CronJob
from lightkube.resources.core_v1 import Event
from lightkube.types import PatchType
from uuid_utils import uuid4

from beffroi.clients.readings import Readings
from beffroi.clients.requests import RETRYABLE, retry_after
from beffroi.clients.workloads import (
    ChangedMeanwhileError,
    GoneError,
    Ref,
    Resource,
    Selector,
    Workload,
    Writer,
)
from beffroi.core.errors import PermanentError, TemporaryError

MANAGER = "beffroi"
"""How the fields that we write are marked in a cluster."""

PAGE = 500
STEP_SECONDS = 10.0
WHOLE_SECONDS = 60.0
"""Of one request: for each step of it, and for all of it."""

AT_ONCE = 20
"""Requests to a cluster at a time: as many as there are connections that stay open."""

CLASSES: Mapping[Resource, Any] = {
    Resource.DEPLOYMENT: Deployment,
    Resource.STATEFUL_SET: StatefulSet,
    Resource.CRON_JOB: CronJob,
}


class Cluster:
    """One cluster. It belongs to the event loop that first uses it."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._readings = Readings(self)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._answers = 0

    async def find(
        self, resource: Resource, namespace: str, name: str | None, selector: Selector | None
    ) -> Sequence[Workload]:
        """Return the workload of a name, none if it is absent; or those that a selector names.

        What is asked for at the same time is read together.
        """
        return await self._readings.find(resource, namespace, name, selector)

    async def read(self, ref: Ref) -> Workload | None:
        """Return a workload; None when there is none of that name."""
        try:
            async with self._asking():
                found = await self._client.get(CLASSES[ref.resource], ref.name, namespace=ref.namespace)
        except GoneError:
            return None
        return _workload(ref.resource, found)

    async def list(
        self, resource: Resource, namespace: str, selector: Selector | None = None
    ) -> Sequence[Workload]:
        """Return the workloads of a namespace, or of all (`*`), page by page; all of them or an error."""
        pages = self._client.list(
            CLASSES[resource], namespace=namespace, chunk_size=PAGE, labels=cast(Any, selector)
        )
        try:
            async with self._asking():
                return [_workload(resource, each) async for each in pages]
        except GoneError as error:
            raise PermanentError(f"The cluster knows no {resource}s: {error}") from None

    async def resize(self, workload: Workload, size: int) -> Workload:
        """Give a workload another size, unless somebody changed it since it was read."""
        ref, kind = workload.ref, CLASSES[workload.ref.resource]
        if ref.resource is Resource.CRON_JOB:
            return await self._patch(workload, {"spec": {"suspend": size == 0}})
        wish = {"metadata": {"resourceVersion": workload.version}, "spec": {"replicas": size}}
        async with self._asking():
            scale = await self._client.patch(
                kind.Scale, ref.name, cast(Any, wish), namespace=ref.namespace, patch_type=PatchType.MERGE
            )
        return replace(workload, size=size, version=scale.metadata.resourceVersion or "")

    async def annotate(self, workload: Workload, name: str, value: str | None) -> Workload:
        """Set an annotation of a workload, or (None) take it away."""
        return await self._patch(workload, {"metadata": {"annotations": {name: value}}})

    async def warn(self, workload: Workload, reason: str, message: str, now: datetime) -> None:
        """Leave a warning at a workload: `kubectl describe` shows it."""
        ref = workload.ref
        about = ObjectReference(
            apiVersion=CLASSES[ref.resource]._api_info.resource.api_version,
            kind=CLASSES[ref.resource]._api_info.resource.kind,
            name=ref.name,
            namespace=ref.namespace,
            uid=workload.uid,
        )
        event = Event(
            metadata=ObjectMeta(name=f"{ref.name}.{uuid4().hex[:16]}", namespace=ref.namespace),
            involvedObject=about,
            type="Warning",
            reason=reason,
            message=message[:1000],
            source=EventSource(component=MANAGER),
            firstTimestamp=now,
            lastTimestamp=now,
            count=1,
        )
        async with self._asking():
            await self._client.create(event)

    async def close(self) -> None:
        await self._client.close()

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        """Wait for a turn as long as the cluster answers others, and then for the answer."""
        await self._take_turn()
        try:
            async with _time_limited():
                yield
            self._answers += 1
        finally:
            self._turns.release()

    async def _take_turn(self) -> None:
        while True:
            before = self._answers
            try:
                async with asyncio.timeout(STEP_SECONDS):
                    await self._turns.acquire()
                return
            except TimeoutError:
                if self._answers == before:
                    raise TemporaryError("The cluster does not answer anybody any more.") from None

    async def _patch(self, workload: Workload, wish: dict[str, Any]) -> Workload:
        ref = workload.ref
        metadata = {**wish.get("metadata", {}), "resourceVersion": workload.version}
        async with self._asking():
            found = await self._client.patch(
                CLASSES[ref.resource],
                ref.name,
                cast(Any, {**wish, "metadata": metadata}),
                namespace=ref.namespace,
                patch_type=PatchType.MERGE,
            )
        return _workload(ref.resource, found)


def connect(context: str | None) -> Cluster:
    """Return the cluster of a context of the kubeconfig; of None: the present one, or the one we run in."""
    try:
        config = KubeConfig.from_env().get(context)
        if config is None:
            raise PermanentError("The configuration of Kubernetes names no present context.")
        client = AsyncClient(config, timeout=httpx2.Timeout(STEP_SECONDS), field_manager=MANAGER)
    except (ConfigError, OSError, ValueError, KeyError, TypeError) as error:
        raise PermanentError(
            f"The configuration of Kubernetes cannot be used (context {context or 'default'}): {error}"
        ) from None
    return Cluster(client)


@asynccontextmanager
async def _time_limited() -> AsyncIterator[None]:
    """Turn every way in which a request can fail into one of ours."""
    try:
        async with asyncio.timeout(WHOLE_SECONDS):
            yield
    except httpx2.HTTPStatusError as error:
        raise _refusal(error.response) from None
    except httpx2.TimeoutException:
        raise TemporaryError(f"The cluster did not answer within {STEP_SECONDS:g} s.") from None
    except TimeoutError:
        raise TemporaryError(f"The cluster did not answer wholly within {WHOLE_SECONDS:g} s.") from None
    except httpx2.HTTPError as error:
        raise TemporaryError(f"The cluster cannot be reached: {error or type(error).__name__}") from None
    except (msgspec.MsgspecError, AttributeError, KeyError) as error:
        # Cut off in the middle, or from something in between that is not a Kubernetes server.
        raise TemporaryError(f"The cluster's answer cannot be understood: {error}") from None
    except RuntimeError as error:
        # Another found that the cluster does not know us any more, and closed the connection.
        raise TemporaryError(f"The cluster is being connected to anew: {error}") from None
    except ConfigError as error:
        raise PermanentError(f"The cluster's credentials cannot be used: {error}") from None


def _refusal(response: httpx2.Response) -> Exception:
    status = response.status_code
    reason = _reason(response)
    if status == 409:
        return ChangedMeanwhileError()
    if status == 404:
        return GoneError(reason)
    wait = retry_after(response.headers.get("retry-after"), response.headers.get("date"))
    if status in RETRYABLE or status == 410 or status >= 500:
        return TemporaryError(f"The cluster answered {status}: {reason}", code=status, retry_after=wait)
    if status == 401:
        # What the configuration says is read anew: a token may have run out.
        return TemporaryError(f"The cluster does not know us (401): {reason}", code=status)
    said = "The cluster does not allow it" if status == 403 else "The cluster refused"
    return PermanentError(f"{said} ({status}): {reason}", code=status)


def _reason(response: httpx2.Response) -> str:
    """Return what an answer says for itself; the cluster names verb, resource and namespace."""
    try:
        return str(msgspec.json.decode(response.content)["message"])[:1000]
    except (msgspec.MsgspecError, KeyError, TypeError, httpx2.HTTPError):
        return response.reason_phrase or "no reason given"


def _workload(resource: Resource, found: Any) -> Workload:
    metadata: ObjectMeta = found.metadata
    return Workload(
        ref=Ref(resource, metadata.namespace or "", metadata.name or ""),
        uid=metadata.uid or "",
        size=_size(resource, found.spec),
        version=metadata.resourceVersion or "",
        annotations=metadata.annotations or {},
        labels=metadata.labels or {},
        owner=_controller(metadata.ownerReferences or []),
        writers=_writers(metadata, "f:suspend" if resource is Resource.CRON_JOB else "f:replicas"),
    )


def _size(resource: Resource, spec: Any) -> int:
    if resource is Resource.CRON_JOB:
        return 0 if spec.suspend else 1
    return 1 if spec.replicas is None else int(spec.replicas)  # 1 is what Kubernetes takes for unset


def _controller(owners: Sequence[OwnerReference]) -> str | None:
    return next((f"{owner.kind} {owner.name}" for owner in owners if owner.controller), None)


def _writers(metadata: ObjectMeta, field: str) -> Sequence[Writer]:
    return [
        Writer(entry.manager or "", entry.subresource or None, _aware(entry.time))
        for entry in metadata.managedFields or []
        if field in ((cast(Any, entry.fieldsV1) or {}).get("f:spec") or {})
    ]


def _aware(moment: datetime | None) -> datetime | None:
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)

"""A Kubernetes API server over real HTTP: kmock, with what it leaves out.

Versions that must match (409), pages of lists, label selectors, the scale subresource, who wrote what,
and faults on demand.
"""

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp.web
import attrs
import kmock
import yaml
from kmock._internal.rendering import Request

RESOURCES = {
    "deployment": kmock.resource("apps/v1/deployments"),
    "statefulset": kmock.resource("apps/v1/statefulsets"),
    "cronjob": kmock.resource("batch/v1/cronjobs"),
}
TOKEN = "secret-of-the-service-account"


@dataclass
class Fault:
    """How the server misbehaves, for requests of a method: `status` 0 hangs, -1 cuts the answer off."""

    status: int
    method: str = "ANY"
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    path: str = ""

    def strikes(self, request: Request) -> bool:
        fits = self.method in ("ANY", str(request.method.value)) and self.path in request.url.path
        return self.times > 0 and fits


@attrs.define(kw_only=True)
class Emulator(kmock.KubernetesEmulator):
    """Answers get, list and patch as a real server would; the rest is kmock's."""

    faults: list[Fault] = attrs.field(factory=list)
    meanwhile: list[tuple[str, Callable[[], object]]] = attrs.field(factory=list)
    """What else happens while a request of a method is under way, once each."""
    manager: str = "beffroi"
    written: list[str] = attrs.field(factory=list)
    written_at: list[float] = attrs.field(factory=list)
    _version: int = 1000

    def add(self, kind: str, namespace: str, name: str, size: int = 3, **metadata: Any) -> None:
        """Make a workload, as somebody else would."""
        spec: dict[str, Any] = {"suspend": size == 0} if kind == "cronjob" else {"replicas": size}
        if kind == "cronjob":
            spec |= {"schedule": "0 * * * *", "jobTemplate": {}}
        else:
            spec |= {"selector": {}, "template": {}}
            if kind == "statefulset":
                spec["serviceName"] = name
        self._version += 1
        self.objects[RESOURCES[kind], namespace, name] = {
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": f"uid-{self._version}",
                "resourceVersion": str(self._version),
                **metadata,
            },
            "spec": spec,
        }

    def look(self, kind: str, namespace: str, name: str) -> dict[str, Any]:
        raw: dict[str, Any] = self.objects[RESOURCES[kind], namespace, name].last.raw
        return raw

    def size(self, kind: str, namespace: str, name: str) -> int:
        spec = self.look(kind, namespace, name)["spec"]
        return int(not spec["suspend"]) if kind == "cronjob" else int(spec["replicas"])

    def scale(self, kind: str, namespace: str, name: str, size: int, manager: str = "kubectl") -> None:
        """Change a size, as somebody else would."""
        spec = {"suspend": size == 0} if kind == "cronjob" else {"replicas": size}
        self._write((RESOURCES[kind], namespace, name), {"spec": spec}, manager, "scale")

    def remove(self, kind: str, namespace: str, name: str) -> None:
        self.objects[RESOURCES[kind], namespace, name].delete()

    def calls(self, method: str) -> list[str]:
        """Return the paths of the requests of a method, without those that a fault struck."""
        return [request.url.path for request in self._requests if str(request.method.value) == method]

    async def _handle(self, request: Request) -> aiohttp.web.StreamResponse:
        for each in [each for each in self.meanwhile if each[0] == str(request.method.value)]:
            self.meanwhile.remove(each)
            await asyncio.to_thread(each[1])
        struck = await self._fault(request)
        if struck is not None:
            return struck
        if request.resource not in RESOURCES.values():
            return await super()._handle(request)
        if str(request.method.value) == "PATCH":
            return self._patch(request)
        if request.name is None:
            return self._list(request)
        key: Any = (request.resource, request.namespace, request.name)
        if key not in self.objects or self.objects[key].deleted:
            return _status(404, f'"{request.name}" not found')
        return aiohttp.web.json_response(self.objects[key].last.raw)

    async def _fault(self, request: Request) -> aiohttp.web.StreamResponse | None:
        for fault in self.faults:
            if fault.strikes(request):
                fault.times -= 1
                return await self._misbehave(fault, request)
        return None

    async def _misbehave(self, fault: Fault, request: Request) -> aiohttp.web.StreamResponse:
        if fault.status == 0:
            await asyncio.sleep(3600)
        if fault.status == -1:
            assert request._raw_request is not None
            answer = aiohttp.web.StreamResponse(headers={"Content-Length": "100000"})
            await answer.prepare(request._raw_request)
            await answer.write(b'{"items": [')
            assert request._raw_request.transport is not None
            request._raw_request.transport.close()
            return answer
        return _status(fault.status, "as the test wanted it", fault.headers)

    def _list(self, request: Request) -> aiohttp.web.StreamResponse:
        found = [
            thing.last.raw
            for (resource, namespace, _name), thing in self.objects.items()
            if resource == request.resource
            and request.namespace in (None, namespace)
            and not thing.deleted
            and _selected(thing.last.raw, request.params.get("labelSelector"))
        ]
        start = int(request.params.get("continue", "0"))
        end = start + int(request.params.get("limit", "0") or len(found) or 1)
        metadata: dict[str, Any] = {"resourceVersion": str(self._version)}
        if end < len(found):
            metadata["continue"] = str(end)
        return aiohttp.web.json_response({"metadata": metadata, "items": found[start:end]})

    def _patch(self, request: Request) -> aiohttp.web.StreamResponse:
        key: Any = (request.resource, request.namespace, request.name)
        if key not in self.objects or self.objects[key].deleted:
            return _status(404, f'"{request.name}" not found')
        raw = self.objects[key].last.raw
        wished = request.data.get("metadata", {}).get("resourceVersion")
        if wished is not None and wished != raw["metadata"]["resourceVersion"]:
            return _status(409, "the object has been modified")
        self.written.append(request.subresource or "itself")
        if request.subresource == "scale":
            self.written_at.append(time.time())
        written = self._write(key, request.data, self.manager, request.subresource or "")
        return aiohttp.web.json_response(written)

    def _write(self, key: Any, data: dict[str, Any], manager: str, sub: str) -> dict[str, Any]:
        self._version += 1
        metadata = {**data.get("metadata", {}), "resourceVersion": str(self._version)}
        if "spec" in data:
            fields: dict[str, Any] = {"f:spec": {f"f:{name}": {} for name in data["spec"]}}
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            entry = {"manager": manager, "operation": "Update", "time": now, "fieldsV1": fields}
            metadata["managedFields"] = [{**entry, "subresource": sub} if sub else entry]
        self.objects[key].patch({**data, "metadata": metadata})
        written: dict[str, Any] = self.objects[key].last.raw
        return written


def _status(code: int, message: str, headers: dict[str, str] | None = None) -> aiohttp.web.Response:
    body = {"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "message": message}
    return aiohttp.web.json_response(body, status=code, headers=headers)


_REQUIREMENT = re.compile(r"([^,=( ]+)(?:=([^,]*)| in \(([^)]*)\))?(?:,|$)")


def _selected(raw: dict[str, Any], selector: str | None) -> bool:
    labels = raw["metadata"].get("labels") or {}
    for name, value, values in _REQUIREMENT.findall(selector or ""):
        allowed = [each.strip() for each in values.split(",")] if values else [value]
        if name not in labels or (allowed != [""] and labels[name] not in allowed):
            return False
    return True


@dataclass
class Cluster:
    """The server, its address, and the configuration that leads to it."""

    api: Emulator
    url: str
    kubeconfig: Path

    def requests(self) -> Sequence[Request]:
        return list(self.api._requests)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Serve on a free port of the loopback, in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    api = Emulator()
    server = kmock.Server(api)

    async def enter() -> str:
        await api.__aenter__()
        await server.__aenter__()
        return str(server.url).rstrip("/")

    async def leave() -> None:
        await server.__aexit__(None, None, None)
        await api.__aexit__(None, None, None)

    url = asyncio.run_coroutine_threadsafe(enter(), loop).result(10)
    path = folder / "kubeconfig"
    path.write_text(_kubeconfig(url), encoding="utf-8")
    try:
        yield Cluster(api, url, path)
    finally:
        asyncio.run_coroutine_threadsafe(leave(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def _kubeconfig(url: str) -> str:
    named = {"cluster": "test", "user": "test"}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": named}],
            "clusters": [{"name": "test", "cluster": {"server": url}}],
            "users": [{"name": "test", "user": {"token": TOKEN}}],
        }
    )

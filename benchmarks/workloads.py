"""Workloads in a cluster: how soon after an edge everything is written, and what a look at all costs.

The server is the real one, in a process of its own; the cluster is emulated over real HTTP in this one.
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Any

from tests.helpers.cluster import Cluster, cluster

from benchmarks.beffroi import database_url
from benchmarks.common import Figures, Measurement, Report, answer, medians, rounds_of, scratch, wait_until

TARGETS, MANY = 1_000, 10_000
QUICK = 10
NAMESPACES = 10
CHUNK = 1_000
"""Targets in one document."""

HEAD_START = timedelta(seconds=60)
WINDOW = timedelta(seconds=30)
SETTLED = 20.0
"""Seconds after an edge in which what belongs to it is counted."""

PORT = 8_978
URL = f"http://127.0.0.1:{PORT}"


def measure(what: str, share: str) -> Figures:
    """Measure a common edge, or a resync of many."""
    with scratch() as folder, cluster(folder) as kube, _server(folder, kube):
        if what == "edges":
            return _edges(kube, TARGETS // int(share))
        return _resync(kube, MANY // int(share))


def report(quick: bool) -> list[Report]:
    """Measure both."""
    share = str(QUICK if quick else 1)
    figures = medians(
        {what: Measurement("workloads", (what, share)) for what in ("edges", "resync")}, rounds_of(quick)
    )
    edges, resync = figures["edges"], figures["resync"]
    rows = [
        [edge, *(f"{edges[f'{edge} {name}']:.2f}" for name in ("p50", "p99", "max", "requests"))]
        for edge in ("up", "down")
    ]
    columns = ["edge", "p50 s", "p99 s", "max s", "requests a target"]
    title = f"{TARGETS // int(share):,} targets with the same edge, from the edge to the finished write"
    looked = [[f"{resync[name]:.2f}" for name in ("seconds", "lists", "reads", "writes")]]
    return [
        Report(title, columns, rows, {"edges": edges}),
        Report(
            f"A resync of {MANY // int(share):,} targets in {NAMESPACES} namespaces, nothing differs",
            ["seconds", "lists", "reads one by one", "writes"],
            looked,
            {"resync": resync},
        ),
    ]


def _edges(kube: Cluster, count: int) -> Figures:
    start = (datetime.now(UTC) + HEAD_START).replace(microsecond=0)
    _declare(kube, count, start, start + WINDOW)
    wait_until(lambda: sum(_sizes(kube)) == 0, 0.2)
    found: Figures = {}
    for name, edge in (("up", start), ("down", start + WINDOW)):
        while datetime.now(UTC) < edge:
            time.sleep(0.05)
        before = len(kube.requests())
        time.sleep(SETTLED)
        writes = sorted(at - edge.timestamp() for at in kube.api.written_at if edge.timestamp() <= at)
        if len(writes) < count:
            raise RuntimeError(f"{count} targets had an edge, {len(writes)} were written")
        for label, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
            found[f"{name} {label}"] = writes[ceil(share * count) - 1]
        found[f"{name} requests"] = (len(kube.requests()) - before) / count
    return found


def _resync(kube: Cluster, count: int) -> Figures:
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    _declare(kube, count, start, start + timedelta(days=1))
    wait_until(lambda: not _call("GET", "/runs?state=planned&state=running&limit=1"), 1)
    (job,) = [each for each in _call("GET", "/jobs?name=resync") if each["owner"] == "workloads"]
    before = len(kube.requests())
    run = _call("POST", f"/jobs/{job['id']}/run")["run_id"]
    wait_until(lambda: _call("GET", f"/runs/{run}")["finished_at"], 0.1)
    ended = _call("GET", f"/runs/{run}")
    if ended["output"] != f"{count} wanted up, found up: nothing to do":
        raise RuntimeError(f"not what was expected: {ended['message']} {ended['output']}")
    asked = Counter(
        "writes" if str(request.method.value) != "GET" else "reads" if request.name else _page(request)
        for request in kube.requests()[before:]
    )
    return {
        "seconds": ended["duration_seconds"],
        **{each: float(asked[each]) for each in ("lists", "reads", "writes")},
    }


def _page(request: Any) -> str:
    """The pages of a list after the first are not lists of their own."""
    return "pages" if "continue" in request.params else "lists"


def _sizes(kube: Cluster) -> Sequence[int]:
    return [thing.last.raw["spec"]["replicas"] for thing in kube.api.objects.values()]


def _declare(kube: Cluster, count: int, start: datetime, end: datetime) -> None:
    """Make workloads in the cluster, and a target and a schedule for each."""
    for number in range(count):
        kube.api.add("deployment", f"n{number % NAMESPACES}", f"w{number}", 3)
    times = {"start_time": start.isoformat(), "end_time": end.isoformat()}
    for first in range(0, count, CHUNK):
        numbers = range(first, min(first + CHUNK, count))
        targets = [{"name": f"t{number}", "workload": _workload(number)} for number in numbers]
        schedules = [{"name": f"s{number}", "target": f"t{number}", **times} for number in numbers]
        _call("POST", "/apply", {"targets": targets, "schedules": schedules})


def _workload(number: int) -> dict[str, Any]:
    return {
        "kind": "kubernetes",
        "resource": "deployment",
        "namespaces": [f"n{number % NAMESPACES}"],
        "name": f"w{number}",
    }


def _call(method: str, path: str, body: Any = None) -> Any:
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(URL + path, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=600) as told:
        return json.load(told)


@contextmanager
def _server(folder: Path, kube: Cluster) -> Iterator[None]:
    told = {
        "BEFFROI_DATABASE_URL": database_url(folder),
        "BEFFROI_LISTEN": f"127.0.0.1:{PORT}",
        "BEFFROI_AUTH": "off",
        "BEFFROI_LOG_LEVEL": "error",
        "BEFFROI_RESYNC": "6h",
        "KUBECONFIG": str(kube.kubeconfig),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "beffroi", "serve", "--no-hints"], cwd=folder, env={**os.environ, **told}
    )
    try:
        wait_until(_is_healthy, 0.1)
        yield
    finally:
        process.terminate()
        process.wait()


def _is_healthy() -> bool:
    try:
        return bool(_call("GET", "/health")["status"] == "healthy")
    except OSError:
        return False


if __name__ == "__main__":
    answer(measure)

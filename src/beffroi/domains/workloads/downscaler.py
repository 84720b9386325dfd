"""Reads the annotations of py-kube-downscaler, and says what targets and schedules they would be."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from beffroi.clients.workloads import Resource
from beffroi.domains.workloads.discovery import body_of
from beffroi.domains.workloads.shapes import WorkloadScheduleCreate
from beffroi.domains.workloads.uptime import ALWAYS, DAYS, FIRST_MONDAY, Uptime, read_uptime

PREFIX = "downscaler/"
ORIGINAL = "downscaler/original-replicas"
UNSUPPORTED = (
    "exclude",
    "exclude-until",
    "force-uptime",
    "force-downtime",
    "downtime-replicas",
    "upscale-period",
)
KINDS = {
    "Deployment": Resource.DEPLOYMENT,
    "StatefulSet": Resource.STATEFUL_SET,
    "CronJob": Resource.CRON_JOB,
}
DAY, WEEK = 24 * 60, 7 * 24 * 60


class Metadata(BaseModel):
    """What is read of the metadata of a workload."""

    name: str = ""
    namespace: str = "default"
    annotations: dict[str, Any] | None = None


class Manifest(BaseModel):
    """What is read of an object as Kubernetes writes it, or of a list of such."""

    kind: str = ""
    metadata: Metadata = Metadata()
    items: list["Manifest"] | None = None


@dataclass(slots=True)
class Imported:
    """A document for `apply`, and remarks on what was left out of it, and why."""

    targets: list[dict[str, Any]] = field(default_factory=list)
    schedules: list[dict[str, Any]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def document(self) -> dict[str, Any]:
        return {"targets": self.targets, "schedules": self.schedules}


def read_manifests(objects: Iterable[Any], default_zone: str) -> Imported:
    """Read objects as Kubernetes writes them, also lists of such; ValidationError for what is none."""
    imported = Imported()
    for each in objects:
        manifest = Manifest.model_validate(each)
        for item in manifest.items if manifest.items is not None else [manifest]:
            _read(item, default_zone, imported)
    return imported


def _read(item: Manifest, default_zone: str, imported: Imported) -> None:
    annotations = item.metadata.annotations or {}
    said = {name: str(value) for name, value in annotations.items() if name.startswith(PREFIX)}
    if not said:
        return
    resource = KINDS.get(item.kind)
    where = f"{item.kind} {item.metadata.namespace}/{item.metadata.name}"
    foreign = [f"{PREFIX}{word}" for word in UNSUPPORTED if f"{PREFIX}{word}" in said]
    if foreign:
        imported.remarks.append(f"{where}: left out, for {', '.join(foreign)} has no counterpart here.")
        return
    if resource is None:
        imported.remarks.append(f"{where}: only Deployments, StatefulSets and CronJobs are taken over.")
        return
    try:
        windows = _windows(said, default_zone)
    except ValueError as error:
        imported.remarks.append(f"{where}: {error}.")
        return
    if windows:
        _write(imported, resource, item.metadata, windows, said.get(ORIGINAL))


def _windows(said: Mapping[str, str], default_zone: str) -> Sequence[Uptime]:
    up, down = said.get(f"{PREFIX}uptime"), said.get(f"{PREFIX}downtime")
    if up is not None and down is not None:
        raise ValueError("it has both an uptime and a downtime; say with one of them when it is up")
    if up is not None:
        if up.strip().lower() == "never":
            raise ValueError("an uptime of 'never' is a workload that is always down; scale it to 0 instead")
        return read_uptime(up, default_zone)
    if down is None or down.strip().lower() == "never":
        return []
    if down.strip().lower() == ALWAYS:
        raise ValueError("it is always down; scale it to 0 instead")
    return complement(read_uptime(down, default_zone))


def complement(down: Sequence[Uptime]) -> Sequence[Uptime]:
    """Return the windows of a week that others leave free; ValueError when that is no plain week."""
    zones = {each.zone for each in down}
    if len(zones) > 1 or any(each.recurrence is None for each in down):
        raise ValueError("a downtime of moments, or in several zones, has no weekly counterpart")
    is_down = [False] * WEEK
    for each in down:
        for start in _starts(each):
            for minute in range(start, start + _length(each)):
                is_down[minute % WEEK] = True
    if all(is_down):
        raise ValueError("it is always down; scale it to 0 instead")
    free = _stretches([not each for each in is_down])
    (zone,) = zones
    return [_weekly(length, starts, zone) for length, starts in _alike(free).items()]


def _stretches(is_up: Sequence[bool]) -> list[tuple[int, int]]:
    """Return start and length of each stretch of a circular week."""
    if all(is_up):
        return [(day * DAY, DAY) for day in range(7)]
    found = []
    for start in range(WEEK):
        if is_up[start] and not is_up[start - 1]:
            length = next(n for n in range(1, WEEK + 1) if not is_up[(start + n) % WEEK])
            found.append((start, length))
    return found


def _alike(stretches: Iterable[tuple[int, int]]) -> dict[tuple[int, int], list[int]]:
    """Gather the days on which stretches begin at the same time and last as long."""
    found: dict[tuple[int, int], list[int]] = {}
    for start, length in stretches:
        found.setdefault((start % DAY, length), []).append(start // DAY)
    return found


def _weekly(shape: tuple[int, int], days: Sequence[int], zone: str) -> Uptime:
    minute, length = shape
    names = "*" if len(days) == 7 else ",".join(DAYS[day].upper() for day in days)
    begin = FIRST_MONDAY + timedelta(days=days[0], minutes=minute)
    text = f"{names} {minute // 60:02}:{minute % 60:02} for {length // 60} h {length % 60:02} min {zone}"
    end = begin + timedelta(minutes=length)
    return Uptime(text, begin, end, zone, f"{minute % 60} {minute // 60} * * {names}")


def _starts(window: Uptime) -> list[int]:
    minute, hour, _, _, days = (window.recurrence or "").split()
    numbers = range(7) if days == "*" else [DAYS.index(day.lower()) for day in days.split(",")]
    return [number * DAY + int(hour) * 60 + int(minute) for number in numbers]


def _length(window: Uptime) -> int:
    # Both ends are times on the same wall: what counts is how far apart they are there.
    return int((window.end.replace(tzinfo=None) - window.start.replace(tzinfo=None)) / timedelta(minutes=1))


def _write(
    imported: Imported,
    resource: Resource,
    metadata: Metadata,
    windows: Sequence[Uptime],
    original: str | None,
) -> None:
    target = f"{metadata.namespace}/{resource}/{metadata.name}"
    workload = {
        "kind": "kubernetes",
        "resource": str(resource),
        "namespaces": [metadata.namespace],
        "name": metadata.name,
    }
    imported.targets.append({"name": target, "workload": workload})
    for window in windows:
        body = body_of(f"{target}: {window.text}"[:200], window, target)
        imported.schedules.append(_plain(body, window, original))


def _plain(body: WorkloadScheduleCreate, window: Uptime, original: str | None) -> dict[str, Any]:
    """Write a schedule as people would: times on the wall, in the zone beside them."""
    spec: dict[str, Any] = body.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    if window.recurrence is not None:
        spec["start_time"] = window.start.replace(tzinfo=None).isoformat()
        spec["end_time"] = window.end.replace(tzinfo=None).isoformat()
    if original is not None and original.isdecimal() and int(original) > 0:
        spec["replicas"] = int(original)
    return spec

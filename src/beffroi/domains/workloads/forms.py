"""Schedules and targets as forms: texts by the names of the fields, and back to what defines them."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from beffroi.core.errors import InvalidError
from beffroi.core.moments import in_utc, zone_of
from beffroi.domains.workloads.kinds import HttpWorkload, KubernetesWorkload, read_workload
from beffroi.domains.workloads.models import WorkloadSchedule, WorkloadTarget
from beffroi.domains.workloads.shapes import WorkloadScheduleCreate
from beffroi.domains.workloads.target_shapes import TargetSpec
from beffroi.web.patch import merged

ONCE, DAILY, WORKDAYS, WEEKLY, WRITTEN = "once", "daily", "workdays", "weekly", "written"
WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")


def schedule_of_form(fields: Mapping[str, str], zone: str) -> WorkloadScheduleCreate:
    """Return the schedule that a form describes; its times are on the wall of its zone."""
    where = fields.get("timezone", "").strip() or zone
    body: dict[str, Any] = {
        "name": fields.get("name", "").strip(),
        "start_time": fields.get("start_time", ""),
        "end_time": fields.get("end_time", ""),
        "timezone": where,
        "active": "active" in fields,
        "recurrence": _recurrence(fields),
        "target": fields.get("target", "") or None,
        "replicas": fields.get("replicas", "").strip() or None,
    }
    return merged(
        WorkloadScheduleCreate, {}, {name: value for name, value in body.items() if value is not None}
    )


def fields_of_schedule(schedule: WorkloadSchedule, target: WorkloadTarget | None) -> dict[str, str]:
    """Return the texts of a form that describes a schedule."""
    zone = zone_of(schedule.timezone)
    fields = {
        "name": schedule.name,
        "start_time": wall(schedule.start_time, zone),
        "end_time": wall(schedule.end_time, zone),
        "timezone": schedule.timezone,
        "repeat": WRITTEN if schedule.recurrence else ONCE,
        "recurrence": schedule.recurrence or "",
        "target": target.name if target else "",
        "replicas": "" if schedule.replicas is None else str(schedule.replicas),
    }
    return {**fields, "active": "on"} if schedule.active else fields


def target_of_form(fields: Mapping[str, str]) -> TargetSpec:
    """Return the target that a form describes."""
    kind = fields.get("kind", "kubernetes")
    workload: dict[str, Any] = {"kind": kind}
    if kind == "kubernetes":
        workload |= _kubernetes(fields)
    elif kind == "http":
        workload |= {part: _request(fields, part) for part in ("up", "down")}
        if fields.get("state.url", "").strip():
            up_if = fields.get("state.up_if", "").strip()
            workload["state"] = {"url": fields["state.url"].strip(), **({"up_if": up_if} if up_if else {})}
    spec = {"name": fields.get("name", "").strip(), "workload": workload, "dry_run": "dry_run" in fields}
    return merged(TargetSpec, {}, spec)


def fields_of_target(target: WorkloadTarget) -> dict[str, str]:
    """Return the texts of a form that describes a target, as far as a form can."""
    workload = read_workload(target.params)
    fields = {"name": target.name, "kind": workload.kind}
    if isinstance(workload, KubernetesWorkload):
        fields |= {
            "resource": workload.resource,
            "namespaces": ", ".join(workload.namespaces),
            "workload": workload.name or "",
            "selector": json.dumps(workload.selector) if workload.selector else "",
            "context": workload.context or "",
        }
        if workload.insist:
            fields["insist"] = "on"
    elif isinstance(workload, HttpWorkload):
        for part in ("up", "down"):
            request = getattr(workload, part)
            fields |= {f"{part}.method": request.method, f"{part}.url": request.url}
        if workload.state is not None:
            fields |= {"state.url": workload.state.url, "state.up_if": workload.state.up_if or ""}
    return {**fields, "dry_run": "on"} if target.dry_run else fields


def with_what_no_form_shows(spec: TargetSpec, target: WorkloadTarget) -> TargetSpec:
    """Keep headers, bodies and the like of requests whose form shows method and URL alone."""
    before, after = read_workload(target.params), spec.workload
    if not isinstance(before, HttpWorkload) or not isinstance(after, HttpWorkload):
        return spec
    changes: dict[str, Any] = {}
    for part in ("up", "down"):
        given = getattr(after, part)
        changes[part] = getattr(before, part).model_copy(update={"url": given.url, "method": given.method})
    if before.state is not None and after.state is not None:
        shown = {"url": after.state.url, "up_if": after.state.up_if}
        changes["state"] = before.state.model_copy(update=shown)
    return spec.model_copy(update={"workload": after.model_copy(update=changes)})


def wall(moment: datetime, zone: ZoneInfo) -> str:
    """Return a moment as a browser's field for wall time wants it."""
    return moment.astimezone(zone).replace(tzinfo=None).isoformat(timespec="minutes")


def moment_of(field: str, text: str | None, zone: str) -> datetime | None:
    """Read a field for wall time; None when it is empty."""
    if not text:
        return None
    try:
        return in_utc(datetime.fromisoformat(text), zone)
    except ValueError as error:
        raise InvalidError(field, str(error)) from None


def _recurrence(fields: Mapping[str, str]) -> str | None:
    repeat = fields.get("repeat", ONCE)
    if repeat == WRITTEN:
        return fields.get("recurrence", "").strip() or None
    if repeat == ONCE:
        return None
    try:
        start = datetime.fromisoformat(fields.get("start_time", ""))
    except ValueError:
        return None  # the field itself is refused
    days = {DAILY: "*", WORKDAYS: "MON-FRI", WEEKLY: WEEKDAYS[start.weekday()]}
    return f"{start.minute} {start.hour} * * {days.get(repeat, '*')}"


def _kubernetes(fields: Mapping[str, str]) -> dict[str, Any]:
    namespaces = [part.strip() for part in fields.get("namespaces", "").split(",") if part.strip()]
    found: dict[str, Any] = {"resource": fields.get("resource", ""), "insist": "insist" in fields}
    if namespaces:
        found["namespaces"] = namespaces
    for name, field in (("name", "workload"), ("context", "context")):
        if fields.get(field, "").strip():
            found[name] = fields[field].strip()
    if fields.get("selector", "").strip():
        found["selector"] = _selector(fields["selector"])
    return found


def _selector(text: str) -> Any:
    """Read labels: `app=web, tier=a`, or JSON."""
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)
        except ValueError:
            raise InvalidError("selector", "is not JSON; write such as 'app=web, tier=a'") from None
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    return {name.strip(): value.strip() if sign else None for name, sign, value in pairs}


def _request(fields: Mapping[str, str], part: str) -> dict[str, Any]:
    return {"method": fields.get(f"{part}.method", "POST"), "url": fields.get(f"{part}.url", "").strip()}

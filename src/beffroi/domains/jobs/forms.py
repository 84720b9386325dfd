"""Jobs as forms: texts by the names of the fields, and back to what defines a job.

A field of a kind is called `trigger.cron.line`; the chosen kind itself is the field `trigger`.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from beffroi.core.errors import InvalidError
from beffroi.core.moments import in_utc
from beffroi.core.policies import Policy
from beffroi.domains.jobs.shapes import JobSpec
from beffroi.web.patch import merged

PARTS = ("trigger", "action")
BODY = "action.http.body"
AS_TEXT = "text"


def spec_of_form(fields: Mapping[str, str], zone: str) -> JobSpec:
    """Return the job that a form describes; wall times are read in `zone`."""
    return merged(JobSpec, {}, dict(parts_of_form(fields, zone)))


def parts_of_form(fields: Mapping[str, str], zone: str) -> dict[str, Any]:
    """Return the parts of a job that a form holds: all of it, or one section."""
    spec: dict[str, Any] = {}
    if "name" in fields:
        spec["name"] = fields["name"].strip()
    for part in PARTS:
        if part in fields:
            spec[part] = {"kind": fields[part], **_nested(fields, f"{part}.{fields[part]}.", zone)}
    if spec.get("action", {}).pop("body_as", "") == AS_TEXT and fields.get(BODY, "").strip():
        spec["action"]["body"] = fields[BODY]
    if any(name.startswith("policy.") for name in fields):
        spec["policy"] = _nested(fields, "policy.", zone)
    return spec


def fields_of(spec: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts of a form that describes a job."""
    fields = {"name": str(spec.get("name", ""))}
    for part in PARTS:
        value = spec.get(part, {})
        fields[part] = str(value.get("kind", ""))
        fields |= _flat(f"{part}.{fields[part]}.", {k: v for k, v in value.items() if k != "kind"})
    body = spec.get("action", {}).get("body")
    if isinstance(body, str) and _read_body(body, "UTC") != body:
        fields["action.http.body_as"] = AS_TEXT  # it looks like JSON, and is to be sent as it is
    return fields | _flat("policy.", spec.get("policy", {}))


def defaults() -> dict[str, str]:
    """Return what the fields of a policy mean when they are left empty."""
    found = _flat("policy.", Policy().model_dump(mode="json"))
    return {name: value for name, value in found.items() if value}


def _nested(fields: Mapping[str, str], prefix: str, zone: str) -> dict[str, Any]:
    """Put the fields that were filled in into the nested form of a body."""
    result: dict[str, Any] = {}
    for name, text in fields.items():
        if not name.startswith(prefix) or not text.strip():
            continue
        *outer, last = name.removeprefix(prefix).split(".")
        place = result
        for step in outer:
            place = place.setdefault(step, {})
        place[last] = _READERS.get(name, _read_text)(text, zone)
    return result


def _flat(prefix: str, value: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, each in value.items():
        name = f"{prefix}{key}"
        if name in _WRITERS:
            found[name] = _WRITERS[name](each)
        elif isinstance(each, Mapping):
            found |= _flat(f"{name}.", each)
        elif each is not None:
            found[name] = str(each)
    return found


def _read_text(text: str, zone: str) -> str:
    return text.strip()


def _read_moment(text: str, zone: str) -> Any:
    try:
        return in_utc(datetime.fromisoformat(text.strip()), zone).isoformat()
    except ValueError:
        return text  # the model says what is wrong with it


def _read_headers(text: str, zone: str) -> dict[str, str]:
    lines = [line.partition(":") for line in text.splitlines() if line.strip()]
    return {name.strip(): value.strip() for name, _, value in lines}


def _read_statuses(text: str, zone: str) -> list[str]:
    return text.replace(",", " ").split()


def _read_body(text: str, zone: str) -> Any:
    """Read a body: what looks like a JSON object or list is one, anything else a text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, dict | list) else text


def _read_arguments(text: str, zone: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidError("action.arguments", f"is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidError("action.arguments", 'must be a JSON object, such as {"size": 3}')
    return value


def _write_body(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)


_READERS: Mapping[str, Callable[[str, str], Any]] = {
    "trigger.once.at": _read_moment,
    "trigger.interval.anchor": _read_moment,
    "action.http.headers": _read_headers,
    "action.http.expected_status": _read_statuses,
    "action.http.body": _read_body,
    "action.python.arguments": _read_arguments,
}

_WRITERS: Mapping[str, Callable[[Any], str]] = {
    "action.http.headers": lambda value: "\n".join(f"{name}: {text}" for name, text in value.items()),
    "action.http.expected_status": lambda value: ", ".join(str(status) for status in value),
    "action.http.body": lambda value: "" if value is None else _write_body(value),
    "action.python.arguments": lambda value: json.dumps(value, ensure_ascii=False) if value else "",
}

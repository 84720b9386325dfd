"""Changing parts of a thing, and having deleted one."""

from typing import Any, Literal, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

Shape = TypeVar("Shape", bound=BaseModel)


class Deleted(BaseModel):
    status: Literal["deleted"] = "deleted"


def merged(shape: type[Shape], present: dict[str, Any], changes: dict[str, Any]) -> Shape:
    """Apply a JSON Merge Patch (RFC 7396) and validate the whole; errors are those of a request body."""
    whole = _merge(present, changes)
    try:
        return shape.model_validate(whole)
    except ValidationError as error:
        problems = [{**item, "loc": ("body", *item["loc"])} for item in error.errors()]
        raise RequestValidationError(problems, body=whole) from None


def _merge(present: Any, changes: Any) -> Any:
    if not isinstance(changes, dict):
        return changes
    result = dict(present) if isinstance(present, dict) else {}
    if "kind" in changes and changes["kind"] != result.get("kind"):
        result = {}  # another kind has other fields: those of the old one do not carry over
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merge(result.get(key), value)
    return result

"""What must not be shown to everybody: the values of HTTP headers, which is where passwords are."""

from typing import Any

HIDDEN = "(hidden)"


def without_headers(value: Any) -> Any:
    """Return the same JSON value with the values of all headers in it hidden."""
    if isinstance(value, list):
        return [without_headers(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: dict.fromkeys(part, HIDDEN)
        if name == "headers" and isinstance(part, dict)
        else without_headers(part)
        for name, part in value.items()
    }

"""Forms: what a browser sends, as texts by the names of the fields."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends, Request

MOST_FIELDS = 200


async def _fields(request: Request) -> dict[str, str]:
    async with request.form(max_files=0, max_fields=MOST_FIELDS) as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}


Fields = Annotated[Mapping[str, str], Depends(_fields)]
"""The fields of a form that was sent; of several with one name the last."""

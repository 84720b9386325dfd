"""Forms: what a browser sends, and how it is told what is wrong with that."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from starlette.responses import Response

from beffroi.core.errors import BeffroiError, ForbiddenError, InvalidError
from beffroi.web.deps import Expected, etag
from beffroi.web.errors import STATUS, problems_of

MOST_FIELDS = 200

Errors = Mapping[str, str]
"""Sentences by the names of the fields they are about."""


async def _fields(request: Request) -> dict[str, str]:
    async with request.form(max_files=0, max_fields=MOST_FIELDS) as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}


Fields = Annotated[Mapping[str, str], Depends(_fields)]
"""The fields of a form that was sent, as texts; of several with one name the last."""


def version_seen(fields: Mapping[str, str]) -> Expected:
    """Return the version of the thing that the form was filled from."""
    return Expected(etag(fields["version"]) if fields.get("version") else None)


class RefusedError(Exception):
    """A form was not accepted. Nothing of it was done; the form is shown again with what is wrong."""

    def __init__(self, show: Callable[[], Response]) -> None:
        self.show = show


async def show_refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError), "registered for these only"
    return await run_in_threadpool(error.show)


@contextmanager
def refused_as(show: Callable[[Errors, HTTPStatus], Response]) -> Iterator[None]:
    """Turn what goes wrong within into the form, shown again with sentences by field."""
    try:
        yield
    except ForbiddenError:
        raise
    except RequestValidationError as error:
        found = {problem.field: problem.message for problem in problems_of(error)}
        raise RefusedError(lambda: show(found, HTTPStatus.UNPROCESSABLE_ENTITY)) from None
    except BeffroiError as error:
        field = error.field if isinstance(error, InvalidError) else ""
        told = {field: error.message}
        status = STATUS.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR)
        raise RefusedError(lambda: show(told, status)) from None

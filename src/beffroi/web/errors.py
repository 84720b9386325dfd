"""Errors as answers: problem details (RFC 9457), a clear sentence, the field that it is about."""

import sqlite3
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from beffroi import events
from beffroi.core.errors import (
    BeffroiError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    StaleError,
    TooManyError,
    UnknownCallerError,
)

if TYPE_CHECKING:
    from beffroi.web.frame import Frame

MEDIA_TYPE = "application/problem+json"

STATUS: Mapping[type[BeffroiError], HTTPStatus] = {
    NotFoundError: HTTPStatus.NOT_FOUND,
    ConflictError: HTTPStatus.CONFLICT,
    StaleError: HTTPStatus.PRECONDITION_FAILED,
    InvalidError: HTTPStatus.UNPROCESSABLE_ENTITY,
    UnknownCallerError: HTTPStatus.UNAUTHORIZED,
    ForbiddenError: HTTPStatus.FORBIDDEN,
    TooManyError: HTTPStatus.TOO_MANY_REQUESTS,
}


class FieldProblem(BaseModel):
    """One mistake: where, and what would be right."""

    field: str
    message: str


class Problem(BaseModel):
    """Problem details of RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldProblem] | None = None


PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Problem, "description": "What is wrong, in a sentence.", "content": {MEDIA_TYPE: {}}},
}


def install(app: FastAPI) -> None:
    """Make every error of the application a problem document."""
    app.add_exception_handler(BeffroiError, _on_beffroi_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(PydanticSerializationError, _on_unwritable_text)
    app.add_exception_handler(UnicodeEncodeError, _on_unwritable_text)
    app.add_exception_handler(DataError, _on_unstorable)
    app.add_exception_handler(IntegrityError, _on_conflict)
    app.add_exception_handler(OperationalError, _on_database_away)
    app.add_exception_handler(PoolTimeoutError, _on_database_away)
    app.add_exception_handler(Exception, _on_anything)


def problem(
    request: Request,
    status: HTTPStatus,
    detail: str,
    errors: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a problem document as the answer; to somebody who looks at pages, a page."""
    if request.url.path.startswith("/ui") and hasattr(request.app.state, "context"):
        return _as_page(request, status, detail, headers)
    body = Problem(
        title=status.phrase,
        status=status,
        detail=detail,
        instance=request.url.path,
        errors=list(errors) or None,
    )
    return JSONResponse(
        body.model_dump(exclude_none=True), status_code=status, media_type=MEDIA_TYPE, headers=headers
    )


def _on_beffroi_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, BeffroiError), "registered for these only"
    status = STATUS.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR)
    if isinstance(error, InvalidError):
        detail = f"{error.field}: {error.message}"
        return problem(request, status, detail, [FieldProblem(field=error.field, message=error.message)])
    return problem(request, status, error.message, headers=_hints(error))


def _hints(error: BeffroiError) -> dict[str, str]:
    if isinstance(error, UnknownCallerError):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, TooManyError):
        return {"Retry-After": str(max(1, int(error.retry_after.total_seconds())))}
    return {}


def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError), "registered for these only"
    problems = problems_of(error)
    detail = "; ".join(f"{item.field}: {item.message}" if item.field else item.message for item in problems)
    return problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, detail, problems)


def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "registered for these only"
    status = HTTPStatus(error.status_code)
    detail = {
        HTTPStatus.NOT_FOUND: f"There is nothing at {request.url.path}.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not possible at {request.url.path}.",
    }.get(status, str(error.detail))
    return problem(request, status, detail, headers=error.headers)


def _on_unwritable_text(request: Request, error: Exception) -> Response:
    detail = "A text of the body holds half a character (a lone surrogate), which cannot be stored."
    return problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, detail)


def _on_unstorable(request: Request, error: Exception) -> Response:
    assert isinstance(error, DataError), "registered for these only"
    detail = f"A value cannot be stored: {str(error.orig).splitlines()[0]}."
    return problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, detail)


def _on_conflict(request: Request, error: Exception) -> Response:
    detail = "Somebody else changed the same thing at the same moment. Nothing was changed; try again."
    return problem(request, HTTPStatus.CONFLICT, detail)


def _on_database_away(request: Request, error: Exception) -> Response:
    events.request_failed(request.method, request.url.path, error)
    cause = getattr(error, "orig", None)
    reason = str(cause) if isinstance(cause, sqlite3.Error) else "it does not answer"
    detail = f"The database cannot be used just now: {reason}. Nothing was changed; try again."
    return problem(request, HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": "2"})


def _on_anything(request: Request, error: Exception) -> Response:
    events.request_failed(request.method, request.url.path, error)
    return problem(
        request, HTTPStatus.INTERNAL_SERVER_ERROR, "This is a fault in Beffroi; the log has its trace."
    )


def _as_page(
    request: Request, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None
) -> Response:
    if status is HTTPStatus.UNAUTHORIZED and request.method == "GET":
        following = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/ui/sign-in?next={quote(following)}", HTTPStatus.SEE_OTHER)
    frame: Frame = request.app.state.context.frame
    answer = frame.error(request, status, detail)
    answer.headers.update(headers or {})
    return answer


def problems_of(error: RequestValidationError) -> list[FieldProblem]:
    """Say of each mistake in a body where it is, and what would be right."""
    return [_field_problem(item, error.body) for item in error.errors()]


def _field_problem(item: Mapping[str, Any], body: Any) -> FieldProblem:
    where, *path = item["loc"]
    if item["type"] == "json_invalid":
        return FieldProblem(field="", message=f"the body is not JSON: {item['ctx']['error']}")
    parts = _without_tags(path, body) if where == "body" else [str(part) for part in path]
    message = str(item["msg"]).removeprefix("Value error, ")
    return FieldProblem(field=".".join(parts), message=message[:1].lower() + message[1:])


def _without_tags(path: Sequence[str | int], body: Any) -> list[str]:
    """Leave out the tags that the validator adds for the kinds of a union: no body has them."""
    parts = []
    for part in path:
        if isinstance(body, dict) and part not in body and body.get("kind") == part:
            continue
        parts.append(str(part))
        if isinstance(body, dict):
            body = body.get(part)
        elif isinstance(body, list) and isinstance(part, int) and part < len(body):
            body = body[part]
    return parts

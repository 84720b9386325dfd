"""What a route can ask for. The one commit of a request is here, at the edge."""

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Header, Query, Request
from fastapi.concurrency import contextmanager_in_threadpool, run_in_threadpool
from sqlmodel import Session

from beffroi.core.access import Deed
from beffroi.core.errors import InvalidError, StaleError
from beffroi.core.moments import in_utc
from beffroi.engine.queue import CHANGED, queue_of
from beffroi.web.access import caller_of, visitor_of
from beffroi.web.audit import Trail, followed
from beffroi.web.context import Context, context_of

Ctx = Annotated[Context, Depends(context_of)]


def _reading(context: Ctx) -> Iterator[Session]:
    with context.database.read() as session:
        yield session


async def _writing(request: Request, context: Ctx) -> AsyncIterator[Session]:
    # Who calls is asked before the database is ours: to note that a key was used is a write of its own.
    await run_in_threadpool(caller_of, request)
    async with context.writers, contextmanager_in_threadpool(context.database.write()) as session:
        with followed(session) as trail:
            yield session
            await run_in_threadpool(_conclude, session, request, context, trail)


def _conclude(session: Session, request: Request, context: Context, trail: Trail) -> None:
    """Write down who did this, and tell the other machines; nothing of it when all was taken back."""
    session.flush()
    if not trail.was_undone:
        deed = Deed(
            at=context.clock.now(),
            caller=caller_of(request),
            address=visitor_of(request).address,
            action=request.scope["route"].name,
            subject=request.url.path.removeprefix("/ui"),
            changes=trail.changes,
        )
        context.gate.record(session, deed)
    queue_of(session).tell(session, CHANGED)


async def _recording(request: Request, context: Ctx) -> AsyncIterator[None]:
    await run_in_threadpool(caller_of, request)
    yield
    async with context.writers, contextmanager_in_threadpool(context.database.write()) as session:
        await run_in_threadpool(_conclude, session, request, context, Trail())


RECORDED = Depends(_recording, scope="function")
"""For a route that does something, but writes nothing itself: the audit shall know of it."""


def _now(context: Ctx) -> datetime:
    return context.clock.now()


# "function": the session is closed, and committed, before the answer leaves.
Reading = Annotated[Session, Depends(_reading, scope="function")]
Writing = Annotated[Session, Depends(_writing, scope="function")]
Now = Annotated[datetime, Depends(_now)]
Limit = Annotated[int, Query(ge=1, le=1000, description="At most so many; the Link header leads on.")]


class Expected:
    """The version that the caller believes to change (`If-Match`)."""

    def __init__(self, if_match: str | None) -> None:
        self._tags = [tag.strip().removeprefix("W/") for tag in (if_match or "").split(",") if tag.strip()]

    def check(self, version: int) -> None:
        """Raise StaleError when the caller expected another version."""
        if self._tags and "*" not in self._tags and etag(version) not in self._tags:
            raise StaleError


def _expected(
    if_match: Annotated[
        str | None,
        Header(description="The ETag last seen; the change is refused (412) when it is no longer so."),
    ] = None,
) -> Expected:
    return Expected(if_match)


IfMatch = Annotated[Expected, Depends(_expected)]


def etag(version: int | str) -> str:
    """Return the entity tag of a version."""
    return f'"{version}"'


def moment_in_zone(field: str, value: datetime | None, zone: str) -> datetime | None:
    """Return a query's moment in UTC; a naive one is read in the default zone."""
    if value is None:
        return None
    try:
        return in_utc(value, zone)
    except ValueError as error:
        raise InvalidError(field, str(error)) from None

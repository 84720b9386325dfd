"""Who calls, and whether they may: every route declares the role that it needs."""

from datetime import datetime
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request
from fastapi.routing import APIRoute
from sqlmodel import Session

from beffroi.core.access import Caller, Deed, Means, Role, Visitor
from beffroi.core.errors import ForbiddenError, UnknownCallerError
from beffroi.web.context import context_of

SESSION_COOKIE = "beffroi_session"


class Gate(Protocol):
    """Knows the callers, and keeps what they did. Made by the roof."""

    is_open: bool

    def identify(self, visitor: Visitor, now: datetime) -> Caller | None:
        """Return who it is; None for a stranger. TooManyError when a stranger tries too often."""

    def record(self, session: Session, deed: Deed) -> None:
        """Write a deed down, in the transaction that does it."""


class Needs:
    """A dependency: lets through whoever has the role, and answers who it is."""

    def __init__(self, role: Role) -> None:
        self.role = role

    def __call__(self, request: Request) -> Caller:
        caller = caller_of(request)
        if caller is None:
            raise UnknownCallerError
        caller.check(self.role, area_of(request.scope["route"]))
        return caller


class NeedsInPerson(Needs):
    """A dependency: lets through who has signed in; a token must not become more than it is."""

    def __call__(self, request: Request) -> Caller:
        caller = super().__call__(request)
        if caller.means is Means.TOKEN:
            raise ForbiddenError("A token cannot do this; sign in for that.")
        return caller


class Anybody:
    """A dependency that says of a route that it is for strangers too."""

    def __call__(self) -> None:
        return None


Known = Annotated[Caller, Depends(Needs(Role.VIEWER))]
"""Whoever calls, and may at least look."""

InPerson = Annotated[Caller, Depends(NeedsInPerson(Role.VIEWER))]
"""Whoever has signed in, about their own things."""

VIEWER = Depends(Needs(Role.VIEWER))
OPERATOR = Depends(Needs(Role.OPERATOR))
ADMIN = Depends(Needs(Role.ADMIN))
ANYBODY = Depends(Anybody())


def caller_of(request: Request) -> Caller | None:
    """Return who calls, asked once for each request."""
    if not hasattr(request.state, "caller"):
        context = context_of(request)
        request.state.caller = context.gate.identify(visitor_of(request), context.clock.now())
    caller: Caller | None = request.state.caller
    return caller


def visitor_of(request: Request) -> Visitor:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return Visitor(
        address=request.client.host if request.client else "unknown",
        agent=request.headers.get("user-agent", "")[:200],
        session_key=request.cookies.get(SESSION_COOKIE),
        token=token.strip() if kind.lower() == "bearer" else None,
    )


def declared_role(route: APIRoute) -> Role | None:
    """Return the role a route needs; None when it is for anybody. ValueError when it does not say."""
    calls = [dependency.call for dependency in route.dependant.dependencies]
    roles = [call.role for call in calls if isinstance(call, Needs)]
    if not roles and not any(isinstance(call, Anybody) for call in calls):
        raise ValueError(f"{route.path} declares no role")
    return max(roles, key=list(Role).index) if roles else None


def area_of(route: Any) -> str:
    """Return the area of the product that a route belongs to: its first tag."""
    return str(route.tags[0]) if getattr(route, "tags", None) else ""

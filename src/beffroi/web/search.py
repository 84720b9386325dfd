"""The search box: asks every domain, and shows what they find."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlmodel import Session
from starlette.responses import Response

from beffroi.web.access import VIEWER
from beffroi.web.deps import Ctx

MOST_HITS = 8
"""Of each kind."""


@dataclass(frozen=True, slots=True)
class Hit:
    """Something found: what it is, what it is called, where it is shown."""

    kind: str
    title: str
    path: str
    note: str = ""


Finder = Callable[[Session, str, int], Sequence[Hit]]
"""Finds at most so many things by a text."""

router = APIRouter(prefix="/ui", tags=["pages"], include_in_schema=False, dependencies=[VIEWER])


@router.get("/search")
def search(request: Request, context: Ctx, q: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Find anything by its name or id."""

    def found(session: Session) -> dict[str, object]:
        text = q.strip()
        hits = [hit for find in context.finders for hit in find(session, text, MOST_HITS)] if text else []
        return {"text": text, "hits": hits}

    return context.frame.page(request, "search.html", found)

"""The stream that tells open pages when to look again, and the choice of a language."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response, StreamingResponse

from beffroi.core.errors import TooManyError
from beffroi.web.access import ANYBODY, VIEWER
from beffroi.web.context import Context
from beffroi.web.deps import Ctx
from beffroi.web.frame import local_path, see_other
from beffroi.web.viewer import LANGUAGE_COOKIE, LANGUAGES

YEAR = 365 * 24 * 3600

router = APIRouter(prefix="/ui", tags=["pages"], include_in_schema=False)


@router.get("/live", dependencies=[VIEWER])
async def live(context: Ctx) -> Response:
    """Stream a number each time something was written; at most once a second."""
    if context.pulse.is_full:
        raise TooManyError("Too many pages are open.", retry_after=timedelta(seconds=30))
    return StreamingResponse(_lines(context), media_type="text/event-stream")


async def _lines(context: Context) -> AsyncIterator[str]:
    yield "retry: 2000\n\n"
    async for beat in context.pulse.beats():
        yield f"data: {beat}\n\n" if beat is not None else ": still here\n\n"


@router.post("/language", dependencies=[ANYBODY])
def choose_language(language: Annotated[str, Form()], next: Annotated[str, Form()] = "/ui/") -> Response:
    """Remember in which language this browser reads."""
    answer = see_other(local_path(next))
    if language in LANGUAGES:
        answer.set_cookie(LANGUAGE_COOKIE, language, max_age=YEAR, samesite="lax", httponly=True)
    return answer


@router.get("", dependencies=[ANYBODY])
def lead_to_overview(request: Request) -> Response:
    return see_other("/ui/")

"""For whom a page is made: language, zone and moment, known to whatever renders."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from babel import Locale
from babel.core import negotiate_locale
from fastapi import Request

from beffroi.core.access import Caller
from beffroi.core.moments import zone_of
from beffroi.web.access import caller_of
from beffroi.web.context import context_of

LANGUAGES = {"en": "English", "fr": "Français"}
LANGUAGE_COOKIE = "beffroi_language"
ZONE_COOKIE = "beffroi_zone"


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks, and how they read. `zone_name`: their browser's zone, else that of the settings."""

    language: str
    zone_name: str
    now: datetime
    caller: Caller | None

    @property
    def zone(self) -> ZoneInfo:
        return zone_of(self.zone_name)

    @property
    def locale(self) -> Locale:
        return Locale(self.language)


_current: ContextVar[Viewer] = ContextVar("viewer")


def current() -> Viewer:
    """Return for whom the page under way is made."""
    return _current.get()


@contextmanager
def made_for(viewer: Viewer) -> Iterator[None]:
    """Make what is rendered within for this viewer."""
    token = _current.set(viewer)
    try:
        yield
    finally:
        _current.reset(token)


def viewer_of(request: Request) -> Viewer:
    context = context_of(request)
    return Viewer(
        language_of(request), _zone_of(request, context.zone), context.clock.now(), caller_of(request)
    )


def language_of(request: Request) -> str:
    """Return the language that was chosen, else the browser's first that we have, else English."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    if chosen in LANGUAGES:
        return chosen
    accepted = request.headers.get("accept-language", "")
    wanted = [part.split(";")[0].strip().replace("-", "_") for part in accepted.split(",")]
    return negotiate_locale([part for part in wanted if part], list(LANGUAGES)) or "en"


def _zone_of(request: Request, default: str) -> str:
    name = request.cookies.get(ZONE_COOKIE, "").replace("%2F", "/")
    try:
        return zone_of(name).key if name else default
    except ValueError:
        return default

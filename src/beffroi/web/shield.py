"""What is refused before any route is asked, and the headers that every answer carries."""

import ipaddress
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from urllib.parse import urlsplit

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from beffroi.web.errors import problem

LONGEST_QUERY = 8_192
LARGEST_BODY = 2 * 1024 * 1024
"""What says its length is refused by it; what does not is counted on the way in."""

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; manifest-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
DOCS_POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""The page of the API, which is not ours, brings inline script and style."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
KEEP = "public, max-age=31536000, immutable"
"""For files whose path changes with their content."""

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Shield:
    """Wraps the application.

    `is_open`: nobody has to sign in, so only names of this very machine are answered to; a web site
    that points a name of its own at 127.0.0.1 is not.
    """

    def __init__(self, app: ASGIApp, is_open: bool, public_url: str | None) -> None:
        self._app = app
        self._is_open = is_open
        self._public_host = urlsplit(public_url).netloc.lower() if public_url else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        dressed = _dressed(scope, send)
        request = Request(scope)
        if refusal := self._refusal(request):
            answer = await run_in_threadpool(problem, request, *refusal)
            await answer(scope, receive, dressed)
        else:
            await self._app(scope, receive, dressed)

    def _refusal(self, request: Request) -> tuple[HTTPStatus, str] | None:
        if len(request.scope["query_string"]) > LONGEST_QUERY:
            return (HTTPStatus.REQUEST_URI_TOO_LONG, f"At most {LONGEST_QUERY} characters.")
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > LARGEST_BODY:
            return (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"At most {LARGEST_BODY} bytes.")
        host = request.headers.get("host", "").lower()
        if self._is_open and not _is_this_machine(host):
            detail = "Sign-in is off, so only this machine is answered to: use http://127.0.0.1 or localhost."
            return (HTTPStatus.MISDIRECTED_REQUEST, detail)
        if request.method not in SAFE and self._comes_from_elsewhere(request, host):
            return (HTTPStatus.FORBIDDEN, "The request comes from a page of another site.")
        return None

    def _comes_from_elsewhere(self, request: Request, host: str) -> bool:
        """Whether a browser says that another site's page sends this. Programs say nothing, and are no risk.

        Browsers say it themselves (Fetch Metadata), so forms need no token of their own.
        """
        site = request.headers.get("sec-fetch-site")
        if site is not None:
            return site not in ("same-origin", "none")
        origin = request.headers.get("origin")
        if origin is None:
            return False
        try:
            return urlsplit(origin).netloc.lower() not in (host, self._public_host)
        except ValueError:
            return True


def _dressed(scope: Scope, send: Send) -> Callable[[Message], Awaitable[None]]:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            is_docs = scope["path"].startswith("/docs")
            headers.setdefault("Content-Security-Policy", DOCS_POLICY if is_docs else POLICY)
            if scope["scheme"] == "https":
                headers.setdefault("Strict-Transport-Security", "max-age=31536000")
            may_keep = scope["path"].startswith("/static/") and message["status"] in (200, 206, 304)
            headers.setdefault("Cache-Control", KEEP if may_keep else "no-store")
        await send(message)

    return send_with_headers


def _is_this_machine(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False

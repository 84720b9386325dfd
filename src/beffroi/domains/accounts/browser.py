"""Cookies: what a browser is given when somebody signs in with it, and what is taken back."""

from datetime import datetime

from fastapi import Request
from sqlmodel import Session
from starlette.responses import Response

from beffroi.core.access import Means
from beffroi.domains.accounts import service
from beffroi.domains.accounts.models import Account
from beffroi.domains.accounts.service import DEVICE_IS_KNOWN, LONGEST
from beffroi.web.access import SESSION_COOKIE, visitor_of
from beffroi.web.context import context_of
from beffroi.web.frame import see_other

DEVICE_COOKIE = "beffroi_device"
"""By this a browser is known later, also after its sign-in has ended."""


def admit(
    request: Request, session: Session, account: Account, means: Means, path: str, now: datetime
) -> Response:
    """Sign somebody in with this browser, and lead on."""
    device = request.cookies.get(DEVICE_COOKIE)
    given = service.sign_in(session, account, means, visitor_of(request), device, now)
    answer = see_other(path)
    is_secure = "https" in (request.url.scheme, (context_of(request).public_url or "").split(":")[0])
    for name, value, age in (
        (SESSION_COOKIE, given.session, LONGEST),
        (DEVICE_COOKIE, given.device, DEVICE_IS_KNOWN),
    ):
        answer.set_cookie(
            name, value, max_age=int(age.total_seconds()), httponly=True, secure=is_secure, samesite="lax"
        )
    return answer


def forget(answer: Response) -> Response:
    """Take the key of the sign-in back from the browser."""
    answer.delete_cookie(SESSION_COOKIE, httponly=True, samesite="lax")
    return answer

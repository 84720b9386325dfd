"""Pages of the door: signing in and out, the first account, one's own account, and those of others."""

import json
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from sqlmodel import Session
from starlette.responses import Response

from beffroi.core.access import Caller, Means, Role
from beffroi.core.errors import InvalidError
from beffroi.core.moments import in_utc
from beffroi.domains.accounts import service
from beffroi.domains.accounts.api import AREAS, Id, link_of
from beffroi.domains.accounts.browser import DEVICE_COOKIE, admit, forget
from beffroi.domains.accounts.service import AuditFilter, TokenWish
from beffroi.domains.accounts.throttle import Throttle, network_of
from beffroi.web.access import ADMIN, ANYBODY, SESSION_COOKIE, VIEWER, Needs, caller_of, visitor_of
from beffroi.web.context import context_of
from beffroi.web.deps import Ctx, Now, Reading, Writing
from beffroi.web.forms import Fields
from beffroi.web.frame import Errors, MenuItem, local_path, refused_as, see_other
from beffroi.web.viewer import viewer_of
from beffroi.web.words import mark as _

router = APIRouter(prefix="/ui", tags=["accounts"], include_in_schema=False)

MENU = (
    MenuItem(_("Accounts"), "/ui/accounts", Role.ADMIN),
    MenuItem(_("Audit"), "/ui/audit", Role.ADMIN),
)
PAGE = 100
WRONG = "The name or the password is not right."

Viewer = Annotated[Caller, Depends(Needs(Role.VIEWER))]


@router.get("/sign-in", dependencies=[ANYBODY])
def sign_in_page(request: Request, next: str = "/ui/") -> Response:
    """Ask who it is."""
    if caller_of(request) is not None:
        return see_other(local_path(next))
    return _door(request, "accounts/sign_in.html", {"next": local_path(next)})


@router.post("/sign-in", name="sign_in", dependencies=[ANYBODY])
def sign_in(request: Request, fields: Fields, session: Writing, now: Now) -> Response:
    """Let in who knows the password."""
    throttle: Throttle = request.app.state.throttle
    device = request.cookies.get(DEVICE_COOKIE)
    known = service.knows_device(session, device, now)
    who = f"device {device}" if known else network_of(visitor_of(request).address)
    shown = {"next": local_path(fields.get("next")), "name": fields.get("name", "")}
    with refused_as(lambda found, status: _door(request, "accounts/sign_in.html", shown, found, status)):
        throttle.check_guesses(who)
        account = service.with_password(session, shown["name"].strip(), fields.get("password", ""))
        if account is None:
            throttle.count_guess(who)
            raise InvalidError("password", WRONG)
    throttle.forgive(who)
    request.state.caller = Caller(account.name, account.role, Means.PASSWORD, account.id)
    return admit(request, session, account, Means.PASSWORD, shown["next"], now)


@router.post("/sign-out", name="sign_out", dependencies=[ANYBODY])
def sign_out(request: Request, session: Writing, now: Now) -> Response:
    """End this browser's sign-in."""
    if key := request.cookies.get(SESSION_COOKIE):
        caller_of(request)
        service.sign_out(session, key, now)
    return forget(see_other("/ui/sign-in"))


@router.get("/welcome", dependencies=[ANYBODY])
def welcome_page(request: Request, session: Reading, now: Now, key: str = "") -> Response:
    """Where a link leads: to a password."""
    _invitation, account = service.invitation(session, key, now)
    return _door(request, "accounts/welcome.html", {"key": key, "name": account.name if account else None})


@router.post("/welcome", name="set_first_password", dependencies=[ANYBODY])
def welcome(request: Request, fields: Fields, session: Writing, now: Now) -> Response:
    """Use a link: set the password, and come in."""
    key = fields.get("key", "")
    _invitation, known = service.invitation(session, key, now)
    shown = {"key": key, "name": known.name if known else None, "typed": fields.get("name", "")}
    with refused_as(lambda found, status: _door(request, "accounts/welcome.html", shown, found, status)):
        _check_twice(fields)
        account = service.accept(session, key, fields.get("name", ""), fields.get("password", ""), now)
    request.state.caller = Caller(account.name, account.role, Means.PASSWORD, account.id)
    return admit(request, session, account, Means.PASSWORD, "/ui/", now)


@router.get("/me", dependencies=[VIEWER])
def me_page(request: Request, caller: Viewer, session: Reading) -> Response:
    """One's own account: password, browsers, tokens."""
    return _me(request, session, caller)


@router.post("/me/password", name="change_password")
def change_password(request: Request, fields: Fields, caller: Viewer, session: Writing, now: Now) -> Response:
    """Change one's password; all other browsers are signed out."""
    account = service.get(session, caller.account_id or 0)
    throttle: Throttle = request.app.state.throttle
    who = f"account {account.id}"
    with refused_as(lambda found, status: _me(request, None, caller, found, status)):
        throttle.check_guesses(who)
        if account.password_hash and not service.is_password(account, fields.get("present", "")):
            throttle.count_guess(who)
            raise InvalidError("present", "is not your password")
        _check_twice(fields)
        service.set_password(account, fields.get("password", ""), now)
    service.sign_out_everywhere(session, account.id or 0, now)
    return admit(request, session, account, Means.PASSWORD, "/ui/me", now)


@router.post("/me/sign-out", name="sign_out_everywhere")
def sign_out_everywhere(caller: Viewer, session: Writing, now: Now) -> Response:
    """End all one's sign-ins, also this one."""
    service.sign_out_everywhere(session, caller.account_id or 0, now)
    return forget(see_other("/ui/sign-in"))


@router.post("/me/tokens", name="create_token")
def create_token(request: Request, fields: Fields, caller: Viewer, session: Writing, now: Now) -> Response:
    """Make a token; its key is shown on this page only."""
    with refused_as(lambda found, status: _me(request, None, caller, found, status, fields)):
        _token, key = service.create_token(session, caller, _wish(request, fields), now)
    session.flush()
    return _me(request, session, caller, key=key)


@router.post("/me/tokens/{token_id}/revoke", name="revoke_token")
def revoke_token(token_id: Id, caller: Viewer, session: Writing) -> Response:
    """End a token at once."""
    service.revoke_token(session, caller, token_id)
    return see_other("/ui/me", _("The token is ended."))


@router.get("/accounts", dependencies=[ADMIN])
def accounts_page(request: Request, session: Reading) -> Response:
    """All accounts."""
    return _accounts(request, session)


@router.post("/accounts", name="create_account", dependencies=[ADMIN])
def create_account(request: Request, fields: Fields, session: Writing, context: Ctx, now: Now) -> Response:
    """Make an account, and show the link for its owner."""
    with refused_as(lambda found, status: _accounts(request, None, found, status, fields)):
        account, key = service.create(session, fields.get("name", ""), _role(fields), now)
    return _accounts(request, session, link=(account.name, link_of(request, context, key)))


@router.post("/accounts/{account_id}", name="change_account", dependencies=[ADMIN])
def change_account(
    request: Request, account_id: Id, fields: Fields, session: Writing, context: Ctx, now: Now
) -> Response:
    """Change somebody's role, shut them out, let them in again, delete them, or make a new link."""
    account = service.get(session, account_id)
    verb = fields.get("do", "role")
    with refused_as(lambda found, status: _accounts(request, None, found, status)):
        if verb == "invite":
            key = service.invite(session, account, now)
            return _accounts(request, session, link=(account.name, link_of(request, context, key)))
        if verb == "delete":
            service.remove(session, account)
        else:
            active = {"shut_out": False, "let_in": True}.get(verb)
            service.change(session, account, _role(fields) if verb == "role" else None, active, now)
    return see_other("/ui/accounts", _("The account is changed."))


@router.get("/audit", dependencies=[ADMIN])
def audit_page(
    request: Request,
    context: Ctx,
    actor: Annotated[str | None, Query(max_length=100)] = None,
    subject: Annotated[str | None, Query(max_length=500)] = None,
    after: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
) -> Response:
    """Who changed what, the newest first."""

    def shown(session: Session) -> dict[str, Any]:
        found = service.list_audit(session, AuditFilter(actor, subject), after, PAGE + 1)
        entries = [{"entry": entry, "changes": json.loads(entry.changes)} for entry in found[:PAGE]]
        url = request.url.include_query_params(after=found[PAGE - 1].id) if len(found) > PAGE else None
        first = request.url.remove_query_params("after") if after else None
        return {
            "entries": entries,
            "actor": actor or "",
            "subject": subject or "",
            "first": first and f"{first.path}?{first.query}",
            "following": url and f"{url.path}?{url.query}",
        }

    return context.frame.page(request, "accounts/audit.html", shown)


def _door(
    request: Request,
    template: str,
    values: Mapping[str, Any],
    found: Errors | None = None,
    status: HTTPStatus = HTTPStatus.OK,
) -> Response:
    shown = {"name": "", "typed": "", **values, "found": found or {}, "provider": request.app.state.provider}
    return context_of(request).frame.show(request, template, shown, status)


def _me(
    request: Request,
    session: Session | None,
    caller: Caller,
    found: Errors | None = None,
    status: HTTPStatus = HTTPStatus.OK,
    fields: Mapping[str, str] | None = None,
    key: str | None = None,
) -> Response:
    if session is None:
        with context_of(request).database.read() as reading:
            return _me(request, reading, caller, found, status, fields, key)
    account_id = caller.account_id or 0
    shown = {
        "account": service.get(session, account_id) if caller.is_known else None,
        "sign_ins": service.sign_ins(session, account_id),
        "tokens": service.list_tokens(session, caller),
        "roles": [role.value for role in Role if caller.role.includes(role)],
        "areas": AREAS,
        "found": found or {},
        "fields": fields or {},
        "key": key,
    }
    return context_of(request).frame.show(request, "accounts/me.html", shown, status)


def _accounts(
    request: Request,
    session: Session | None,
    found: Errors | None = None,
    status: HTTPStatus = HTTPStatus.OK,
    fields: Mapping[str, str] | None = None,
    link: tuple[str, str] | None = None,
) -> Response:
    if session is None:
        with context_of(request).database.read() as reading:
            return _accounts(request, reading, found, status, fields, link)
    shown = {
        "accounts": service.list_accounts(session),
        "roles": [role.value for role in Role],
        "found": found or {},
        "fields": fields or {},
        "link": link,
    }
    return context_of(request).frame.show(request, "accounts/accounts.html", shown, status)


def _check_twice(fields: Mapping[str, str]) -> None:
    if fields.get("password", "") != fields.get("again", ""):
        raise InvalidError("again", "is not the same as above")


def _role(fields: Mapping[str, str]) -> Role:
    try:
        return Role(fields.get("role", "viewer"))
    except ValueError:
        raise InvalidError("role", f"must be one of {', '.join(Role)}") from None


def _wish(request: Request, fields: Mapping[str, str]) -> TokenWish:
    name = fields.get("name", "").strip()
    if not name or len(name) > 100:
        raise InvalidError("name", "must have 1 to 100 characters")
    areas = [area for area in AREAS if fields.get(f"area.{area}")]
    return TokenWish(name, _role(fields), areas, _expiry(request, fields.get("expires_at")))


def _expiry(request: Request, text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        return in_utc(datetime.fromisoformat(text), viewer_of(request).zone_name)
    except ValueError as error:
        raise InvalidError("expires_at", str(error)) from None

"""Pages of the door: signing in and out, the first account, one's own account, and those of others."""

import json
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from sqlmodel import Session
from starlette.responses import Response

from beffroi import events
from beffroi.core.access import Caller, Means, Role
from beffroi.core.errors import ForbiddenError, InvalidError
from beffroi.core.moments import in_utc
from beffroi.domains.accounts import audit, service, tokens
from beffroi.domains.accounts.api import AREAS, Id, issuer_of, link_of
from beffroi.domains.accounts.audit import AuditFilter
from beffroi.domains.accounts.browser import DEVICE_COOKIE, admit, forget
from beffroi.domains.accounts.keys import check_password_rules, hash_password
from beffroi.domains.accounts.throttle import Throttle, network_of
from beffroi.domains.accounts.tokens import TokenWish
from beffroi.web.access import ADMIN, ANYBODY, SESSION_COOKIE, VIEWER, InPerson, Known, caller_of, visitor_of
from beffroi.web.context import context_of
from beffroi.web.deps import Ctx, Now, Reading, Writing
from beffroi.web.forms import Errors, Fields, refused_as
from beffroi.web.frame import MenuItem, local_path, see_other
from beffroi.web.paging import links
from beffroi.web.viewer import viewer_of
from beffroi.web.words import mark as _

router = APIRouter(prefix="/ui", tags=["accounts"], include_in_schema=False)

MENU = (
    MenuItem(_("Accounts"), "/ui/accounts", Role.ADMIN),
    MenuItem(_("Audit"), "/ui/audit", Role.ADMIN),
)
PAGE = 100
WRONG = "The name or the password is not right."


@router.get("/sign-in", dependencies=[ANYBODY])
def sign_in_page(request: Request, next: str = "/ui/") -> Response:
    """Ask who it is."""
    if caller_of(request) is not None:
        return see_other(local_path(next))
    return _door(request, "accounts/sign_in.html", {"next": local_path(next)})


def _who_knows_the_password(request: Request, fields: Fields, session: Reading, now: Now) -> int:
    """Return whose name and password a form holds: a guess is slow, and must not hold the database."""
    throttle: Throttle = request.app.state.throttle
    device = request.cookies.get(DEVICE_COOKIE)
    name = fields.get("name", "").strip()
    known = service.knows_device(session, device, name, now)
    who = f"device {device}" if known else network_of(visitor_of(request).address)
    shown = {"next": local_path(fields.get("next")), "name": name}
    with refused_as(lambda found, status: _door(request, "accounts/sign_in.html", shown, found, status)):
        throttle.check_guesses(who)
        account = service.with_password(session, name, fields.get("password", ""))
        if account is None:
            throttle.count_guess(who)
            events.sign_in_refused(visitor_of(request).address)
            raise InvalidError("password", WRONG)
    return account.id or 0


@router.post("/sign-in", name="sign_in", dependencies=[ANYBODY])
def sign_in(
    request: Request,
    fields: Fields,
    account_id: Annotated[int, Depends(_who_knows_the_password)],
    session: Writing,
    now: Now,
) -> Response:
    """Let in who knows the password."""
    account = service.get(session, account_id)
    request.state.caller = Caller(account.name, account.role, Means.PASSWORD, account.id)
    return admit(request, session, account, Means.PASSWORD, local_path(fields.get("next")), now)


@router.post("/sign-out", name="sign_out", dependencies=[VIEWER])
def sign_out(request: Request, session: Writing, now: Now) -> Response:
    """End this browser's sign-in."""
    service.sign_out(session, request.cookies.get(SESSION_COOKIE, ""), now)
    return forget(see_other("/ui/sign-in"))


@router.get("/welcome", dependencies=[ANYBODY])
def welcome_page(request: Request, session: Reading, now: Now, key: str = "") -> Response:
    """Where a link leads: to a password."""
    _invitation, account = service.invitation(session, key, now)
    return _door(request, "accounts/welcome.html", {"key": key, "name": account.name if account else None})


def _first_password(request: Request, fields: Fields, session: Reading, now: Now) -> str:
    """Return the hash of the password that a link's form sets; it takes a while to make."""
    key = fields.get("key", "")
    _invitation, known = service.invitation(session, key, now)
    shown = {"key": key, "name": known.name if known else None, "typed": fields.get("name", "")}
    with refused_as(lambda found, status: _door(request, "accounts/welcome.html", shown, found, status)):
        name = known.name if known else service.checked_name(fields.get("name", ""))
        return _hashed(fields, name)


@router.post("/welcome", name="set_first_password", dependencies=[ANYBODY])
def welcome(
    request: Request,
    fields: Fields,
    password_hash: Annotated[str, Depends(_first_password)],
    session: Writing,
    now: Now,
) -> Response:
    """Use a link: set the password, and come in."""
    account = service.accept(session, fields.get("key", ""), fields.get("name", ""), password_hash, now)
    request.state.caller = Caller(account.name, account.role, Means.PASSWORD, account.id)
    return admit(request, session, account, Means.PASSWORD, "/ui/", now)


@router.get("/me", dependencies=[VIEWER])
def me_page(request: Request, caller: Known) -> Response:
    """One's own account: password, browsers, tokens."""
    return _me(request, caller)


def _next_password(request: Request, fields: Fields, caller: InPerson, session: Reading) -> str:
    """Return the hash of one's new password, for who knows the present one."""
    account = service.get(session, caller.account_id or 0)
    if account.issuer:
        raise ForbiddenError(f"You sign in by {account.issuer}; there is no password to change here.")
    throttle: Throttle = request.app.state.throttle
    who = f"account {account.id}"
    with refused_as(lambda found, status: _me(request, caller, found, status)):
        throttle.check_guesses(who)
        if account.password_hash and not service.is_password(account, fields.get("present", "")):
            throttle.count_guess(who)
            raise InvalidError("present", "is not your password")
        return _hashed(fields, account.name)


@router.post("/me/password", name="change_password")
def change_password(
    request: Request,
    caller: InPerson,
    password_hash: Annotated[str, Depends(_next_password)],
    session: Writing,
    now: Now,
) -> Response:
    """Change one's password; all other browsers are signed out."""
    account = service.get(session, caller.account_id or 0)
    service.set_password(session, account, password_hash, now)
    return admit(request, session, account, Means.PASSWORD, "/ui/me", now)


@router.post("/me/sign-out", name="sign_out_everywhere")
def sign_out_everywhere(caller: InPerson, session: Writing, now: Now) -> Response:
    """End all one's sign-ins, also this one."""
    service.sign_out_everywhere(session, caller.account_id or 0, now)
    return forget(see_other("/ui/sign-in"))


@router.post("/me/tokens", name="create_token")
def create_token(request: Request, fields: Fields, caller: InPerson, session: Writing, now: Now) -> Response:
    """Make a token; its key is shown on this page only."""
    with refused_as(lambda found, status: _me(request, caller, found, status, fields)):
        _token, key = tokens.create(session, caller, _wish(request, fields), now)
    return _me(request, caller, key=key, session=session)


@router.post("/me/tokens/{token_id}/revoke", name="revoke_token")
def revoke_token(token_id: Id, caller: InPerson, session: Writing) -> Response:
    """End a token at once."""
    tokens.revoke(session, caller, token_id)
    return see_other("/ui/me", _("The token is ended."))


@router.get("/accounts", dependencies=[ADMIN])
def accounts_page(request: Request) -> Response:
    """All accounts."""
    return _accounts(request)


@router.post("/accounts", name="create_account", dependencies=[ADMIN])
def create_account(request: Request, fields: Fields, session: Writing, context: Ctx, now: Now) -> Response:
    """Make an account, and show the link for its owner."""
    with refused_as(lambda found, status: _accounts(request, found, status, fields)):
        issuer = issuer_of(request) if fields.get("by_provider") else None
        account, key = service.create(session, fields.get("name", ""), _role(fields), issuer, now)
    if key is None:
        return see_other("/ui/accounts", _("The account is made; its owner signs in by the provider."))
    return _accounts(request, link=(account.name, link_of(request, context, key)), session=session)


@router.get("/accounts/{account_id}/delete", dependencies=[ADMIN])
def delete_page(request: Request, account_id: Id, session: Reading) -> Response:
    """Ask whether an account is really to be deleted; a script shows it as a dialog."""
    account = service.get(session, account_id)
    return context_of(request).frame.show(request, "accounts/delete.html", {"account": account})


@router.post("/accounts/{account_id}", name="change_account", dependencies=[ADMIN])
def change_account(
    request: Request, account_id: Id, fields: Fields, session: Writing, context: Ctx, now: Now
) -> Response:
    """Change somebody's role, shut them out, let them in again, delete them, or make a new link."""
    account = service.get(session, account_id)
    verb = fields.get("do", "role")
    with refused_as(lambda found, status: _accounts(request, found, status)):
        if verb == "invite":
            key = service.invite(session, account, now)
            return _accounts(request, link=(account.name, link_of(request, context, key)), session=session)
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
        found = audit.list_audit(session, AuditFilter(actor, subject), after, PAGE + 1)
        entries = [{"entry": entry, "changes": json.loads(entry.changes)} for entry in found[:PAGE]]
        following = found[PAGE - 1].id if len(found) > PAGE else None
        return {
            "entries": entries,
            "actor": actor or "",
            "subject": subject or "",
            **links(request, after, following),
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
    caller: Caller,
    found: Errors | None = None,
    status: HTTPStatus = HTTPStatus.OK,
    fields: Mapping[str, str] | None = None,
    key: str | None = None,
    session: Session | None = None,
) -> Response:
    """One's own account, as it is in a session that has changed it, else as it is in the database."""
    context = context_of(request)
    account_id = caller.account_id or 0
    with nullcontext(session) if session else context.database.read() as session:
        shown = {
            "account": service.get(session, account_id) if caller.is_known else None,
            "sign_ins": service.sign_ins(session, account_id, context.clock.now()),
            "tokens": tokens.list_for(session, caller),
            "roles": [role.value for role in Role if caller.role.includes(role)],
            "areas": AREAS,
            "found": found or {},
            "fields": fields or {},
            "key": key,
        }
        return context.frame.show(request, "accounts/me.html", shown, status)


def _accounts(
    request: Request,
    found: Errors | None = None,
    status: HTTPStatus = HTTPStatus.OK,
    fields: Mapping[str, str] | None = None,
    link: tuple[str, str] | None = None,
    session: Session | None = None,
) -> Response:
    """All accounts, as they are in a session that has changed them, else as they are in the database."""
    context = context_of(request)
    with nullcontext(session) if session else context.database.read() as session:
        shown = {
            "accounts": service.list_accounts(session),
            "roles": [role.value for role in Role],
            "provider": request.app.state.provider,
            "found": found or {},
            "fields": fields or {},
            "link": link,
        }
        return context.frame.show(request, "accounts/accounts.html", shown, status)


def _hashed(fields: Mapping[str, str], name: str) -> str:
    password = fields.get("password", "")
    if password != fields.get("again", ""):
        raise InvalidError("again", "is not the same as above")
    check_password_rules(password, name)
    return hash_password(password)


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

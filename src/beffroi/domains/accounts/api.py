"""Accounts, tokens and the audit over JSON."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response, status
from pydantic import BaseModel, ConfigDict, Field

from beffroi.core.access import Means, Role
from beffroi.core.errors import ConflictError
from beffroi.core.moments import Moment
from beffroi.domains.accounts import audit, service, tokens
from beffroi.domains.accounts.audit import AuditFilter
from beffroi.domains.accounts.models import Account, ApiToken, AuditEntry
from beffroi.domains.accounts.tokens import TokenWish
from beffroi.web.access import ADMIN, VIEWER, Known
from beffroi.web.context import Context
from beffroi.web.deps import Ctx, Limit, Now, Reading, Writing, moment_in_zone
from beffroi.web.errors import PROBLEMS
from beffroi.web.paging import page
from beffroi.web.patch import Deleted

AREAS = ("jobs", "runs", "schedules", "nodes", "accounts", "overview")
"""The parts of the product that a token can be limited to."""

router = APIRouter(tags=["accounts"], responses=PROBLEMS, dependencies=[VIEWER])

Id = Annotated[int, Path(ge=1, le=2**31 - 1)]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]


class CallerView(BaseModel):
    name: str
    role: Role
    means: Means


class AccountView(BaseModel):
    id: int
    name: str
    role: Role
    active: bool
    has_password: bool
    issuer: Annotated[str | None, Field(description="The provider that knows them (OpenID Connect).")]
    created_at: datetime


class AccountCreate(BaseModel):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "ada", "role": "operator"}]}
    )

    name: Name
    role: Role = Role.VIEWER
    by_provider: Annotated[
        bool, Field(description="Its owner signs in by the provider, who calls them by this name.")
    ] = False


class AccountChange(BaseModel):
    model_config = ConfigDict(extra="forbid")

    role: Role | None = None
    active: bool | None = None


class InvitationView(BaseModel):
    """`link`: where the owner sets a password, once, within three days. It is not shown again."""

    account: AccountView
    link: str | None


class TokenCreate(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "deploy", "role": "operator", "areas": ["jobs"]}]},
    )

    name: Name
    role: Annotated[Role, Field(description="At most your own.")] = Role.VIEWER
    areas: Annotated[
        list[Literal[AREAS]],  # type: ignore[valid-type]
        Field(description="What the token is limited to; empty: all that its role allows."),
    ] = []
    expires_at: Moment | None = None


class TokenView(BaseModel):
    id: int
    name: str
    owner: str
    role: Role
    areas: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    last_used_from: str | None


class TokenCreated(BaseModel):
    """`key`: what a program sends as `Authorization: Bearer ...`. It is not shown again."""

    token: TokenView
    key: str


class SignedOut(BaseModel):
    ended: Annotated[int, Field(description="How many sign-ins there were.")]


class AuditView(BaseModel):
    """Who did what. `changes`: each row that was changed, with its values before and after."""

    id: int
    at: datetime
    actor: str
    means: Means | None
    address: str
    action: str
    subject: str
    changes: list[Any]


@router.get("/me")
def who_am_i(caller: Known) -> CallerView:
    """Say who you are taken for."""
    return CallerView(name=caller.name, role=caller.role, means=caller.means)


@router.get("/accounts", dependencies=[ADMIN])
def list_accounts(session: Reading) -> list[AccountView]:
    """List the accounts by name."""
    return [account_view(account) for account in service.list_accounts(session)]


@router.post("/accounts", status_code=status.HTTP_201_CREATED, dependencies=[ADMIN])
def create_account(
    body: AccountCreate, request: Request, response: Response, session: Writing, context: Ctx, now: Now
) -> InvitationView:
    """Make an account; the answer holds the link by which its owner sets a password."""
    issuer = issuer_of(request) if body.by_provider else None
    account, key = service.create(session, body.name, body.role, issuer, now)
    response.headers["Location"] = f"/accounts/{account.id}"
    return InvitationView(account=account_view(account), link=key and link_of(request, context, key))


@router.patch("/accounts/{account_id}", dependencies=[ADMIN])
def change_account(account_id: Id, body: AccountChange, session: Writing, now: Now) -> AccountView:
    """Change somebody's role, or shut them out. The last admin stays one."""
    account = service.get(session, account_id)
    return account_view(service.change(session, account, body.role, body.active, now))


@router.delete("/accounts/{account_id}", dependencies=[ADMIN])
def delete_account(account_id: Id, session: Writing) -> Deleted:
    """Delete an account with its tokens. What it did stays in the audit."""
    service.remove(session, service.get(session, account_id))
    return Deleted()


@router.post("/accounts/{account_id}/invite", dependencies=[ADMIN])
def invite_account(
    account_id: Id, request: Request, session: Writing, context: Ctx, now: Now
) -> InvitationView:
    """Make a new link by which the owner sets a password: also for one who has forgotten it."""
    account = service.get(session, account_id)
    key = service.invite(session, account, now)
    return InvitationView(account=account_view(account), link=link_of(request, context, key))


@router.post("/accounts/{account_id}/sign-out", dependencies=[ADMIN])
def sign_out_account(account_id: Id, session: Writing, now: Now) -> SignedOut:
    """Sign somebody out everywhere."""
    service.get(session, account_id)
    return SignedOut(ended=service.sign_out_everywhere(session, account_id, now))


@router.get("/tokens")
def list_tokens(session: Reading, caller: Known) -> list[TokenView]:
    """List your tokens; an admin sees everybody's."""
    return [token_view(token, owner) for token, owner in tokens.list_for(session, caller)]


@router.post("/tokens", status_code=status.HTTP_201_CREATED)
def create_token(body: TokenCreate, session: Writing, caller: Known, now: Now) -> TokenCreated:
    """Make a token for a program. The key is in this answer only."""
    wish = TokenWish(body.name, body.role, body.areas, body.expires_at)
    token, key = tokens.create(session, caller, wish, now)
    owner = service.get(session, token.account_id).name
    return TokenCreated(token=token_view(token, owner), key=key)


@router.delete("/tokens/{token_id}")
def revoke_token(token_id: Id, session: Writing, caller: Known) -> Deleted:
    """End a token at once."""
    tokens.revoke(session, caller, token_id)
    return Deleted()


@router.get("/audit", dependencies=[ADMIN])
def list_audit(
    request: Request,
    response: Response,
    session: Reading,
    context: Ctx,
    actor: Annotated[str | None, Query(max_length=100, description="Part of the name.")] = None,
    subject: Annotated[str | None, Query(max_length=500, description="How the path begins.")] = None,
    since: datetime | None = None,
    until: datetime | None = None,
    after: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
    limit: Limit = 100,
) -> Sequence[AuditView]:
    """List who changed what, the newest first."""
    zone = context.zone
    wanted = AuditFilter(
        actor, subject, moment_in_zone("since", since, zone), moment_in_zone("until", until, zone)
    )
    found = audit.list_audit(session, wanted, after, limit + 1)
    rows = page(request, response, found, limit, [entry.id for entry in found])
    return [audit_view(entry) for entry in rows]


def account_view(account: Account) -> AccountView:
    return AccountView(**account.model_dump(), has_password=account.password_hash is not None)


def token_view(token: ApiToken, owner: str) -> TokenView:
    fields = token.model_dump(exclude={"areas"})
    return TokenView(**fields, owner=owner, areas=token.areas.split(",") if token.areas else [])


def audit_view(entry: AuditEntry) -> AuditView:
    return AuditView(**entry.model_dump(exclude={"changes"}), changes=json.loads(entry.changes))


def issuer_of(request: Request) -> str:
    """Return who the provider is; ConflictError when none is configured."""
    provider = request.app.state.provider
    if provider is None:
        raise ConflictError("No provider is configured (oidc_issuer).")
    issuer: str = provider.issuer
    return issuer


def link_of(request: Request, context: Context, key: str) -> str:
    """Return the link of an invitation."""
    return f"{context.public_url or str(request.base_url).rstrip('/')}/ui/welcome?key={key}"

"""Signing in by an OpenID Connect provider; Authlib speaks with it and checks what it says."""

import base64
import json
from typing import TYPE_CHECKING, Annotated, Any

import httpx2
from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from beffroi.core.access import Caller, Means, Role
from beffroi.core.errors import BeffroiError, ConflictError, ForbiddenError
from beffroi.domains.accounts import service
from beffroi.domains.accounts.browser import admit
from beffroi.web.access import ANYBODY
from beffroi.web.context import context_of
from beffroi.web.deps import Now, Writing

if TYPE_CHECKING:
    from authlib.integrations.starlette_client import StarletteOAuth2App

STATE_COOKIE = "beffroi_provider"
STATE_HOLDS = 600

router = APIRouter(prefix="/ui/sign-in", tags=["accounts"], include_in_schema=False)


class Provider:
    """Where people are known already. `role`: of whom it sends for the first time; None: of nobody."""

    def __init__(self, issuer: str, client_id: str, client_secret: str, role: Role | None) -> None:
        from authlib.integrations.starlette_client import OAuth

        self.issuer = issuer.rstrip("/")
        self.role = role
        self.client: StarletteOAuth2App = OAuth().register(
            "provider",
            server_metadata_url=f"{self.issuer}/.well-known/openid-configuration",
            client_id=client_id,
            client_secret=client_secret,
            client_kwargs={"scope": "openid profile email", "code_challenge_method": "S256", "timeout": 10},
        )


@router.get("/provider", dependencies=[ANYBODY])
async def go_to_provider(request: Request) -> Response:
    """Lead to the provider; what is needed when it sends back is kept in the browser that goes there."""
    provider = _provider(request)
    request.scope["session"] = {}
    try:
        answer: RedirectResponse = await provider.client.authorize_redirect(request, _back(request))
    except (httpx2.HTTPError, KeyError, ValueError) as error:
        raise ConflictError(f"The provider {provider.issuer} does not answer as it should: {error}") from None
    packed = base64.urlsafe_b64encode(json.dumps(request.session).encode()).decode()
    answer.set_cookie(
        STATE_COOKIE, packed, max_age=STATE_HOLDS, httponly=True, samesite="lax",
        secure=request.url.scheme == "https", path="/ui/sign-in",
    )  # fmt: skip
    return answer


async def _claims(request: Request) -> dict[str, Any]:
    """Return what the provider says of somebody: signed, for us, in answer to this very browser."""
    from authlib.integrations.starlette_client import OAuthError
    from joserfc.errors import JoseError

    provider = _provider(request)
    request.scope["session"] = _unpacked(request.cookies.get(STATE_COOKIE, ""))
    try:
        token = await provider.client.authorize_access_token(request)
        claims: dict[str, Any] = dict(token["userinfo"])
        claims["sub"]
    except (OAuthError, JoseError) as error:
        raise ForbiddenError(f"The provider did not let you in: {error}") from None
    except (httpx2.HTTPError, KeyError, ValueError, TypeError) as error:
        raise ForbiddenError(f"The provider's answer cannot be used: {error}") from None
    return claims


# Declared before the session: the provider is asked before the database is ours.
Claims = Annotated[dict[str, Any], Depends(_claims)]


@router.get("/back", name="sign_in_by_provider", dependencies=[ANYBODY])
def back_from_provider(request: Request, claims: Claims, session: Writing, now: Now) -> Response:
    """Let in whom the provider sends, when it says who they are."""
    provider = _provider(request)
    name = _name_in(claims)
    subject = str(claims["sub"])[:255]
    account = service.from_provider(session, provider.issuer, subject, name, provider.role, now)
    request.state.caller = Caller(account.name, account.role, Means.OIDC, account.id)
    answer = admit(request, session, account, Means.OIDC, "/ui/", now)
    answer.delete_cookie(STATE_COOKIE, path="/ui/sign-in")
    return answer


def _name_in(claims: dict[str, Any]) -> str:
    """Return what the provider calls somebody; an e-mail address only when it has been verified."""
    email = claims.get("email") if claims.get("email_verified") else None
    return str(claims.get("preferred_username") or email or claims["sub"])[:100]


def _unpacked(packed: str) -> dict[str, Any]:
    """Read what the browser kept. It proves only that it is the same browser, which is all it is for."""
    try:
        value = json.loads(base64.urlsafe_b64decode(packed))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _provider(request: Request) -> Provider:
    provider: Provider | None = request.app.state.provider
    if provider is None:
        raise BeffroiError("No provider is configured.")
    return provider


def _back(request: Request) -> str:
    base = context_of(request).public_url or str(request.base_url).rstrip("/")
    return f"{base}/ui/sign-in/back"

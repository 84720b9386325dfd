"""Verbs on tokens: keys for programs, at most as mighty as their owner."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from beffroi.core.access import Caller, Means, Role
from beffroi.core.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
from beffroi.domains.accounts.keys import TOKEN_PREFIX, hash_of, new_key
from beffroi.domains.accounts.models import Account, ApiToken


@dataclass(frozen=True, slots=True)
class TokenWish:
    name: str
    role: Role
    areas: Sequence[str] = ()
    expires_at: datetime | None = None


def create(session: Session, caller: Caller, wish: TokenWish, now: datetime) -> tuple[ApiToken, str]:
    """Make a token for the caller; return it, and the key, which is not kept and cannot be shown again."""
    if caller.account_id is None:
        raise ConflictError("A token belongs to an account, and sign-in is off here: nobody has one.")
    if caller.means is Means.TOKEN:
        raise ForbiddenError("A token cannot make tokens; sign in for that.")
    if not caller.role.includes(wish.role):
        raise InvalidError("role", f"can be at most yours, {caller.role}")
    if wish.expires_at is not None and wish.expires_at <= now:
        raise InvalidError("expires_at", "must lie ahead")
    key = TOKEN_PREFIX + new_key()
    token = ApiToken(
        name=wish.name,
        account_id=caller.account_id,
        key_hash=hash_of(key),
        role=wish.role,
        areas=",".join(sorted(wish.areas)) or None,
        created_at=now,
        expires_at=wish.expires_at,
    )
    session.add(token)
    session.flush()
    return token, key


def list_for(session: Session, caller: Caller) -> Sequence[tuple[ApiToken, str]]:
    """Return the caller's tokens with their owner's name; an admin sees all."""
    query = select(ApiToken, Account.name).join(Account).order_by(col(ApiToken.id))
    if caller.role is not Role.ADMIN:
        query = query.where(col(ApiToken.account_id) == caller.account_id)
    return session.exec(query).all()


def revoke(session: Session, caller: Caller, token_id: int) -> None:
    if caller.means is Means.TOKEN:
        raise ForbiddenError("A token cannot end tokens; sign in for that.")
    token = session.get(ApiToken, token_id)
    if token is None or (caller.role is not Role.ADMIN and token.account_id != caller.account_id):
        raise NotFoundError(f"There is no token {token_id}.")
    session.delete(token)

"""Verbs on accounts, sign-ins, tokens and the audit."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, update
from sqlmodel import Session, col, select

from beffroi.core.access import Caller, Means, Role, Visitor
from beffroi.core.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
from beffroi.domains.accounts import keys
from beffroi.domains.accounts.keys import TOKEN_PREFIX, hash_of, new_key
from beffroi.domains.accounts.models import Account, ApiToken, AuditEntry, Invitation, SignIn

INVITATION_HOLDS = timedelta(days=3)
SETUP_HOLDS = timedelta(days=1)
DEVICE_IS_KNOWN = timedelta(days=180)


@dataclass(frozen=True, slots=True)
class AuditFilter:
    actor: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def setup_key(session: Session, now: datetime) -> str | None:
    """Return the key of a link by which the first account is made; None when there is one already."""
    if session.scalar(select(func.count()).select_from(Account)):
        return None
    return _invite(session, None, SETUP_HOLDS, now)


def get(session: Session, account_id: int) -> Account:
    account = session.get(Account, account_id)
    if account is None:
        raise NotFoundError(f"There is no account {account_id}.")
    return account


def list_accounts(session: Session) -> Sequence[Account]:
    return session.exec(select(Account).order_by(col(Account.name))).all()


def create(session: Session, name: str, role: Role, now: datetime) -> tuple[Account, str]:
    """Make an account; return it, and the key of the link by which its owner sets a password."""
    _refuse_taken(session, name)
    account = Account(name=name, role=role, created_at=now, updated_at=now)
    session.add(account)
    session.flush()
    return account, _invite(session, account.id, INVITATION_HOLDS, now)


def invite(session: Session, account: Account, now: datetime) -> str:
    """Return the key of a new link by which the owner sets a password; older links end."""
    session.execute(delete(Invitation).where(col(Invitation.account_id) == account.id))
    return _invite(session, account.id, INVITATION_HOLDS, now)


def change(
    session: Session, account: Account, role: Role | None, active: bool | None, now: datetime
) -> Account:
    """Change what somebody may do. Who is shut out is signed out everywhere."""
    account.role = role or account.role
    account.active = account.active if active is None else active
    account.updated_at = now
    session.flush()
    _keep_an_admin(session)
    if not account.active:
        sign_out_everywhere(session, account.id or 0, now)
    return account


def remove(session: Session, account: Account) -> None:
    """Delete an account with its tokens and sign-ins. What it did stays in the audit."""
    for table in (SignIn, ApiToken, Invitation):
        session.execute(delete(table).where(col(table.account_id) == account.id))
    session.delete(account)
    session.flush()
    _keep_an_admin(session)


def invitation(session: Session, key: str, now: datetime) -> tuple[Invitation, Account | None]:
    """Return what a link is for; NotFoundError when it was used or has expired."""
    found = session.get(Invitation, hash_of(key))
    if found is None or found.expires_at < now:
        raise NotFoundError("This link has been used, or has expired.")
    return found, session.get(Account, found.account_id) if found.account_id else None


def accept(session: Session, key: str, name: str, password: str, now: datetime) -> Account:
    """Use a link: set the password of its account, or make the first account. All its links end."""
    found, account = invitation(session, key, now)
    if account is None:
        if session.scalar(select(func.count()).select_from(Account)):
            raise NotFoundError("This link has been used, or has expired.")
        account = Account(name=_checked_name(name), role=Role.ADMIN, created_at=now, updated_at=now)
        session.add(account)
    set_password(account, password, now)
    session.execute(delete(Invitation).where(col(Invitation.account_id) == found.account_id))
    session.flush()
    return account


def set_password(account: Account, password: str, now: datetime) -> None:
    keys.check_password_rules(password, account.name)
    account.password_hash = keys.hash_password(password)
    account.updated_at = now


def is_password(account: Account, password: str) -> bool:
    return keys.is_password(password, account.password_hash)


def with_password(session: Session, name: str, password: str) -> Account | None:
    """Return the account that has this name and this password."""
    account = session.exec(select(Account).where(col(Account.name) == name, col(Account.active))).first()
    matches = keys.is_password(password, account.password_hash if account else None)
    return account if matches else None


def knows_device(session: Session, device: str | None, now: datetime) -> bool:
    """Whether somebody has signed in with this browser before."""
    if not device:
        return False
    since = now - DEVICE_IS_KNOWN
    known = select(SignIn).where(col(SignIn.device_hash) == hash_of(device), col(SignIn.created_at) >= since)
    return session.exec(known).first() is not None


@dataclass(frozen=True, slots=True)
class Keys:
    """What a browser is given: `session` for this sign-in, `device` to be known by later."""

    session: str
    device: str


def sign_in(
    session: Session, account: Account, means: Means, visitor: Visitor, device: str | None, now: datetime
) -> Keys:
    """Let somebody in; the key is new, whatever the browser had before."""
    given = Keys(new_key(), device or new_key())
    session.add(
        SignIn(
            key_hash=hash_of(given.session),
            device_hash=hash_of(given.device),
            account_id=account.id or 0,
            means=means,
            address=visitor.address[:64],
            agent=visitor.agent,
            created_at=now,
            seen_at=now,
        )
    )
    return given


def sign_out(session: Session, key: str, now: datetime) -> None:
    session.execute(
        update(SignIn)
        .where(col(SignIn.key_hash) == hash_of(key), col(SignIn.ended_at).is_(None))
        .values(ended_at=now)
    )


def sign_out_everywhere(session: Session, account_id: int, now: datetime) -> int:
    """End all sign-ins of an account; return how many."""
    ended = session.execute(
        update(SignIn)
        .where(col(SignIn.account_id) == account_id, col(SignIn.ended_at).is_(None))
        .values(ended_at=now)
    )
    return int(ended.rowcount)  # type: ignore[attr-defined]


def sign_ins(session: Session, account_id: int) -> Sequence[SignIn]:
    """Return the sign-ins of an account that were not ended by hand, the newest first."""
    query = select(SignIn).where(col(SignIn.account_id) == account_id, col(SignIn.ended_at).is_(None))
    return session.exec(query.order_by(col(SignIn.created_at).desc())).all()


def from_provider(
    session: Session, issuer: str, subject: str, name: str, role: Role | None, now: datetime
) -> Account:
    """Return the account of somebody whom a provider knows; made with `role` when there is none yet.

    An account that was made for this name, and has neither password nor provider, becomes theirs.
    """
    mine = select(Account).where(col(Account.issuer) == issuer, col(Account.subject) == subject)
    account = session.exec(mine).first()
    if account is None:
        account = session.exec(select(Account).where(col(Account.name) == name)).first()
        if account is not None and (account.password_hash or account.subject):
            raise ForbiddenError(f"The account {name!r} exists already and signs in another way.")
        if account is None and role is None:
            raise ForbiddenError(f"There is no account for {name!r}; ask an admin to make one.")
        account = account or Account(
            name=_checked_name(name), role=role or Role.VIEWER, created_at=now, updated_at=now
        )
        account.issuer, account.subject = issuer, subject
        session.add(account)
        session.flush()
    if not account.active:
        raise ForbiddenError("This account is shut out.")
    return account


@dataclass(frozen=True, slots=True)
class TokenWish:
    name: str
    role: Role
    areas: Sequence[str] = ()
    expires_at: datetime | None = None


def create_token(session: Session, caller: Caller, wish: TokenWish, now: datetime) -> tuple[ApiToken, str]:
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


def list_tokens(session: Session, caller: Caller) -> Sequence[tuple[ApiToken, str]]:
    """Return the caller's tokens with their owner's name; an admin sees all."""
    query = select(ApiToken, Account.name).join(Account).order_by(col(ApiToken.id))
    if caller.role is not Role.ADMIN:
        query = query.where(col(ApiToken.account_id) == caller.account_id)
    return session.exec(query).all()


def revoke_token(session: Session, caller: Caller, token_id: int) -> None:
    token = session.get(ApiToken, token_id)
    if token is None or (caller.role is not Role.ADMIN and token.account_id != caller.account_id):
        raise NotFoundError(f"There is no token {token_id}.")
    session.delete(token)


def list_audit(session: Session, wanted: AuditFilter, after: int | None, limit: int) -> Sequence[AuditEntry]:
    """Return the audit, the newest first, from the entry after `after` on."""
    query = select(AuditEntry)
    if wanted.actor:
        query = query.where(col(AuditEntry.actor).contains(wanted.actor, autoescape=True))
    if wanted.subject:
        query = query.where(col(AuditEntry.subject).startswith(wanted.subject, autoescape=True))
    if wanted.since is not None:
        query = query.where(col(AuditEntry.at) >= wanted.since)
    if wanted.until is not None:
        query = query.where(col(AuditEntry.at) < wanted.until)
    if after is not None:
        query = query.where(col(AuditEntry.id) < after)
    return session.exec(query.order_by(col(AuditEntry.id).desc()).limit(limit)).all()


def _invite(session: Session, account_id: int | None, holds: timedelta, now: datetime) -> str:
    key = new_key()
    session.add(
        Invitation(key_hash=hash_of(key), account_id=account_id, created_at=now, expires_at=now + holds)
    )
    session.flush()
    return key


def _checked_name(name: str) -> str:
    stripped = name.strip()
    if not 1 <= len(stripped) <= 100 or not stripped.isprintable():
        raise InvalidError("name", "must have 1 to 100 printable characters")
    return stripped


def _refuse_taken(session: Session, name: str) -> None:
    if session.exec(select(Account).where(col(Account.name) == _checked_name(name))).first() is not None:
        raise ConflictError(f"There is already an account named {name!r}.")


def _keep_an_admin(session: Session) -> None:
    admins = select(func.count()).where(col(Account.role) == Role.ADMIN, col(Account.active))
    if not session.scalar(admins):
        raise ConflictError("This is the last admin; make another one first.")

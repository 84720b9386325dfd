"""Verbs on accounts, links and sign-ins."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, text, update
from sqlmodel import Session, col, select

from beffroi.core.access import Means, Role, Visitor
from beffroi.core.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
from beffroi.domains.accounts import keys
from beffroi.domains.accounts.keys import hash_of, new_key
from beffroi.domains.accounts.models import Account, ApiToken, Invitation, SignIn
from beffroi.store.tables import rows_touched

INVITATION_HOLDS = timedelta(days=3)
SETUP_HOLDS = timedelta(days=1)
DEVICE_IS_KNOWN = timedelta(days=180)

IDLE = timedelta(days=7)
LONGEST = timedelta(days=30)
"""A sign-in ends after so long without a request, and after so long in any case."""

ADVISORY = 0x0BEFF403
"""The advisory lock under which accounts are changed on PostgreSQL."""


def setup_key(session: Session, now: datetime) -> str | None:
    """Return the key of a link by which the first admin is made; None when there is one already."""
    if _admins(session):
        return None
    return _invite(session, None, SETUP_HOLDS, now)


def get(session: Session, account_id: int) -> Account:
    account = session.get(Account, account_id)
    if account is None:
        raise NotFoundError(f"There is no account {account_id}.")
    return account


def list_accounts(session: Session) -> Sequence[Account]:
    return session.exec(select(Account).order_by(col(Account.name))).all()


def create(
    session: Session, name: str, role: Role, issuer: str | None, now: datetime
) -> tuple[Account, str | None]:
    """Make an account; return it, and the key of the link by which its owner sets a password.

    With an `issuer` its owner signs in by that provider, who calls them by this name: there is no link.
    """
    name = checked_name(name)
    if session.exec(select(Account).where(col(Account.name) == name)).first() is not None:
        raise ConflictError(f"There is already an account named {name!r}.")
    account = Account(name=name, role=role, issuer=issuer, created_at=now, updated_at=now)
    session.add(account)
    session.flush()
    return account, None if issuer else _invite(session, account.id, INVITATION_HOLDS, now)


def invite(session: Session, account: Account, now: datetime) -> str:
    """Return the key of a new link by which the owner sets a password; older links end."""
    if account.issuer:
        raise ConflictError(f"{account.name!r} signs in by {account.issuer}, not by a password.")
    session.execute(delete(Invitation).where(col(Invitation.account_id) == account.id))
    return _invite(session, account.id, INVITATION_HOLDS, now)


def change(
    session: Session, account: Account, role: Role | None, active: bool | None, now: datetime
) -> Account:
    """Change what somebody may do. Who is shut out is signed out everywhere."""
    _one_at_a_time(session)
    session.refresh(account)
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
    _one_at_a_time(session)
    for table in (SignIn, Invitation):
        session.execute(delete(table).where(col(table.account_id) == account.id))
    for token in session.exec(select(ApiToken).where(col(ApiToken.account_id) == account.id)):
        session.delete(token)
    session.flush()
    session.delete(account)
    session.flush()
    _keep_an_admin(session)


def invitation(session: Session, key: str, now: datetime) -> tuple[Invitation, Account | None]:
    """Return what a link is for; NotFoundError when it was used or has expired."""
    found = session.get(Invitation, hash_of(key))
    if found is None or found.expires_at < now:
        raise NotFoundError("This link has been used, or has expired.")
    return found, session.get(Account, found.account_id) if found.account_id else None


def accept(session: Session, key: str, name: str, password_hash: str, now: datetime) -> Account:
    """Use a link: set the password of its account, or make the first admin. All such links end."""
    _one_at_a_time(session)
    found, account = invitation(session, key, now)
    if account is None:
        if _admins(session):
            raise NotFoundError("This link has been used, or has expired.")
        account, _ = create(session, name, Role.ADMIN, None, now)
    set_password(session, account, password_hash, now)
    session.execute(
        delete(Invitation).where(
            col(Invitation.account_id).in_((account.id,)) | (col(Invitation.key_hash) == found.key_hash)
        )
    )
    if found.account_id is None:
        session.execute(delete(Invitation).where(col(Invitation.account_id).is_(None)))
    return account


def set_password(session: Session, account: Account, password_hash: str, now: datetime) -> None:
    """Set a password, and sign its owner out wherever somebody was signed in."""
    account.password_hash = password_hash
    account.updated_at = now
    sign_out_everywhere(session, account.id or 0, now)


def is_password(account: Account, password: str) -> bool:
    return keys.is_password(password, account.password_hash)


def with_password(session: Session, name: str, password: str) -> Account | None:
    """Return the account that has this name and this password."""
    account = session.exec(select(Account).where(col(Account.name) == name, col(Account.active))).first()
    matches = keys.is_password(password, account.password_hash if account else None)
    return account if matches else None


def knows_device(session: Session, device: str | None, name: str, now: datetime) -> bool:
    """Whether this very account was signed in to with this browser before."""
    if not device:
        return False
    known = (
        select(SignIn)
        .join(Account)
        .where(
            col(SignIn.device_hash) == hash_of(device),
            col(SignIn.created_at) >= now - DEVICE_IS_KNOWN,
            col(Account.name) == name,
        )
    )
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
    _forget_the_old(session, now)
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
    open_ones = col(SignIn.account_id) == account_id, col(SignIn.ended_at).is_(None)
    return rows_touched(session, update(SignIn).where(*open_ones).values(ended_at=now))


def sign_ins(session: Session, account_id: int, now: datetime) -> Sequence[SignIn]:
    """Return the sign-ins of an account that hold, the newest first."""
    query = select(SignIn).where(col(SignIn.account_id) == account_id, col(SignIn.ended_at).is_(None))
    found = session.exec(query.order_by(col(SignIn.created_at).desc())).all()
    return [each for each in found if not is_over(each, now)]


def is_over(sign_in: SignIn, now: datetime) -> bool:
    return sign_in.ended_at is not None or now - sign_in.seen_at > IDLE or now - sign_in.created_at > LONGEST


def from_provider(
    session: Session, issuer: str, subject: str, name: str, role: Role | None, now: datetime
) -> Account:
    """Return the account of somebody whom a provider knows; made with `role` when there is none yet.

    An account that an admin has made for this provider, and that nobody has used, becomes theirs.
    """
    mine = select(Account).where(col(Account.issuer) == issuer, col(Account.subject) == subject)
    account = session.exec(mine).first()
    if account is None:
        account = session.exec(select(Account).where(col(Account.name) == name)).first()
        if account is not None and (account.issuer != issuer or account.subject):
            raise ForbiddenError(f"The account {name!r} exists already and signs in another way.")
        if account is None:
            if role is None:
                raise ForbiddenError(f"There is no account for {name!r}; ask an admin to make one.")
            account, _ = create(session, name, role, issuer, now)
        account.subject = subject
        session.flush()
    if not account.active:
        raise ForbiddenError("This account is shut out.")
    return account


def _invite(session: Session, account_id: int | None, holds: timedelta, now: datetime) -> str:
    key = new_key()
    session.add(
        Invitation(key_hash=hash_of(key), account_id=account_id, created_at=now, expires_at=now + holds)
    )
    session.flush()
    return key


def checked_name(name: str) -> str:
    """Return a name without what surrounds it; InvalidError when nobody can be called so."""
    stripped = name.strip()
    if not 1 <= len(stripped) <= 100 or not stripped.isprintable():
        raise InvalidError("name", "must have 1 to 100 printable characters")
    return stripped


def _forget_the_old(session: Session, now: datetime) -> None:
    """Delete sign-ins by which no browser is known any more, and links that have expired."""
    session.execute(delete(SignIn).where(col(SignIn.created_at) < now - DEVICE_IS_KNOWN))
    session.execute(delete(Invitation).where(col(Invitation.expires_at) < now))


def _one_at_a_time(session: Session) -> None:
    """Let no other node change who is an admin, or use a link, until this is done."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY})


def _admins(session: Session) -> int:
    return (
        session.scalar(select(func.count()).where(col(Account.role) == Role.ADMIN, col(Account.active))) or 0
    )


def _keep_an_admin(session: Session) -> None:
    if not _admins(session):
        raise ConflictError("This is the last admin; make another one first.")

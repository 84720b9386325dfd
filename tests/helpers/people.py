"""People with accounts, and what their programs and browsers send."""

from datetime import UTC, datetime

from fastapi.testclient import TestClient
from sqlmodel import select

from beffroi.core.access import Caller, Means, Role, Visitor
from beffroi.domains.accounts import service, tokens
from beffroi.domains.accounts.keys import hash_password
from beffroi.domains.accounts.models import Account
from beffroi.domains.accounts.tokens import TokenWish
from beffroi.store.db import Database
from beffroi.web.access import SESSION_COOKIE

PASSWORD = "correct horse battery"


def database_of(client: TestClient) -> Database:
    found: Database = client.app.state.context.database  # type: ignore[attr-defined]
    return found


def add_account(database: Database, name: str, role: Role) -> int:
    """Make an account with the password that all have here."""
    now = datetime.now(UTC)
    with database.write() as session:
        found = session.exec(select(Account).where(Account.name == name)).first()
        account = found or Account(
            name=name, role=role, password_hash=hash_password(PASSWORD), created_at=now, updated_at=now
        )
        session.add(account)
        session.flush()
        return account.id or 0


def token_of(database: Database, role: Role, wish: TokenWish | None = None) -> dict[str, str]:
    """Return the headers of a program that belongs to somebody with this role."""
    account_id = add_account(database, f"the {role}", role)
    caller = Caller(f"the {role}", role, Means.PASSWORD, account_id)
    with database.write() as session:
        _, key = tokens.create(session, caller, wish or TokenWish("test", role), datetime.now(UTC))
    return {"Authorization": f"Bearer {key}"}


def browser_of(database: Database, role: Role) -> dict[str, str]:
    """Return the cookies of a browser in which somebody with this role has signed in."""
    account_id = add_account(database, f"the {role}", role)
    with database.write() as session:
        account = service.get(session, account_id)
        visitor = Visitor("127.0.0.1", "a browser")
        given = service.sign_in(session, account, Means.PASSWORD, visitor, None, datetime.now(UTC))
    return {SESSION_COOKIE: given.session}

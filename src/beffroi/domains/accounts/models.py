"""Tables of the accounts."""

from datetime import datetime

from sqlalchemy import Index, String, Text
from sqlmodel import Field, SQLModel

from beffroi.core.access import Means, Role
from beffroi.store.types import UNAUDITED, EnumText, UtcDateTime, secret


class Account(SQLModel, table=True):
    """Somebody. Without a password they come in by a link, or by the provider that knows their `subject`."""

    __table_args__ = (
        Index("account_name", "name", unique=True),
        Index("account_subject", "issuer", "subject", unique=True),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(sa_type=String(100))
    role: Role = Field(sa_type=EnumText(Role))
    active: bool = Field(default=True)
    password_hash: str | None = Field(default=None, sa_type=Text, sa_column_kwargs=secret())
    issuer: str | None = Field(default=None, sa_type=String(500))
    subject: str | None = Field(default=None, sa_type=String(255))
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)


class SignIn(SQLModel, table=True):
    """A browser that somebody has signed in with. Ended ones are kept for a while: the browser is known."""

    __tablename__ = "sign_in"
    __table_args__ = (
        Index("sign_in_account", "account_id"),
        Index("sign_in_device", "device_hash"),
        UNAUDITED,
    )

    key_hash: str = Field(primary_key=True, sa_type=String(64))
    device_hash: str = Field(sa_type=String(64))
    account_id: int = Field(foreign_key="account.id")
    means: Means = Field(sa_type=EnumText(Means))
    address: str = Field(sa_type=String(64))
    agent: str = Field(sa_type=String(200))
    created_at: datetime = Field(sa_type=UtcDateTime)
    seen_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ApiToken(SQLModel, table=True):
    """A key for programs. `areas`: what it is limited to, separated by commas; empty: all its role allows."""

    __tablename__ = "api_token"
    __table_args__ = (
        Index("api_token_key", "key_hash", unique=True),
        Index("api_token_account", "account_id"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(sa_type=String(100))
    account_id: int = Field(foreign_key="account.id")
    key_hash: str = Field(sa_type=String(64), sa_column_kwargs=secret())
    role: Role = Field(sa_type=EnumText(Role))
    areas: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_used_from: str | None = Field(default=None, sa_type=String(64))


class Invitation(SQLModel, table=True):
    """A link that works once. Without an account it is the first one's, which becomes an admin."""

    __table_args__ = (Index("invitation_account", "account_id"), UNAUDITED)

    key_hash: str = Field(primary_key=True, sa_type=String(64))
    account_id: int | None = Field(default=None, foreign_key="account.id")
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)


class AuditEntry(SQLModel, table=True):
    """What somebody did. `subject` is the path it was done at; `changes` the rows, as JSON."""

    __tablename__ = "audit_entry"
    __table_args__ = ({"sqlite_autoincrement": True, **UNAUDITED},)

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_type=UtcDateTime)
    actor: str = Field(sa_type=String(210))
    means: Means | None = Field(default=None, sa_type=EnumText(Means))
    address: str = Field(sa_type=String(64))
    action: str = Field(sa_type=String(100))
    subject: str = Field(sa_type=String(500))
    changes: str = Field(sa_type=Text)

"""The gate: says of each request who it comes from, and keeps what they did."""

import json
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from beffroi.core.access import Caller, Deed, Means, Role, Visitor
from beffroi.domains.accounts.keys import hash_of
from beffroi.domains.accounts.models import Account, ApiToken, AuditEntry, SignIn
from beffroi.domains.accounts.service import is_over
from beffroi.domains.accounts.throttle import Throttle
from beffroi.store.db import Database

NOTED_EVERY = timedelta(minutes=1)
"""How exactly it is known when something was last used."""

MOST_CHANGES = 200
"""Rows of which one entry of the audit shows the values."""

ANYBODY = Caller("anybody", Role.ADMIN, Means.OPEN)
COMMAND_LINE = Caller("command line", Role.ADMIN, Means.COMMAND_LINE)


class Gate:
    """`everybody`: who every caller is taken for, without asking; None: they are asked."""

    def __init__(self, database: Database, throttle: Throttle, everybody: Caller | None = None) -> None:
        self._database = database
        self._throttle = throttle
        self._everybody = everybody
        self.is_open = everybody is not None

    def identify(self, visitor: Visitor, now: datetime) -> Caller | None:
        if self._everybody is not None:
            return self._everybody
        if visitor.token is not None:
            return self._by_token(visitor, visitor.token, now)
        return self._by_session(visitor, now) if visitor.session_key else None

    def record(self, session: Session, deed: Deed) -> None:
        caller = deed.caller
        entry = AuditEntry(
            at=deed.at,
            actor=caller.name[:210] if caller else "a stranger",
            means=caller.means if caller else None,
            address=deed.address[:64],
            action=deed.action,
            subject=deed.subject[:500],
            changes=json.dumps(_bounded(list(deed.changes)), ensure_ascii=False),
        )
        session.add(entry)

    def _by_token(self, visitor: Visitor, token_key: str, now: datetime) -> Caller | None:
        with self._database.read() as session:
            query = select(ApiToken, Account).join(Account).where(col(Account.active))
            found = session.exec(query.where(col(ApiToken.key_hash) == hash_of(token_key))).first()
        if found is None or (found[0].expires_at or now) < now:
            self._throttle.count_bad_token(visitor.address)
            return None
        token, account = found
        if token.last_used_at is None or now - token.last_used_at > NOTED_EVERY:
            mine = col(ApiToken.id) == token.id
            used = {"last_used_at": now, "last_used_from": visitor.address[:64]}
            self._database.write_if_free(update(ApiToken).where(mine).values(used))
        areas = frozenset(token.areas.split(",")) if token.areas else None
        role = min(token.role, account.role, key=list(Role).index)
        return Caller(f"{account.name} ({token.name})", role, Means.TOKEN, account.id, areas)

    def _by_session(self, visitor: Visitor, now: datetime) -> Caller | None:
        with self._database.read() as session:
            query = select(SignIn, Account).join(Account).where(col(Account.active))
            found = session.exec(
                query.where(col(SignIn.key_hash) == hash_of(visitor.session_key or ""))
            ).first()
        if found is None:
            return None
        sign_in, account = found
        if is_over(sign_in, now):
            return None
        if now - sign_in.seen_at > NOTED_EVERY:
            mine = col(SignIn.key_hash) == sign_in.key_hash
            self._database.write_if_free(update(SignIn).where(mine).values(seen_at=now))
        return Caller(account.name, account.role, sign_in.means, account.id)


def _bounded(changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep an entry readable: of a whole file that was applied the first rows, and how many more."""
    if len(changes) <= MOST_CHANGES:
        return changes
    return [
        *changes[:MOST_CHANGES],
        {"what": "more", "id": str(len(changes) - MOST_CHANGES), "verb": "changed"},
    ]

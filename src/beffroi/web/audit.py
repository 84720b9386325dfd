"""Notes what a request changes, row by row, with the values before and after.

It sees what goes through the session's objects, which is how facts are changed; what is written in
bulk (runs) has the ledger.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import Table, event, inspect
from sqlalchemy.orm import UOWTransaction
from sqlmodel import Session

from beffroi.web.secrets import HIDDEN, without_headers

LONGEST = 2_000
"""Characters kept of a value; the thing itself still holds all of it."""


class Trail:
    """What a session has written. A rollback empties it."""

    def __init__(self) -> None:
        self.changes: list[dict[str, Any]] = []
        self.was_undone = False

    def follow(self, session: Session, _context: UOWTransaction) -> None:
        for thing in session.new:
            self._note(thing, "created")
        for thing in session.dirty:
            if session.is_modified(thing):
                self._note(thing, "changed")
        for thing in session.deleted:
            self._note(thing, "deleted")

    def forget(self, _session: Session) -> None:
        self.changes.clear()
        self.was_undone = True

    def _note(self, thing: Any, verb: str) -> None:
        table: Table = inspect(type(thing)).local_table
        if not table.info.get("audited", True):
            return
        before: dict[str, Any] = {}
        after: dict[str, Any] = {}
        for name, column in table.columns.items():
            history = inspect(thing).attrs[name].history
            if verb == "changed" and not history.has_changes():
                continue
            if verb != "created":
                before[name] = _shown(column, _first(history.deleted or history.unchanged))
            if verb != "deleted":
                after[name] = _shown(column, _first(history.added or history.unchanged))
        key = ",".join(str(part) for part in inspect(thing).mapper.primary_key_from_instance(thing))
        noted = {"what": table.name, "id": key, "verb": verb, "before": before, "after": after}
        self.changes.append({name: value for name, value in noted.items() if value != {}})


@contextmanager
def followed(session: Session) -> Iterator[Trail]:
    """Follow what a session writes."""
    trail = Trail()
    listeners = (("after_flush", trail.follow), ("after_rollback", trail.forget))
    for name, listener in listeners:
        event.listen(session, name, listener)
    try:
        yield trail
    finally:
        for name, listener in listeners:
            event.remove(session, name, listener)


def _first(values: Any) -> Any:
    return values[0] if values else None


def _shown(column: Any, value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if column.info.get("secret"):
        return HIDDEN
    text = value.isoformat() if isinstance(value, datetime) else _without_headers(str(value))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _without_headers(text: str) -> str:
    """Hide the values of HTTP headers in a stored action."""
    if '"headers"' not in text:
        return text
    try:
        return json.dumps(without_headers(json.loads(text)), ensure_ascii=False)
    except ValueError:
        return text

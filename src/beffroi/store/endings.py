"""What is done outside the database when a transaction has ended: not before it is sure how.

SQLAlchemy tells of the ends of savepoints as it does of those of whole transactions.
"""

from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import event
from sqlalchemy.orm import SessionTransaction
from sqlmodel import Session

Act = Callable[[], object]


def on_commit(session: Session, act: Act) -> None:
    """Do something once, when all of the session's transaction has been committed, if this part of it is."""
    _endings_of(session).wait(session, act, None)


def on_rollback(session: Session, act: Act) -> None:
    """Do something once, when what is done now has been rolled back, with all or with its savepoint."""
    _endings_of(session).wait(session, None, act)


class _Waiting(NamedTuple):
    """`within`: the transaction, or the savepoints and the transaction, that it is a part of."""

    within: list[SessionTransaction]
    committed: Act | None
    rolled_back: Act | None


class _Endings:
    def __init__(self, session: Session) -> None:
        self._waiting: list[_Waiting] = []
        event.listen(session, "after_commit", self._on_commit)
        event.listen(session, "after_soft_rollback", self._on_rollback)

    def wait(self, session: Session, committed: Act | None, rolled_back: Act | None) -> None:
        within, part = [], session.get_nested_transaction() or session.get_transaction()
        while part is not None:
            within.append(part)
            part = part.parent
        self._waiting.append(_Waiting(within, committed, rolled_back))

    def _on_commit(self, session: Session) -> None:
        if session.in_nested_transaction():
            return
        ended, self._waiting = self._waiting, []
        for each in ended:
            if each.committed is not None:
                each.committed()

    def _on_rollback(self, _session: Session, part: SessionTransaction) -> None:
        ended = [each for each in self._waiting if part in each.within]
        self._waiting = [each for each in self._waiting if part not in each.within]
        for each in ended:
            if each.rolled_back is not None:
                each.rolled_back()


def _endings_of(session: Session) -> _Endings:
    found = session.info.get(_Endings)
    if not isinstance(found, _Endings):
        found = session.info[_Endings] = _Endings(session)
    return found

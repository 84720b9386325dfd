"""What is done outside the database when a transaction has ended: not before it is sure how.

SQLAlchemy tells of the ends of savepoints as it does of those of whole transactions.
"""

from collections.abc import Callable

from sqlalchemy import event
from sqlmodel import Session


def on_commit(session: Session, act: Callable[[], object]) -> None:
    """Do something once, when all of the session's transaction has been committed."""
    _listen(session, "after_commit", act, lambda: session.in_nested_transaction())


def on_rollback(session: Session, act: Callable[[], object]) -> None:
    """Do something once, when what is done now has been rolled back, with all or with its savepoint."""
    mine = session.get_nested_transaction()
    _listen(session, "after_rollback", act, lambda: session.get_nested_transaction() not in (None, mine))


def _listen(session: Session, name: str, act: Callable[[], object], is_anothers: Callable[[], bool]) -> None:
    is_done = False

    def ended(_session: object) -> None:
        nonlocal is_done
        if not is_done and not is_anothers():
            is_done = True
            act()

    event.listen(session, name, ended)

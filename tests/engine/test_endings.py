"""What is done when a transaction has ended, and not when a part of it has."""

from beffroi.store.db import Database
from beffroi.store.endings import on_commit, on_rollback


def test_a_savepoint_is_no_end(database: Database) -> None:
    done: list[str] = []
    with database.write() as session:
        with session.begin_nested():
            on_commit(session, lambda: done.append("inner"))
        on_commit(session, lambda: done.append("outer"))
        with session.begin_nested():
            pass
        assert done == []
    assert done == ["inner", "outer"]


def test_what_was_taken_back_has_not_happened(database: Database) -> None:
    done: list[str] = []
    with database.write() as session:
        outer = session.begin_nested()
        with session.begin_nested():
            on_commit(session, lambda: done.append("never"))
            on_rollback(session, lambda: done.append("taken back"))
        outer.rollback()
        assert done == ["taken back"]
        on_commit(session, lambda: done.append("kept"))
    assert done == ["taken back", "kept"]


def test_another_savepoint_that_is_rolled_back_takes_nothing_back(database: Database) -> None:
    done: list[str] = []
    with database.write() as session:
        with session.begin_nested():
            on_rollback(session, lambda: done.append("of the first"))
        second = session.begin_nested()
        on_rollback(session, lambda: done.append("of the second"))
        second.rollback()
        assert done == ["of the second"]
        session.rollback()
    assert done == ["of the second", "of the first"]

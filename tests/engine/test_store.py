"""The schema that the migrations make is the schema that the code means; the hot queries use indexes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, event, update
from sqlmodel import SQLModel

import beffroi.domains.accounts.models
import beffroi.domains.workloads.models  # noqa: F401  its tables belong to the schema
import beffroi.store.migrate as migrations
from beffroi.core.errors import SettingsError
from beffroi.core.triggers.interval import Interval
from beffroi.engine import signals
from beffroi.engine.models import Job
from beffroi.store.bulk import _in_powers_of_two
from beffroi.store.db import Database, lock_sqlite, make_folder
from beffroi.store.migrate import HEAD, migrate
from beffroi.store.watch import AWAY, Watch
from tests.helpers.clock import START
from tests.helpers.stage import Stage


def test_the_migrations_make_the_schema_of_the_code(database: Database) -> None:
    def is_ours(thing: object, name: str | None, kind: str, *_: object) -> bool:
        table = name if kind == "table" else getattr(getattr(thing, "table", None), "name", "")
        only_there = name == "run_in_hand" and database.is_sqlite
        return not str(table).startswith(("alembic", "pgqueuer")) and not only_there

    with database.engine.connect() as connection:
        options = {"compare_type": False, "include_object": is_ours}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, SQLModel.metadata) == []


def test_the_newest_revision_is_the_one_the_code_asks_for() -> None:
    folder = Path(migrations.__file__).parent / "migrations"
    assert ScriptDirectory(str(folder)).get_current_head() == HEAD


def test_migrating_twice_changes_nothing(database: Database) -> None:
    assert migrate(database) == (HEAD, HEAD)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_no_statement_of_the_engine_reads_a_whole_table(stage: Stage) -> None:
    statements: set[tuple[str, tuple[object, ...]]] = set()

    @event.listens_for(stage.database.engine, "before_cursor_execute")
    def note(_c: object, _cur: object, statement: str, parameters: object, *_: object) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")) and isinstance(parameters, tuple):
            statements.add((statement, parameters))

    stage.add(Interval(every=timedelta(seconds=1), anchor=START))
    stage.pass_time(timedelta(seconds=5))
    stage.take_over()
    assert len(statements) > 10
    with create_engine(stage.database.url).connect() as connection:
        for statement, parameters in list(statements):
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            scans = [row[3] for row in plan if row[3] in ("SCAN run", "SCAN job")]
            assert not scans, f"{scans}: {statement}"


@pytest.mark.parametrize("count", [0, 1, 2, 3, 511, 512, 513, 1300])
def test_batches_are_cut_into_powers_of_two(count: int) -> None:
    rows = [(number,) for number in range(count)]
    chunks = list(_in_powers_of_two(rows))
    assert [row for chunk in chunks for row in chunk] == rows
    assert all(len(chunk) & (len(chunk) - 1) == 0 for chunk in chunks)


def test_a_write_that_fails_changes_nothing(stage: Stage, database: Database) -> None:
    job = stage.add(Interval(every=timedelta(seconds=1), anchor=START))

    def rename_then_fail() -> None:
        with database.write() as session:
            row = session.get(Job, job)
            assert row is not None
            row.name = "other"
            session.flush()
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        rename_then_fail()
    assert stage.job(job).name == "job"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_second_process_is_refused_with_a_sentence(database: Database) -> None:
    lock = lock_sqlite(database.url)
    assert lock is not None
    with pytest.raises(SettingsError, match="Another Beffroi already runs on"):
        lock_sqlite(database.url)
    lock.release()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    url = Database(f"sqlite:///{tmp_path}/file/scheduler.db").url
    with pytest.raises(SettingsError, match="cannot be written"):
        make_folder(url)


def test_the_watch_sees_what_is_written(database: Database) -> None:
    watch = Watch(database)
    before = watch.version()
    if database.is_sqlite:
        assert watch.version() == before
    with database.write() as session:
        signals.absence(session, datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
    assert watch.version() not in (before, AWAY)
    watch.close()


def test_what_may_be_left_out_never_waits_for_a_writer(database: Database) -> None:
    nothing = update(Job).values(note="x")
    with database.write():
        assert database.write_if_free(nothing) is not database.is_sqlite
    assert database.write_if_free(nothing)

"""`beffroi move` carries a database over, whole; afterwards the work goes on there."""

import sqlite3
import time
from pathlib import Path

import psycopg
import pytest

from tests.helpers.postgres import Postgres
from tests.helpers.program import Program, beffroi, eventually
from tests.helpers.receiver import Receiver

TABLES = ("job", "run", "signal", "workload_schedule")


def counts(ask: object) -> list[int]:
    return [ask(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES]  # type: ignore[operator]


@pytest.mark.timeout(120)
def test_everything_is_carried_over_and_the_work_goes_on(
    tmp_path: Path, postgres: Postgres, target: Receiver
) -> None:
    file = f"sqlite:///{tmp_path}/data/sqlite/scheduler.db"
    target.delay = 30
    old = Program(tmp_path, BEFFROI_DRAIN="0s").start()
    action = {"kind": "http", "url": target.url, "method": "POST"}
    for number, every in enumerate(("200ms", "1h")):
        trigger = {"kind": "interval", "every": every}
        old.call("POST", "/jobs", {"name": f"job {number}", "trigger": trigger, "action": action})
    window = {"name": "x", "start_time": "2030-01-01T00:00:00Z", "end_time": "2030-01-02T00:00:00Z"}
    old.call("POST", "/schedules", window)
    by_hand = old.call("POST", "/jobs/2/run")["run_id"]
    eventually(lambda: old.get(f"/runs/{by_hand}")["state"] == "running", "a run that will be interrupted")
    time.sleep(1)
    with postgres.database(empty=True) as url:
        done = beffroi("move", "--from", file, "--to", url, cwd=tmp_path)
        assert (done.returncode, "Another Beffroi" in done.stderr) == (2, True), "not while it is at work"
        old.kill()
        done = beffroi("move", "--from", file, "--to", url, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "run: " in done.stderr
        with sqlite3.connect(f"{tmp_path}/data/sqlite/scheduler.db") as before, psycopg.connect(url) as after:
            assert counts(before.execute) == counts(after.execute)
        again = beffroi("move", "--from", file, "--to", url, cwd=tmp_path)
        assert (again.returncode, "already" in again.stdout) == (0, True), again.stderr

        target.delay = 0
        new = Program(tmp_path, BEFFROI_DATABASE_URL=url).start()
        run = eventually(
            lambda: (r := new.get(f"/runs/{by_hand}"))["state"] == "succeeded" and r, "the interrupted run"
        )
        assert run["attempt"] == 2
        made = new.call("POST", "/jobs", {"name": "new", "trigger": trigger, "action": action})
        assert made["id"] == 4, "numbered after those that were carried over"
        refused = beffroi("move", "--from", file, "--to", url, cwd=tmp_path)
        assert (refused.returncode, "already holds something else" in " ".join(refused.stderr.split())) == (
            2,
            True,
        )
        new.stop()


@pytest.mark.parametrize(
    ("source", "sentence"),
    [("sqlite:///nothing.db", "there is no file"), ("nonsense", "is not an SQLAlchemy URL")],
)
def test_a_bad_source_is_told(tmp_path: Path, source: str, sentence: str) -> None:
    done = beffroi("move", "--from", source, "--to", "sqlite:///other.db", cwd=tmp_path)
    assert (done.returncode, sentence in done.stderr) == (2, True)

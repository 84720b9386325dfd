"""The real program is killed and stopped; afterwards the ledger is complete and nothing is stuck."""

import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from tests.helpers.program import Program, beffroi, eventually
from tests.helpers.receiver import Receiver

OPEN = "state IN ('planned', 'running')"


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    made = Program(tmp_path).start()
    yield made
    made.kill()


def job(target: str, every: str, name: str = "burst", **policy: Any) -> dict[str, Any]:
    return {
        "name": name,
        "trigger": {"kind": "interval", "every": every},
        "action": {"kind": "http", "url": target, "method": "POST"},
        "policy": {"overlap": "allow", "catch_up": "all", "catch_up_limit": 10_000, **policy},
    }


def ledger(folder: Path, query: str) -> list[Any]:
    """Ask the database itself, not the program."""
    with sqlite3.connect(f"file:{folder}/data/sqlite/scheduler.db?mode=ro", uri=True) as database:
        return database.execute(query).fetchall()


def assert_complete(folder: Path, every_us: int) -> int:
    """Check that every occurrence up to the cursor is one row; return how many there are."""
    total = 0
    for job_id, cursor, anchor in ledger(
        folder,
        "SELECT id, cursor, CAST(strftime('%s', json_extract(trigger, '$.anchor')) AS INTEGER) FROM job",
    ):
        rows = ledger(
            folder,
            f"SELECT scheduled_for, occurrences FROM run WHERE job_id = {job_id} AND origin = 'schedule'",
        )
        created = ledger(folder, f"SELECT created_at FROM job WHERE id = {job_id}")[0][0]
        expected = (cursor - anchor * 1_000_000) // every_us - (created - anchor * 1_000_000) // every_us
        assert sum(count for _, count in rows) == expected
        assert len({moment for moment, _ in rows}) == len(rows), "no occurrence twice"
        total += expected
    return total


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_moment_of_a_burst_it_loses_and_doubles_nothing(
    tmp_path: Path, target: Receiver, seed: int
) -> None:
    chance = random.Random(seed)
    target.delay = 0.01
    program = Program(tmp_path).start()
    for number in range(5):
        program.call("POST", "/jobs", job(target.url, "20ms", f"burst {number}"))
    for _ in range(3):
        time.sleep(chance.uniform(0.05, 0.9))
        program.kill()
        program.start()
    for number in range(1, 6):
        program.call("POST", f"/jobs/{number}/pause")
    eventually(lambda: not ledger(tmp_path, f"SELECT id FROM run WHERE {OPEN}"), "all runs to end")
    program.stop()
    total = assert_complete(tmp_path, 20_000)
    assert total > 50
    states = Counter(dict(ledger(tmp_path, "SELECT state, sum(occurrences) FROM run GROUP BY state")))
    assert states["failed"] == 0
    called = Counter(key.replace("-", "") for key in target.keys())
    taken_over = dict(ledger(tmp_path, "SELECT id, token FROM run WHERE state = 'succeeded'"))
    assert set(taken_over) <= set(called), "what is told to have succeeded was called"
    doubled = {run: count for run, count in called.items() if count > 1}
    # A call is made again only when the kill came before its outcome was written: as a rescue, with its key.
    assert all(count <= taken_over[run] + 1 for run, count in doubled.items())
    print(f"seed {seed}: {total} occurrences, {dict(states)}, {len(doubled)} rescued calls")  # noqa: T201


def test_what_was_running_is_rescued_with_its_own_key(tmp_path: Path, target: Receiver) -> None:
    target.delay = 1.5
    program = Program(tmp_path).start()
    program.call("POST", "/jobs", job(target.url, "1h", "slow"))
    run_id = program.call("POST", "/jobs/1/run")["run_id"]
    eventually(lambda: program.get(f"/runs/{run_id}")["state"] == "running", "the run to start")
    program.kill()
    program.start()
    run = eventually(
        lambda: (r := program.get(f"/runs/{run_id}"))["state"] == "succeeded" and r, "the run to be rescued"
    )
    assert (run["attempt"], run["rescues"]) == (2, 1)
    assert target.keys() == [run_id, run_id]
    program.stop()


def test_what_was_missed_is_in_the_ledger_with_its_reason(tmp_path: Path, target: Receiver) -> None:
    program = Program(tmp_path).start()
    program.call("POST", "/jobs", job(target.url, "100ms", "often", catch_up="none"))
    eventually(lambda: target.requests, "the first call")
    program.kill()
    time.sleep(3.5)
    program.start()
    missed = eventually(lambda: program.get("/runs?state=missed"), "a missed row")
    assert missed[0]["reason"] == "slept_through"
    assert missed[0]["occurrences"] >= 10
    assert "Slept through" in missed[0]["message"]
    program.stop()
    assert_complete(tmp_path, 100_000)


def test_a_good_stop_lets_running_work_end(tmp_path: Path, target: Receiver) -> None:
    target.delay = 0.7
    program = Program(tmp_path).start()
    program.call("POST", "/jobs", job(target.url, "1h", "slow"))
    run_id = program.call("POST", "/jobs/1/run")["run_id"]
    eventually(lambda: target.requests, "the call")
    assert program.stop() == 0
    ((state,),) = ledger(tmp_path, f"SELECT state FROM run WHERE id = '{run_id.replace('-', '')}'")
    assert state == "succeeded"


def test_a_stop_has_a_deadline_and_what_it_interrupts_is_rescued(tmp_path: Path, target: Receiver) -> None:
    target.delay = 4
    program = Program(tmp_path, BEFFROI_DRAIN="200ms").start()
    program.call("POST", "/jobs", job(target.url, "1h", "slow"))
    run_id = program.call("POST", "/jobs/1/run")["run_id"]
    eventually(lambda: target.requests, "the call")
    before = time.monotonic()
    assert program.stop() == 0
    assert time.monotonic() - before < 10
    target.delay = 0
    program.start()
    eventually(lambda: program.get(f"/runs/{run_id}")["state"] == "succeeded", "the run to be rescued")
    program.stop()


def test_a_database_locked_by_another_program_is_waited_for(program: Program, target: Receiver) -> None:
    program.call("POST", "/jobs", job(target.url, "200ms", "often"))
    eventually(lambda: target.requests, "the first call")
    other = sqlite3.connect(program.folder / "data/sqlite/scheduler.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    time.sleep(7)
    other.execute("ROLLBACK")
    other.close()
    eventually(program.is_healthy, "the timer to arm itself again")
    before = len(target.requests)
    eventually(lambda: len(target.requests) > before + 3, "calls to go on")


def test_a_disk_that_is_full_is_told_and_nothing_is_lost(program: Program, target: Receiver) -> None:
    program.call("POST", "/jobs", job(target.url, "50ms", "often"))
    eventually(lambda: target.requests, "the first call")
    assert program.process is not None
    pid, unlimited = program.process.pid, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    # No file of the program may grow beyond its present size: what a full disk does to it.
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    eventually(lambda: not program.is_healthy(), "a server that says that it cannot write")
    with pytest.raises(HTTPError) as refused:
        program.call("POST", "/jobs", job(target.url, "1h", "one more"))
    refused.value.close()
    assert refused.value.code == 503
    time.sleep(2)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
    eventually(program.is_healthy, "the timer to arm itself again")
    before = len(target.requests)
    eventually(lambda: len(target.requests) > before + 5, "calls to go on")
    program.call("POST", "/jobs/1/pause")
    eventually(lambda: not ledger(program.folder, f"SELECT id FROM run WHERE {OPEN}"), "all runs to end")
    program.stop()
    assert_complete(program.folder, 50_000)
    assert max(Counter(target.keys()).values()) == 1


def test_a_clock_that_jumps_by_an_hour_fires_nothing_twice(tmp_path: Path, target: Receiver) -> None:
    program = Program(tmp_path)
    program.main = [sys.executable, str(Path(__file__).parent.parent / "helpers" / "skewed.py"), "0"]
    program.start()
    program.call("POST", "/jobs", job(target.url, "100ms", "often", catch_up="last"))
    eventually(lambda: len(target.requests) > 5, "some calls")
    program.signal(signal.SIGUSR1)
    missed = eventually(lambda: program.get("/runs?state=missed"), "the hour that was jumped over")
    assert missed[0]["occurrences"] > 35_000
    before = len(target.requests)
    eventually(lambda: len(target.requests) > before + 5, "calls to go on")
    program.signal(signal.SIGUSR2)
    time.sleep(2)
    silent = len(target.requests)
    time.sleep(1)
    assert len(target.requests) == silent, "what was decided is not decided again"
    program.signal(signal.SIGUSR1)
    eventually(lambda: len(target.requests) > silent + 5, "calls to go on")
    program.stop()
    assert_complete(tmp_path, 100_000)
    assert max(Counter(target.keys()).values()) == 1


def test_a_second_program_on_the_same_file_is_refused(program: Program) -> None:
    refused = beffroi("serve", cwd=program.folder, BEFFROI_LISTEN="127.0.0.1:0")
    assert refused.returncode == 2
    assert "Another Beffroi already runs on" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) <= 2


def test_an_occupied_port_is_told_in_one_sentence(program: Program, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/other.db"
    refused = beffroi(
        "serve", cwd=tmp_path, BEFFROI_LISTEN=f"127.0.0.1:{program.port}", BEFFROI_DATABASE_URL=url
    )
    assert refused.returncode == 2
    assert f"127.0.0.1:{program.port} is in use by another program" in refused.stderr


def test_an_unwritable_folder_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = beffroi("serve", cwd=tmp_path, BEFFROI_DATABASE_URL="sqlite:///file/x/scheduler.db")
    assert refused.returncode == 2
    assert "cannot be written" in refused.stderr


def test_it_listens_on_several_addresses(tmp_path: Path) -> None:
    program = Program(tmp_path)
    other = Program(tmp_path)
    program.environment["BEFFROI_LISTEN"] += f",127.0.0.1:{other.port}"
    program.start()
    assert other.get("/health")["status"] == "healthy"
    program.stop()


def test_uvicorn_can_serve_it_too(tmp_path: Path) -> None:
    program = Program(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "beffroi.app:app", "--port", str(program.port)],
        cwd=tmp_path, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def answers() -> bool:
        try:
            return bool(program.get("/health")["scheduler_running"])
        except OSError:
            return False

    eventually(answers, "uvicorn to serve")
    process.terminate()
    process.wait(timeout=20)


def test_commands_run_and_their_output_is_kept(tmp_path: Path) -> None:
    (tmp_path / "beffroi.toml").write_text(
        f'[commands.hello]\nargv = [{sys.executable!r}, "-c", "print(40 + 2)"]\n'
    )
    program = Program(tmp_path).start()
    action = {"kind": "command", "command": "hello"}
    at = datetime.now(UTC).isoformat()
    program.call("POST", "/jobs", {"name": "hello", "trigger": {"kind": "once", "at": at}, "action": action})
    run = eventually(lambda: program.get("/runs?state=succeeded"), "the command to run")[0]
    assert (run["code"], run["output"]) == (0, "42\n")
    program.stop()

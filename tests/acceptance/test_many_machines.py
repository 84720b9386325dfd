"""Several real processes on one PostgreSQL; some are killed, frozen or cut off. Nothing is lost."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import psycopg
import pytest

from beffroi.core.triggers import read_trigger
from tests.helpers.postgres import Postgres
from tests.helpers.program import Program, beffroi, eventually
from tests.helpers.receiver import Receiver

pytestmark = pytest.mark.timeout(240)


class Fleet:
    """Nodes on one database, and what the database itself says."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.nodes: list[Program] = []

    def node(self, command: str = "serve", **variables: str) -> Program:
        made = Program(self.folder, command=command, BEFFROI_DATABASE_URL=self.url, **variables)
        self.nodes.append(made)
        return made

    def doomed(self, thread: str, statements: int, command: str = "serve", **variables: str) -> Program:
        made = self.node(command, **variables)
        made.main = [sys.executable, str(HELPERS / "doomed.py"), thread, str(statements)]
        return made

    def ask(self, query: str, *parameters: Any) -> list[Any]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(query, parameters).fetchall()

    def settle(self, server: Program) -> None:
        """Stop deciding, and wait until nothing is open."""
        for (job,) in self.ask("SELECT id FROM job WHERE state = 'active'"):
            server.call("POST", f"/jobs/{job}/pause")
        eventually(
            lambda: not self.ask("SELECT 1 FROM run WHERE state IN ('planned', 'running')"),
            "all runs to end",
        )

    def check(self) -> Counter[str]:
        """Compare the ledger with the enumeration of every job; nothing may be left in the queue."""
        for job, trigger, cursor, created in self.ask("SELECT id, trigger, cursor, created_at FROM job"):
            rows = self.ask(
                "SELECT scheduled_for, occurrences FROM run WHERE job_id = %s AND origin = 'schedule'", job
            )
            expected = read_trigger(trigger).count_between(created.astimezone(UTC), cursor.astimezone(UTC))
            assert sum(count for _, count in rows) == expected
            assert len({moment for moment, _ in rows}) == len(rows), "no occurrence twice"
        eventually(lambda: self.ask("SELECT count(*) FROM pgqueuer") == [(0,)], "an empty queue", 12)
        return Counter(dict(self.ask("SELECT state, sum(occurrences)::int FROM run GROUP BY state")))


HELPERS = Path(__file__).parent.parent / "helpers"


@pytest.fixture
def fleet(tmp_path: Path, postgres: Postgres) -> Iterator[Fleet]:
    with postgres.database() as url:
        made = Fleet(tmp_path, url)
        yield made
        for node in made.nodes:
            if node.process is not None and not node.has_ended:
                node.kill()


def job(target: Receiver, name: str, every: str, **policy: Any) -> dict[str, Any]:
    return {
        "name": name,
        "trigger": {"kind": "interval", "every": every},
        "action": {"kind": "http", "url": target.url, "method": "POST"},
        "policy": {"overlap": "allow", "catch_up": "all", "catch_up_limit": 10_000, **policy},
    }


def test_jobs_fire_once_and_the_work_is_shared(fleet: Fleet, target: Receiver) -> None:
    target.delay = 0.05
    servers = [fleet.node().start(), fleet.node(BEFFROI_CONCURRENCY="0").start()]
    for _ in range(2):
        fleet.node("work", BEFFROI_CONCURRENCY="4").start()
    for number in range(8):
        servers[number % 2].call("POST", "/jobs", job(target, f"job {number}", "100ms"))
    time.sleep(4)
    fleet.settle(servers[0])
    states = fleet.check()
    assert set(states) <= {"succeeded", "skipped"}
    calls = Counter(target.keys())
    assert max(calls.values()) == 1
    assert states["succeeded"] == len(calls) > 200
    shares = fleet.ask("SELECT node_id, count(*) FROM run WHERE node_id IS NOT NULL GROUP BY node_id")
    assert len(shares) == 3, "all that execute took part"
    assert {node["role"] for node in servers[1].get("/nodes")} == {"serve", "work"}


def test_a_change_on_one_node_reaches_the_others_at_once(fleet: Fleet, target: Receiver) -> None:
    server = fleet.node(BEFFROI_CONCURRENCY="0").start()
    fleet.node("work").start()
    other = fleet.node(BEFFROI_CONCURRENCY="0").start()
    server.call("POST", "/jobs", job(target, "by hand", "1h"))
    waits = []
    for _ in range(10):
        before, known = time.monotonic(), len(target.requests)
        other.call("POST", "/jobs/1/run")
        eventually(lambda known=known: len(target.requests) > known, "the call")  # type: ignore[misc]
        waits.append(time.monotonic() - before)
    print(f"run now -> call: {sorted(round(1000 * wait) for wait in waits)} ms")  # noqa: T201
    assert sorted(waits)[len(waits) // 2] < 0.5, "told, not polled for"


@pytest.mark.parametrize("seed", range(2))
def test_a_planner_may_die_between_any_two_statements(fleet: Fleet, target: Receiver, seed: int) -> None:
    chance = random.Random(seed)
    worker = fleet.node("work").start()
    first = fleet.node(BEFFROI_CONCURRENCY="0").start()
    for number in range(3):
        first.call("POST", "/jobs", job(target, f"job {number}", "150ms"))
    first.kill()
    places = chance.sample(range(1, 60), 6)
    for statements in places:
        node = fleet.doomed("beffroi-planner", statements, BEFFROI_CONCURRENCY="0").start(wait=False)
        eventually(lambda node=node: node.has_ended, "the end of a planner")  # type: ignore[misc]
    last = fleet.node(BEFFROI_CONCURRENCY="0").start()
    time.sleep(1)
    fleet.settle(last)
    states = fleet.check()
    assert max(Counter(target.keys()).values()) == 1, "no worker died, so nothing is called twice"
    assert not worker.has_ended
    print(f"seed {seed}: died after {places} statements: {dict(states)}")  # noqa: T201


@pytest.mark.parametrize("thread", ["beffroi-feeder", "beffroi-settler", "beffroi-keeper"])
def test_a_worker_may_die_between_any_two_statements(fleet: Fleet, target: Receiver, thread: str) -> None:
    target.delay = 0.05
    server = fleet.node(BEFFROI_CONCURRENCY="0").start()
    for number in range(3):
        server.call("POST", "/jobs", job(target, f"job {number}", "200ms"))
    chance = random.Random(thread)
    places = chance.sample(range(1, 12 if thread == "beffroi-keeper" else 40), 4)
    for statements in places:
        node = fleet.doomed(thread, statements, "work").start(wait=False)
        eventually(lambda node=node: node.has_ended, "the end of a worker")  # type: ignore[misc]
    fleet.node("work").start()
    fleet.settle(server)
    states = fleet.check()
    assert states["failed"] == 0
    _no_call_without_a_reason(fleet, target)
    print(f"{thread} died after {places} statements: {dict(states)}")  # noqa: T201


def _no_call_without_a_reason(fleet: Fleet, target: Receiver) -> None:
    """A call is made again only as a rescue, with its key: the token says how often the run changed hands."""
    calls = Counter(target.keys())
    tokens = {
        str(run): token for run, token in fleet.ask("SELECT id, token FROM run WHERE state = 'succeeded'")
    }
    assert set(tokens) <= set(calls), "what is told to have succeeded was called"
    assert all(count <= tokens[run] for run, count in calls.items() if count > 1)


def test_runs_of_a_dead_worker_come_back_within_ten_seconds(fleet: Fleet, target: Receiver) -> None:
    target.delay = 6.0
    server = fleet.node(BEFFROI_CONCURRENCY="0").start()
    worker = fleet.node("work").start()
    server.call("POST", "/jobs", job(target, "slow", "1h"))
    run_id = server.call("POST", "/jobs/1/run")["run_id"]
    eventually(lambda: server.get(f"/runs/{run_id}")["state"] == "running", "the start")
    fleet.node("work").start()
    worker.kill()
    target.delay, died = 0.0, time.monotonic()
    eventually(lambda: len(target.requests) == 2, "the second call")
    took = time.monotonic() - died
    assert target.keys() == [run_id, run_id]
    run = eventually(lambda: (r := server.get(f"/runs/{run_id}"))["state"] == "succeeded" and r, "its end")
    assert (run["attempt"], run["rescues"]) == (2, 1)
    assert took < 10
    print(f"back after {took:.1f} s")  # noqa: T201


def test_a_frozen_worker_that_wakes_settles_nothing_and_starts_nothing(
    fleet: Fleet, target: Receiver
) -> None:
    target.delay = 2.0
    server = fleet.node(BEFFROI_CONCURRENCY="0").start()
    frozen = fleet.node("work").start()
    server.call("POST", "/jobs", job(target, "slow", "1h"))
    run_id = server.call("POST", "/jobs/1/run")["run_id"]
    eventually(lambda: server.get(f"/runs/{run_id}")["state"] == "running", "the start")
    frozen.signal(signal.SIGSTOP)
    target.delay = 0.0
    fleet.node("work").start()
    run = eventually(lambda: (r := server.get(f"/runs/{run_id}"))["state"] == "succeeded" and r, "its end")
    frozen.signal(signal.SIGCONT)
    eventually(lambda: "silent for too long" in frozen.log.read_text(), "what the frozen one says")
    time.sleep(1)
    assert server.get(f"/runs/{run_id}") == run, "the outcome is the other's"
    assert len(target.requests) == 2
    fleet.check()


def test_overlap_holds_across_nodes(fleet: Fleet, target: Receiver) -> None:
    target.delay = 0.7
    server = fleet.node(BEFFROI_CONCURRENCY="0").start()
    for _ in range(3):
        fleet.node("work").start()
    for overlap in ("skip", "queue", "replace"):
        server.call("POST", "/jobs", job(target, overlap, "500ms", overlap=overlap))
    time.sleep(6)
    fleet.settle(server)
    fleet.check()
    for number in (1, 2, 3):
        spans = fleet.ask(
            "SELECT started_at, finished_at FROM run WHERE job_id = %s AND started_at IS NOT NULL"
            " ORDER BY started_at", number,
        )  # fmt: skip
        assert len(spans) > 3
        for (_, ended), (began, _) in pairwise(spans):
            assert began >= ended - timedelta(milliseconds=5)
    by_job = {number: Counter(dict(states_of(fleet, number))) for number in (1, 2, 3)}
    assert by_job[1]["skipped"] > 0
    assert set(by_job[2]) == {"succeeded", "skipped"} or set(by_job[2]) == {"succeeded"}
    assert by_job[3]["cancelled"] > 0


def states_of(fleet: Fleet, number: int) -> list[Any]:
    return fleet.ask("SELECT state, count(*)::int FROM run WHERE job_id = %s GROUP BY state", number)


def test_connections_may_be_cut_under_load(fleet: Fleet, target: Receiver) -> None:
    server = fleet.node().start()
    fleet.node("work").start()
    for number in range(5):
        server.call("POST", "/jobs", job(target, f"job {number}", "50ms"))
    for _ in range(4):
        time.sleep(0.8)
        fleet.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    eventually(server.is_healthy, "a server that has recovered")
    time.sleep(1)
    fleet.settle(server)
    states = fleet.check()
    assert set(states) <= {"succeeded", "skipped"}
    assert max(Counter(target.keys()).values()) == 1
    print(f"cut four times: {dict(states)}")  # noqa: T201


def test_postgresql_may_be_restarted_under_load(tmp_path: Path, target: Receiver) -> None:
    server = Postgres(Path(mkdtemp(prefix="beffroi-postgres-")))
    with server.database() as url:
        fleet = Fleet(tmp_path, url)
        node, worker = fleet.node().start(), fleet.node("work").start()
        for number in range(5):
            node.call("POST", "/jobs", job(target, f"job {number}", "50ms"))
        for mode in ("fast", "immediate"):
            time.sleep(1.5)
            server.restart(mode)
        eventually(node.is_healthy, "a server that has recovered")
        time.sleep(2)
        fleet.settle(node)
        states = fleet.check()
        assert states["failed"] == 0
        _no_call_without_a_reason(fleet, target)
        print(f"restarted twice: {dict(states)}")  # noqa: T201
        node.stop()
        worker.stop()


def test_nodes_with_wrong_clocks_agree(fleet: Fleet, target: Receiver) -> None:
    nodes = []
    for command, seconds in (("serve", "3600"), ("serve", "-3600"), ("work", "1800")):
        node = fleet.node(command)
        node.main = [sys.executable, str(HELPERS / "skewed.py"), seconds]
        nodes.append(node.start())
    nodes[0].call("POST", "/jobs", job(target, "of the first", "200ms"))
    nodes[1].call("POST", "/jobs", job(target, "of the second", "200ms"))
    time.sleep(3)
    fleet.settle(nodes[1])
    states = fleet.check()
    assert set(states) <= {"succeeded", "skipped"}
    assert states["succeeded"] >= 20
    ((late,),) = fleet.ask("SELECT max(extract(epoch FROM started_at - scheduled_for)) FROM run")
    assert late < 2
    assert all(abs(request.at - time.time()) < 60 for request in target.requests)


def test_a_drained_node_takes_no_more(fleet: Fleet, target: Receiver) -> None:
    target.delay = 0.3
    server = fleet.node(BEFFROI_CONCURRENCY="0").start()
    worker = fleet.node("work").start()
    fleet.node("work").start()
    server.call("POST", "/jobs", job(target, "often", "100ms"))
    eventually(lambda: len(target.requests) > 5, "some calls")
    ((node_id,),) = fleet.ask(
        "SELECT id::text FROM node WHERE pid = %s", worker.process.pid if worker.process else 0
    )
    done = beffroi("drain", node_id, cwd=fleet.folder, BEFFROI_URL=server.url, BEFFROI_DATABASE_URL=fleet.url)
    assert f"Node {node_id} is drained." in done.stdout, done.stderr
    ((last,),) = fleet.ask("SELECT max(started_at) FROM run WHERE node_id = %s", node_id)
    time.sleep(1)
    assert fleet.ask("SELECT max(started_at) FROM run WHERE node_id = %s", node_id) == [(last,)]
    beffroi("drain", "--undo", node_id, cwd=fleet.folder, BEFFROI_URL=server.url)
    eventually(
        lambda: fleet.ask("SELECT 1 FROM run WHERE node_id = %s AND started_at > %s", node_id, last),
        "it to take runs again",
    )
    fleet.settle(server)
    fleet.check()


def test_a_server_asks_for_the_schema_and_a_worker_for_a_shared_database(
    tmp_path: Path, postgres: Postgres
) -> None:
    with postgres.database(empty=True) as url:
        done = beffroi("serve", cwd=tmp_path, BEFFROI_DATABASE_URL=url)
        assert (done.returncode, "Run `beffroi migrate` first" in " ".join(done.stderr.split())) == (2, True)
        done = beffroi("migrate", cwd=tmp_path, BEFFROI_DATABASE_URL=url)
        assert done.returncode == 0, done.stderr
    done = beffroi("work", cwd=tmp_path)
    assert (done.returncode, "postgresql://" in done.stderr) == (2, True)
    away = "postgresql://nobody:secret@127.0.0.1:1/none"
    done = beffroi("serve", cwd=tmp_path, BEFFROI_DATABASE_URL=away)
    assert (done.returncode, "cannot be reached" in done.stderr, "secret" in done.stderr) == (2, True, False)


def test_the_release_before_works_on_the_new_schema_beside_the_new_one(
    postgres: Postgres, target: Receiver, tmp_path: Path
) -> None:
    before: dict[str, str] = {"PYTHONPATH": str(_source_before(tmp_path))}
    with postgres.database(empty=True) as url:
        fleet = Fleet(tmp_path, url)
        database = {"BEFFROI_DATABASE_URL": url}
        assert beffroi("migrate", cwd=tmp_path, **database, **before).returncode == 0
        old = [fleet.node(**before).start(), fleet.node("work", **before).start()]
        assert beffroi("migrate", cwd=tmp_path, **database).returncode == 0
        new = [fleet.node().start(), fleet.node("work").start()]
        old[0].call("POST", "/jobs", job(target, "made by the old one", "100ms"))
        new[0].call("POST", "/jobs", job(target, "made by the new one", "100ms"))
        time.sleep(2)
        assert old[0].stop() == old[1].stop() == 0
        time.sleep(1)
        fleet.settle(new[0])
        states = fleet.check()
        assert set(states) <= {"succeeded", "skipped"}
        assert states["succeeded"] > 20
        assert max(Counter(target.keys()).values()) == 1
        for node in new:
            node.stop()


def _source_before(folder: Path) -> Path:
    """Unpack the program as it was one commit ago."""
    git = ["git", "-C", str(Path(__file__).parent.parent.parent)]
    commits = subprocess.run(
        [*git, "rev-list", "-n", "2", "HEAD", "--", "src/beffroi"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    known = ["ls-tree", "-r", "--name-only", commits[-1] if commits else "", "src/beffroi/store/pgqueuer.py"]
    if len(commits) < 2 or not subprocess.run([*git, *known], capture_output=True, check=False).stdout:
        pytest.skip("no commit before this one knows PostgreSQL")
    archive = subprocess.run([*git, "archive", commits[1], "src"], capture_output=True, check=True)
    (folder / "before").mkdir()
    subprocess.run(["tar", "-x", "-C", folder / "before"], input=archive.stdout, check=True)
    return folder / "before" / "src"

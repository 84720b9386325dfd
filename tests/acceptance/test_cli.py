"""The command line, as a person types it: beside a running server, and without one."""

import json
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from beffroi.core.access import Role
from beffroi.engine.queue import QUEUE, NoQueue
from beffroi.store.db import Database
from tests.helpers.people import token_of
from tests.helpers.program import Program, beffroi

FILE = """
[[jobs]]
name = "nightly"
trigger = {kind = "cron", line = "30 2 * * *", zone = "Europe/Paris"}
action = {kind = "http", url = "http://127.0.0.1:9/"}
policy = {timeout = "never", retries = {max = 2}}

[[jobs]]
name = "often"
trigger = {kind = "interval", every = "30m"}
action = {kind = "python", entry_point = "noop"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "jobs.toml").write_text(FILE)
    return tmp_path


def test_it_works_on_the_database_when_no_server_runs(folder: Path) -> None:
    environment = {"BEFFROI_LISTEN": "127.0.0.1:9"}

    def run(*arguments: str, code: int = 0) -> str:
        done = beffroi(*arguments, cwd=folder, **environment)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if code == 0 else done.stderr

    assert "created: job nightly" in run("apply", "jobs.toml")
    assert "2 unchanged." in run("apply", "jobs.toml")
    listed = json.loads(run("jobs", "list", "--json"))
    assert [job["name"] for job in listed] == ["nightly", "often"]
    assert "cron 30 2 * * *" in run("jobs")
    assert "paused" in run("jobs", "pause", "often", "--note", "holiday")
    assert "not paused" in run("jobs", "resume", "nightly", code=1)
    assert "active" in run("jobs", "resume", "often")
    assert "will be skipped" in run("jobs", "skip", "nightly")
    assert "skipped" in run("next", "nightly")
    assert "nightly" in run("next", "-n", "60")
    assert "no job named" in run("jobs", "show", "moon", code=1)
    assert "is due now" in run("jobs", "run", "often")
    assert "planned" in run("runs")
    assert "is deleted" in run("jobs", "delete", "often")
    (folder / "jobs.toml").write_text("jobs = []")
    assert "would be deleted: job nightly" in run("apply", "jobs.toml", "--prune", "--dry-run")
    assert "deleted: job nightly" in run("apply", "jobs.toml", "--prune")
    assert "No jobs." in run("jobs")


@pytest.mark.parametrize("suffix", ["toml", "yaml"])
def test_what_is_exported_can_be_applied(folder: Path, suffix: str) -> None:
    environment = {"BEFFROI_LISTEN": "127.0.0.1:9"}
    beffroi("apply", "jobs.toml", cwd=folder, **environment)
    assert "2 jobs written" in beffroi("export", f"out.{suffix}", cwd=folder, **environment).stdout
    applied = beffroi("apply", f"out.{suffix}", cwd=folder, **environment)
    assert "2 unchanged." in applied.stdout, applied.stderr


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[[jobs", "is not TOML"),
        ("[[jobs]]\nname = 'x'", "jobs.0.trigger: field required"),
        ("[[job]]\nname = 'x'", "must hold lists named targets, schedules, jobs"),
        (FILE.replace("30 2", "99 2"), "jobs.0.trigger: '99 2 * * *' is not a cron line: bad minute"),
        (FILE.replace("often", "nightly"), "two jobs are named 'nightly'"),
    ],
)
def test_a_bad_file_is_told_and_changes_nothing(folder: Path, text: str, sentence: str) -> None:
    environment = {"BEFFROI_LISTEN": "127.0.0.1:9"}
    (folder / "jobs.toml").write_text(text)
    done = beffroi("apply", "jobs.toml", cwd=folder, **environment)
    assert done.returncode == 2
    assert sentence in done.stderr.replace("\n", " ")
    assert beffroi("jobs", "--help", cwd=folder).returncode == 0


def test_it_talks_to_the_server_that_runs(folder: Path) -> None:
    program = Program(folder).start()
    own = {"BEFFROI_LISTEN": f"127.0.0.1:{program.port}"}
    assert "created: job nightly" in beffroi("apply", "jobs.toml", cwd=folder, **own).stdout
    assert len(program.get("/jobs")) == 2
    elsewhere = beffroi("jobs", cwd=folder, BEFFROI_URL=program.url)
    assert "nightly" in elsewhere.stdout
    program.stop()
    lost = beffroi("jobs", cwd=folder, BEFFROI_URL=program.url)
    assert (lost.returncode, "Nothing answers at" in lost.stderr) == (1, True)


def test_check_tells_every_error_and_warning(tmp_path: Path) -> None:
    fine = beffroi("check", cwd=tmp_path)
    assert (fine.returncode, "The configuration is fine" in fine.stdout) == (0, True)
    (tmp_path / "beffroi.toml").write_text(
        'listen = ["0.0.0.0:8000"]\n[commands.x]\nargv = ["/no/such/program"]\ncwd = "/no/such/folder"\n'
    )
    warned = beffroi("check", "--json", cwd=tmp_path)
    assert warned.returncode == 0
    assert len(json.loads(warned.stdout)["warnings"]) == 3
    (tmp_path / "beffroi.toml").write_text('concurrency = 0\ntimezone = "Mars"\ncolour = "red"\n')
    wrong = beffroi("check", "--json", cwd=tmp_path)
    assert wrong.returncode == 2
    errors = json.loads(wrong.stdout)["errors"]
    assert [error.split(":")[0] for error in errors] == ["timezone", "concurrency", "colour"]


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"BEFFROI_DATABSE_URL": "x"}, "BEFFROI_DATABSE_URL: no such setting"),
        ({"BEFFROI_DATABASE_URL": "nonsense"}, "database_url: is not an SQLAlchemy URL"),
        ({"BEFFROI_DATABASE_URL": "mysql://x/y"}, "'mysql' is not supported"),
        ({"BEFFROI_DATABASE_URL_FILE": "/no/such/file"}, "cannot be read"),
        ({"BEFFROI_LISTEN": "8000"}, "listen: '8000' is not an address"),
        ({"BEFFROI_PLAN_AHEAD": "soon"}, "plan_ahead: 'soon' is not a duration"),
        ({"BEFFROI_CONFIG": "/no/such/file.toml"}, "cannot be read"),
    ],
)
def test_a_bad_variable_stops_the_start_with_a_sentence(
    tmp_path: Path, variables: dict[str, str], sentence: str
) -> None:
    done = beffroi("serve", cwd=tmp_path, **variables)
    assert done.returncode == 2
    assert sentence in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(f"sqlite:///{tmp_path}/deep/er/own.db\n")
    done = beffroi("migrate", cwd=tmp_path, BEFFROI_DATABASE_URL_FILE=str(tmp_path / "url"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "deep/er/own.db").exists()


def test_the_log_can_be_json(tmp_path: Path) -> None:
    program = Program(tmp_path, BEFFROI_LOG="json").start()
    program.stop()
    records = [json.loads(line) for line in program.log.read_text().splitlines()]
    assert any(record["message"].endswith("runs at a time.") for record in records)
    assert {"time", "level", "message"} <= set(records[0])


def test_help_and_version_and_completion(tmp_path: Path) -> None:
    assert "apply" in beffroi("--help", cwd=tmp_path).stdout
    assert beffroi("--version", cwd=tmp_path).stdout.startswith("beffroi ")
    assert beffroi("--show-completion", "bash", cwd=tmp_path).returncode in (0, 1, 2)


def test_next_of_all_jobs_is_complete_up_to_its_end(folder: Path) -> None:
    (folder / "busy.toml").write_text(
        "[[jobs]]\nname = 'often'\ntrigger = {kind = 'interval', every = '10s'}\n"
        "action = {kind = 'python', entry_point = 'noop'}\n"
        "[[jobs]]\nname = 'rare'\ntrigger = {kind = 'interval', every = '1h'}\n"
        "action = {kind = 'python', entry_point = 'noop'}\n"
    )
    assert beffroi("apply", "busy.toml", cwd=folder).returncode == 0
    rows = json.loads(beffroi("next", "-n", "12", "--json", cwd=folder).stdout)
    moments = [datetime.fromisoformat(row["at"]) for row in rows if row["job"] == "often"]
    assert len(rows) == 12
    assert len(moments) >= 11, "not cut to the few that a list shows"
    assert all(after - before == timedelta(seconds=10) for before, after in pairwise(moments))


def test_a_server_that_asks_who_calls_is_told_by_a_token(tmp_path: Path) -> None:
    program = Program(tmp_path, BEFFROI_AUTH="on").start()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    refused = beffroi("jobs", cwd=elsewhere, BEFFROI_URL=program.url)
    assert refused.returncode == 1
    assert "make a token on its pages, and put it into BEFFROI_TOKEN" in refused.stdout + refused.stderr
    program.stop()
    database = Database(f"sqlite:///{tmp_path}/data/sqlite/scheduler.db", {QUEUE: NoQueue()})
    key = token_of(database, Role.OPERATOR)["Authorization"].removeprefix("Bearer ")
    database.close()
    program.start()
    let_in = beffroi("jobs", "list", "--json", cwd=elsewhere, BEFFROI_URL=program.url, BEFFROI_TOKEN=key)
    assert (let_in.returncode, let_in.stdout.strip()) == (0, "[]"), let_in.stderr
    assert "welcome?key=" in program.log.read_text(encoding="utf-8")
    program.stop()


def deployment(name: str, annotations: dict[str, str]) -> dict[str, object]:
    metadata = {"name": name, "namespace": "shop", "annotations": annotations}
    return {"kind": "Deployment", "metadata": metadata}


def test_annotations_of_another_scaler_become_a_file_that_applies(tmp_path: Path) -> None:
    weekend = {"downscaler/downtime": "Sat-Sun 00:00-24:00 Europe/Berlin"}
    until = {**weekend, "downscaler/exclude-until": "2030-01-01"}
    objects = {"kind": "List", "items": [deployment("web", weekend), deployment("api", until)]}
    (tmp_path / "cluster.json").write_text(json.dumps(objects))
    imported = beffroi("import", "downscaler", "cluster.json", cwd=tmp_path)
    assert imported.returncode == 0, imported.stderr
    assert "Deployment shop/api: left out, for downscaler/exclude-until has no" in imported.stderr
    (tmp_path / "workloads.toml").write_text(imported.stdout)
    applied = beffroi("apply", "workloads.toml", cwd=tmp_path)
    assert "created: target shop/deployment/web" in applied.stdout, applied.stderr
    assert beffroi("import", "downscaler", "nowhere.yaml", cwd=tmp_path).returncode == 2

"""Jobs and runs over JSON: what a user does, with a real timer and a real server to call."""

import itertools
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update
from sqlmodel import col

from beffroi.engine.models import Job
from tests.helpers.program import eventually
from tests.helpers.receiver import Receiver


def spec(target: str = "http://127.0.0.1:9/", **changes: Any) -> dict[str, Any]:
    return {
        "name": "ping",
        "trigger": {"kind": "interval", "every": "1h"},
        "action": {"kind": "http", "url": target},
        **changes,
    }


def create(client: TestClient, body: dict[str, Any]) -> Any:
    answer = client.post("/jobs", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def finished(client: TestClient, job: int, count: int = 1) -> list[Any]:
    """Wait until so many runs of the job are over; return them, the oldest first."""

    def over() -> list[Any]:
        runs = client.get("/runs", params={"job": job}).json()
        ended = [run for run in runs if run["finished_at"]]
        return ended[::-1] if len(ended) >= count else []

    found: list[Any] = eventually(over, f"{count} finished runs of job {job}")
    return found


def test_an_interval_job_calls_a_server_on_time(client: TestClient, target: Receiver) -> None:
    job = create(client, spec(target.url, trigger={"kind": "interval", "every": "200ms"}))
    runs = finished(client, job["id"], 4)
    assert [run["state"] for run in runs] == ["succeeded"] * len(runs)
    assert all(run["code"] == 200 and run["output"] == "ok" for run in runs)
    assert all(0 <= run["lateness_seconds"] < 5 and run["duration_seconds"] > 0 for run in runs)
    assert {run["id"] for run in runs} <= set(target.keys())
    moments = [datetime.fromisoformat(run["scheduled_for"]) for run in runs]
    assert all(later - sooner == timedelta(milliseconds=200) for sooner, later in itertools.pairwise(moments))


def test_creating_answers_with_place_version_and_next_occurrences(client: TestClient) -> None:
    body = spec(trigger={"kind": "cron", "line": "30 2 * * *", "zone": "Europe/Paris"})
    answer = client.post("/jobs", json=body)
    job = answer.json()
    assert answer.headers["Location"] == f"/jobs/{job['id']}"
    assert answer.headers["ETag"] == '"1"'
    assert len(job["next"]) == 5
    assert client.get(f"/jobs/{job['id']}").json()["name"] == "ping"
    assert len(client.get(f"/jobs/{job['id']}/next", params={"n": 40}).json()) == 40


def test_a_lost_update_is_refused(client: TestClient) -> None:
    job = create(client, spec())
    path = f"/jobs/{job['id']}"
    first = client.patch(path, json={"name": "one"}, headers={"If-Match": '"1"'})
    assert (first.status_code, first.headers["ETag"]) == (200, '"2"')
    for method, body in (("PATCH", {"name": "two"}), ("PUT", spec(name="two")), ("DELETE", None)):
        stale = client.request(method, path, json=body, headers={"If-Match": '"1"'})
        assert stale.status_code == 412
        assert "Somebody else changed this" in stale.json()["detail"]
    assert client.get(path).json()["name"] == "one"


def test_parts_are_changed_and_the_rest_stays(client: TestClient) -> None:
    job = create(client, spec(policy={"retries": {"max": 3}}))
    changed = client.patch(
        f"/jobs/{job['id']}",
        json={"trigger": {"every": "2h"}, "policy": {"retries": {"first_delay": "1s"}, "timeout": "never"}},
    ).json()
    assert changed["trigger"] == {**job["trigger"], "every": "2h"}
    assert changed["policy"]["retries"] == {**job["policy"]["retries"], "first_delay": "1s"}
    assert changed["policy"]["timeout"] == "never"
    assert changed["action"] == job["action"]


def test_another_kind_of_trigger_takes_nothing_over(client: TestClient) -> None:
    job = create(client, spec())
    answer = client.patch(f"/jobs/{job['id']}", json={"trigger": {"kind": "cron", "line": "0 3 * * *"}})
    assert answer.json()["trigger"]["kind"] == "cron"


def test_pause_resume_run_and_skip(client: TestClient, target: Receiver) -> None:
    job = create(client, spec(target.url))
    path = f"/jobs/{job['id']}"
    until = (datetime.now(UTC) + timedelta(hours=3)).isoformat()
    paused = client.post(f"{path}/pause", json={"note": "disk", "until": until}).json()
    assert (paused["state"], paused["note"]) == ("paused", "disk")
    assert client.post(f"{path}/run").status_code == 202, "a paused job can be run by hand"
    (run,) = finished(client, job["id"])
    assert (run["origin"], run["state"]) == ("manual", "succeeded")
    assert client.post(f"{path}/resume").json()["state"] == "active"
    skipped = client.post(f"{path}/skip").json()
    assert skipped["next"][0] == {"at": skipped["skipped"], "skipped": True}
    assert skipped["next"][1]["skipped"] is False
    assert client.post(f"{path}/resume").status_code == 409


def test_an_interval_changed_while_it_runs_follows_the_new_one(client: TestClient, target: Receiver) -> None:
    job = create(client, spec(target.url, trigger={"kind": "interval", "every": "100ms"}))
    finished(client, job["id"], 2)
    client.patch(f"/jobs/{job['id']}", json={"trigger": {"every": "1h"}})
    time.sleep(0.3)
    before = len(target.requests)
    time.sleep(0.5)
    assert len(target.requests) == before


def test_a_deleted_job_is_gone_and_its_runs_stay(client: TestClient, target: Receiver) -> None:
    job = create(client, spec(target.url, trigger={"kind": "once", "at": "2026-01-01T00:00:00Z"}))
    (run,) = finished(client, job["id"])
    assert client.delete(f"/jobs/{job['id']}").json() == {"status": "deleted"}
    assert client.get(f"/jobs/{job['id']}").status_code == 404
    assert client.get(f"/runs/{run['id']}").json()["job_name"] == "ping"
    create(client, spec(target.url))


def test_a_failing_job_says_so_and_recovers(client: TestClient, target: Receiver) -> None:
    target.answers = [500, 500, 200]
    retries = {"max": 1, "first_delay": "10ms"}
    job = create(client, spec(target.url, policy={"retries": retries}))
    client.post(f"/jobs/{job['id']}/run")
    (run,) = finished(client, job["id"])
    assert (run["state"], run["code"], run["attempt"]) == ("failed", 500, 2)
    assert run["message"] == "The answer was 500, expected 200 to 299."
    assert [attempt["code"] for attempt in run["earlier_attempts"]] == [500]
    assert client.get("/jobs", params={"health": "failing"}).json()[0]["id"] == job["id"]
    client.post(f"/jobs/{job['id']}/run")
    finished(client, job["id"], 2)
    assert client.get("/jobs", params={"health": "failing"}).json() == []


def test_a_run_that_hangs_is_cancelled_at_its_timeout_or_by_hand(
    client: TestClient, target: Receiver
) -> None:
    target.delay = 5
    job = create(client, spec(target.url, policy={"timeout": "100ms"}))
    client.post(f"/jobs/{job['id']}/run")
    (run,) = finished(client, job["id"])
    assert (run["state"], run["reason"]) == ("failed", "timeout")
    client.patch(f"/jobs/{job['id']}", json={"policy": {"timeout": "1h"}})
    run_id = client.post(f"/jobs/{job['id']}/run").json()["run_id"]
    eventually(lambda: client.get(f"/runs/{run_id}").json()["state"] == "running", "the run to start")
    assert client.post(f"/runs/{run_id}/cancel").json() == {"status": "cancelling"}
    last = finished(client, job["id"], 2)[-1]
    assert (last["state"], last["reason"]) == ("cancelled", "by_hand")


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [("skip", "skipped"), ("allow", "succeeded"), ("queue", "succeeded"), ("replace", "cancelled")],
)
def test_overlap_is_ruled_by_the_policy(
    client: TestClient, target: Receiver, overlap: str, expected: str
) -> None:
    target.delay = 0.3
    job = create(client, spec(target.url, policy={"overlap": overlap}))
    first = client.post(f"/jobs/{job['id']}/run").json()["run_id"]
    eventually(lambda: client.get(f"/runs/{first}").json()["state"] == "running", "the first run to start")
    second = client.post(f"/jobs/{job['id']}/run").json()["run_id"]
    finished(client, job["id"], 2)
    states = {run_id: client.get(f"/runs/{run_id}").json()["state"] for run_id in (first, second)}
    assert states[first if overlap == "replace" else second] == expected


def test_lists_are_paged_by_links(client: TestClient) -> None:
    for number in range(5):
        create(client, spec(name=f"job {number}"))
    seen, path = [], "/jobs?limit=2&name=job"
    while path:
        answer = client.get(path)
        seen += [job["name"] for job in answer.json()]
        path = answer.headers.get("Link", "").split(">")[0].removeprefix("<")
    assert seen == [f"job {number}" for number in range(5)]


@pytest.mark.parametrize("by_job", [True, False])
def test_runs_are_paged_by_links(client: TestClient, target: Receiver, by_job: bool) -> None:
    job = create(client, spec(target.url, policy={"overlap": "allow"}))
    ids = [client.post(f"/jobs/{job['id']}/run").json()["run_id"] for _ in range(5)]
    finished(client, job["id"], 5)
    seen, path = [], "/runs?limit=2&state=succeeded" + (f"&job={job['id']}" if by_job else "")
    while path:
        answer = client.get(path)
        seen += [run["id"] for run in answer.json()]
        path = answer.headers.get("Link", "").split(">")[0].removeprefix("<")
    assert sorted(seen) == sorted(ids)
    assert len(seen) == 5


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({"trigger": {"kind": "interval", "every": "5"}}, "trigger.every", "'5' is not a duration"),
        ({"trigger": {"kind": "cron", "line": "0 0 31 2 *"}}, "trigger", "never fires"),
        (
            {"trigger": {"kind": "cron", "line": "* * * * *", "zone": "Mars"}},
            "trigger.zone",
            "not a time zone",
        ),
        ({"trigger": {"kind": "once", "at": "2026-01-01T00:00:00"}}, "trigger.at", "needs its offset"),
        ({"trigger": {"kind": "moon"}}, "trigger", "does not match any of the expected tags"),
        ({"trigger": {"kind": "interval", "every": "5s", "evry": 1}}, "trigger.evry", "not permitted"),
        ({"action": {"kind": "http", "url": "ftp://x"}}, "action.url", "must be an http"),
        (
            {"action": {"kind": "command", "command": "rm"}},
            "action.command",
            "the configuration file names: backup",
        ),
        ({"action": {"kind": "python", "entry_point": "x"}}, "action.entry_point", "installed are: noop"),
        (
            {"action": {"kind": "workload", "schedule_id": 1}},
            "action",
            "does not match any of the expected tags",
        ),
        ({"policy": {"timeout": "0s"}}, "policy.timeout", "longer than zero"),
        ({"policy": {"retries": {"max": -1}}}, "policy.retries.max", "greater than or equal to 0"),
        ({"name": ""}, "name", "at least 1 character"),
        ({"name": "a\nb"}, "name", "match pattern"),
    ],
)
def test_a_mistake_is_told_with_its_field(
    client: TestClient, changes: dict[str, Any], field: str, sentence: str
) -> None:
    answer = client.post("/jobs", json=spec(**changes))
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert [error["field"] for error in problem["errors"]] == [field]
    assert sentence in problem["detail"]
    assert client.get("/jobs").json() == [], "nothing was written"


def test_a_body_that_is_no_json_is_told(client: TestClient) -> None:
    answer = client.post("/jobs", content=b"{", headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert "the body is not JSON" in answer.json()["detail"]


def test_a_taken_name_is_a_conflict(client: TestClient) -> None:
    create(client, spec())
    answer = client.post("/jobs", json=spec())
    assert (answer.status_code, answer.json()["title"]) == (409, "Conflict")


def test_what_is_not_there_is_told(client: TestClient) -> None:
    for path in ("/jobs/77", "/runs/00000000-0000-7000-8000-000000000000", "/schedules/77", "/nowhere"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert answer.headers["Content-Type"] == "application/problem+json"
    assert client.put("/jobs").status_code == 405


def test_a_broken_job_is_shown_and_can_be_replaced(client: TestClient) -> None:
    job = create(client, spec())
    path = f"/jobs/{job['id']}"
    with client.app.state.context.database.write() as session:  # type: ignore[attr-defined]
        session.execute(
            update(Job)
            .where(col(Job.id) == job["id"])
            .values(trigger="{nonsense", next_due_at=col(Job.cursor))
        )
    eventually(lambda: client.get(path).json()["state"] == "broken", "the job to be parked")
    assert client.get(path).json()["trigger"] == "{nonsense"
    assert client.get("/jobs").json()[0]["state"] == "broken"
    assert client.patch(path, json={"name": "x"}).status_code == 409
    assert client.put(path, json=spec()).json()["state"] == "active"


def test_a_document_is_applied_as_a_whole(client: TestClient) -> None:
    create(client, spec(name="by hand"))
    document = {"jobs": [spec(name="a"), spec(name="b")]}
    assert client.post("/apply", json={**document, "dry_run": True}).json()["created"] == ["job a", "job b"]
    assert len(client.get("/jobs").json()) == 1
    assert client.post("/apply", json=document).json()["created"] == ["job a", "job b"]
    assert client.post("/apply", json=document).json()["unchanged"] == ["job a", "job b"]
    bad = {"jobs": [spec(name="c"), spec(name="d", action={"kind": "command", "command": "rm"})]}
    refused = client.post("/apply", json=bad)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "jobs[d].action.command"
    changed = {"jobs": [spec(name="b", policy={"priority": 3})], "prune": True}
    report = client.post("/apply", json=changed).json()
    assert (report["changed"], report["deleted"]) == (["job b"], ["job a"])
    assert {job["name"] for job in client.get("/jobs").json()} == {"by hand", "b"}


def test_what_is_exported_applies_without_a_change(client: TestClient) -> None:
    create(client, spec(name="a", policy={"timeout": "never", "misfire_grace": "5m"}))
    create(client, spec(name="b", trigger={"kind": "cron", "line": "0 3 * * *", "gap": "skip"}))
    exported = client.get("/export").json()
    report = client.post("/apply", json=exported).json()
    assert report["unchanged"] == report["taken_over"] == ["job a", "job b"], (
        "they belong to files from now on"
    )
    assert client.post("/apply", json=exported).json()["taken_over"] == []


def test_health_says_whether_the_timer_is_armed(client: TestClient) -> None:
    answer = client.get("/health")
    assert answer.status_code == 200
    health = answer.json()
    assert (health["status"], health["scheduler_running"], health["troubles"]) == ("healthy", True, [])
    assert isinstance(health["uptime_seconds"], int)


def test_a_timer_that_cannot_work_is_told_and_recovers(client: TestClient, target: Receiver) -> None:
    database = client.app.state.context.database  # type: ignore[attr-defined]
    with database.write() as session:
        session.connection().exec_driver_sql("ALTER TABLE run RENAME TO away")
    create(client, spec(target.url, trigger={"kind": "interval", "every": "100ms"}))
    sick = eventually(lambda: (a := client.get("/health")).status_code == 503 and a.json(), "a sick timer")
    assert sick["status"] == "unhealthy"
    assert "the planner failed" in sick["troubles"][0]
    with database.write() as session:
        session.connection().exec_driver_sql("ALTER TABLE away RENAME TO run")
    eventually(lambda: client.get("/health").status_code == 200, "the timer to arm itself again")
    eventually(lambda: target.requests, "the job to run again")


def test_many_writers_at_once_are_all_served(client: TestClient) -> None:
    with ThreadPoolExecutor(80) as people:
        bodies = [spec(name=f"job {number}") for number in range(80)]
        answers = list(people.map(lambda body: client.post("/jobs", json=body).status_code, bodies))
    assert answers == [201] * 80
    assert client.get("/health").status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"trigger": {"kind": "once", "at": "0001-01-01T00:00:00Z"}},
        {"trigger": {"kind": "once", "at": "9999-12-31T23:59:59-12:00"}},
        {"policy": {"timeout": "P1000000D"}},
        {"action": {"kind": "http", "url": "http://x/", "body": "\ud800"}},
    ],
)
def test_what_is_outside_the_calendar_or_the_alphabet_is_refused(
    client: TestClient, changes: dict[str, Any]
) -> None:
    content = json.dumps(spec(**changes))
    answer = client.post("/jobs", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert client.get("/jobs").json() == []

"""Targets, overrides and explanations over JSON, with the timer at work."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from beffroi.domains.workloads import service as service_of_schedules
from beffroi.domains.workloads import targets
from tests.helpers.people import database_of
from tests.helpers.program import eventually
from tests.helpers.receiver import Receiver, receiver

HOUR = timedelta(hours=1)


@pytest.fixture
def service() -> Iterator[Receiver]:
    with receiver() as told:
        yield told


def http(url: str) -> dict[str, Any]:
    headers = {"Authorization": "Bearer s3cret"}
    up, down = ({"url": f"{url}/{what}", "method": "POST", "headers": headers} for what in ("up", "down"))
    return {"kind": "http", "up": up, "down": down}


def schedule(target: str | None, start: timedelta, end: timedelta, **more: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    times = {"start_time": (now + start).isoformat(), "end_time": (now + end).isoformat()}
    return {"name": "w", "target": target, **times, **more}


def paths(service: Receiver) -> list[str]:
    return [request.path for request in service.requests]


def test_a_target_follows_its_windows(client: TestClient, service: Receiver) -> None:
    made = client.post("/targets", json={"name": "crm", "workload": http(service.url)})
    assert (made.status_code, made.json()) == (201, {"status": "created", "id": 1})
    assert made.headers["Location"] == "/targets/1"
    client.post("/schedules", json=schedule("crm", timedelta(seconds=0.8), timedelta(seconds=1.6)))
    eventually(lambda: paths(service) == ["/down", "/up", "/down"], "both edges")
    shown = eventually(
        lambda: (row := client.get("/targets/1").json())["done_at"] and row["observed"] == "down" and row,
        "what was done",
    )
    assert (shown["wanted"], shown["trouble"], shown["schedules"]) == ("down", None, [1])
    assert shown["done"].startswith("called POST")
    assert client.get("/schedules/1").json()["status"] == "completed"
    assert client.get("/targets").json()[0]["hours"]["down"] >= 0


def test_an_override_speaks_louder_and_ends(client: TestClient, service: Receiver) -> None:
    client.post("/targets", json={"name": "crm", "workload": http(service.url)})
    client.post("/schedules", json=schedule("crm", HOUR, 2 * HOUR))
    eventually(lambda: paths(service) == ["/down"], "the first pass")
    said = client.post("/schedules/1/override", json={"wanted": "up", "note": "the demo runs late"}).json()
    eventually(lambda: paths(service) == ["/down", "/up"], "the word to be heard")
    explained = client.get("/schedules/1/explain").json()
    assert explained["wanted"] == "up"
    assert explained["winner"]["kind"] == "override"
    assert "said up, until" in explained["because"]
    assert explained["because"].endswith(": the demo runs late.")
    at = datetime.fromisoformat(said["until"]) - datetime.fromisoformat(explained["at"])
    assert abs(at - 2 * HOUR) < timedelta(minutes=1), "an up before a window runs to its end"
    assert client.delete(f"/schedules/1/overrides/{said['id']}").status_code == 200
    eventually(lambda: paths(service) == ["/down", "/up", "/down"], "the end of it")
    assert client.delete(f"/schedules/1/overrides/{said['id']}").status_code == 409
    assert len(client.get("/schedules/1/overrides").json()) == 1, "it stays on record"
    assert client.get("/audit", params={"subject": "/schedules/1/over"}).json()[0]["action"]


def test_explain_looks_into_past_and_future(client: TestClient) -> None:
    client.post("/targets", json={"name": "watched", "workload": {"kind": "none"}})
    start = "2026-03-02T08:00:00"
    body = {"name": "by day", "start_time": start, "end_time": "2026-03-02T18:00:00", "target": "watched"}
    client.post("/schedules", json={**body, "recurrence": "0 8 * * 1-5", "timezone": "Europe/Paris"})
    ask = {"target": "watched", "at": "2026-03-06T18:00:00"}
    found = client.get("/targets/explain", params=ask).json()
    assert (found["wanted"], found["because"], found["winner"]) == ("down", "No window holds.", None)
    assert found["next_change"] == "2026-03-09T08:00:00+01:00"
    assert (
        client.get("/targets/explain", params={**ask, "at": "2026-03-06T17:59:59"}).json()["wanted"] == "up"
    )
    assert client.get("/targets/explain", params={"target": "moon"}).status_code == 404
    gap = client.get("/schedules/1/explain", params={"at": "2026-03-29T02:30:00"})
    assert gap.status_code == 200, "a wall time that the clocks jump over is read as what comes next"


def test_bad_targets_name_their_field(client: TestClient) -> None:
    for workload, field in (
        ({"kind": "kubernetes", "resource": "deployment"}, "workload"),
        ({"kind": "kubernetes", "resource": "pod", "name": "x"}, "workload.resource"),
        ({"kind": "http", "up": {"url": "ftp://x"}, "down": {"url": "http://x"}}, "workload.up.url"),
        ({"kind": "kubernetes", "resource": "cronjob", "name": "Web"}, "workload.name"),
    ):
        refused = client.post("/targets", json={"name": "x", "workload": workload})
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["field"] == field
    unknown = client.post("/schedules", json=schedule("moon", HOUR, 2 * HOUR))
    assert unknown.json()["errors"][0] == {
        "field": "target",
        "message": "there is no target named 'moon'; make it first: POST /targets",
    }
    assert client.post("/schedules", json=schedule(None, HOUR, 2 * HOUR, replicas=3)).status_code == 422
    past = {"wanted": "up", "until": "2020-01-01T00:00:00Z"}
    client.post("/schedules", json=schedule(None, HOUR, 2 * HOUR))
    assert client.post("/schedules/1/override", json=past).json()["errors"][0]["field"] == "until"
    client.patch("/schedules/1", json={"active": False})
    assert client.post("/schedules/1/override", json={"wanted": "up"}).status_code == 409


def test_a_target_that_is_named_or_down_is_not_deleted(client: TestClient, service: Receiver) -> None:
    client.post("/targets", json={"name": "crm", "workload": http(service.url)})
    client.post("/schedules", json=schedule("crm", HOUR, 2 * HOUR))
    eventually(lambda: client.get("/targets/1").json()["observed"] == "down", "it to be down")
    assert "Schedules name the target 'crm': w" in client.delete("/targets/1").json()["detail"]
    elsewhere = client.patch("/targets/1", json={"workload": {"kind": "none"}})
    assert elsewhere.status_code in (409, 422)
    service.delay = 0.3
    client.delete("/schedules/1")
    assert "down by us" in client.delete("/targets/1").json()["detail"]
    eventually(lambda: client.delete("/targets/1").status_code == 200, "it to come up")
    assert paths(service) == ["/down", "/up"]
    assert client.get("/targets").json() == []
    assert [job["name"] for job in client.get("/jobs").json()] == [], "with the last target the resync goes"


def test_schedules_and_targets_are_declared_in_one_document(client: TestClient) -> None:
    document: dict[str, Any] = {
        "targets": [{"name": "watched", "workload": {"kind": "none"}}],
        "schedules": [
            {
                "name": "by day",
                "start_time": "2026-03-02T08:00:00",
                "end_time": "2026-03-02T18:00:00",
                "recurrence": "0 8 * * 1-5",
                "timezone": "Europe/Paris",
                "target": "watched",
            }
        ],
    }
    report = client.post("/apply", json=document).json()
    assert report["created"] == ["target watched", "schedule by day"]
    assert client.post("/apply", json=document).json()["unchanged"] == ["target watched", "schedule by day"]
    exported = client.get("/export").json()
    assert exported["schedules"][0]["target"] == "watched"
    assert client.post("/apply", json=exported).json()["unchanged"] == ["target watched", "schedule by day"]
    document["schedules"][0]["end_time"] = "2026-03-02T19:00:00"
    assert client.post("/apply", json=document).json()["changed"] == ["schedule by day"]
    document["schedules"][0]["target"] = "moon"
    refused = client.post("/apply", json=document).json()
    assert refused["errors"][0]["field"] == "schedules[by day].target"
    assert client.post("/apply", json={"jobs": [], "prune": True}).json()["deleted"] == [], (
        "not given, not touched"
    )
    gone = client.post("/apply", json={"targets": [], "schedules": [], "prune": True}).json()
    assert gone["deleted"] == ["schedule by day", "target watched"]
    assert client.get("/schedules").json() == []


def test_schedules_are_found_by_their_target(client: TestClient) -> None:
    for name in ("crm", "erp"):
        client.post("/targets", json={"name": name, "workload": {"kind": "none"}})
        client.post("/schedules", json=schedule(name, HOUR, 2 * HOUR))
    found = client.get("/schedules", params={"target": "erp"}).json()
    assert [each["target"] for each in found] == ["erp"]
    assert client.get("/schedules", params={"target": "unknown"}).json() == []


def test_what_is_down_by_us_waits_to_be_pruned(client: TestClient, service: Receiver) -> None:
    spec = {"name": "crm", "workload": http(service.url)}
    client.post("/apply", json={"targets": [spec], "schedules": [schedule("crm", HOUR, 2 * HOUR)]})
    eventually(lambda: client.get("/targets/1").json()["observed"] == "down", "it to be down")
    gone = {"targets": [], "schedules": [], "prune": True}
    report = client.post("/apply", json=gone).json()
    assert (report["deleted"], report["waiting"]) == (["schedule w"], ["target crm"])
    eventually(lambda: client.get("/targets/1").json()["observed"] == "up", "it to be up again")
    eventually(lambda: client.post("/apply", json=gone).json()["deleted"] == ["target crm"], "it to go")


def test_what_somebody_else_still_needs_is_not_pruned(client: TestClient) -> None:
    client.post("/apply", json={"targets": [{"name": "crm", "workload": {"kind": "none"}}]})
    client.post("/schedules", json=schedule("crm", HOUR, 2 * HOUR))
    refused = client.post("/apply", json={"targets": [], "prune": True})
    assert refused.status_code == 409
    assert "Schedules name the target 'crm': w" in refused.json()["detail"]


def test_a_schedule_that_makes_no_sense_breaks_no_page(client: TestClient) -> None:
    client.post("/targets", json={"name": "crm", "workload": {"kind": "none"}})
    client.post("/schedules", json=schedule("crm", HOUR, 2 * HOUR))
    with database_of(client).write() as session:
        service_of_schedules.lock(session, 1).recurrence = "whenever"
        targets.lock(session, 1).params = '{"kind": "teleport"}'
    for path in ("/ui/schedules", "/ui/schedules/list", "/ui/schedules/1", "/ui/targets", "/ui/targets/1"):
        assert client.get(path).status_code == 200, path
    for path in ("/schedules", "/schedules/1", "/targets", "/targets/1", "/schedules/1/explain", "/export"):
        assert client.get(path).status_code == 200, path


def test_replicas_are_for_what_has_some(client: TestClient) -> None:
    client.post("/targets", json={"name": "crm", "workload": {"kind": "none"}})
    refused = client.post("/schedules", json=schedule("crm", HOUR, 2 * HOUR, replicas=3))
    assert refused.status_code == 422
    assert refused.json()["detail"] == "replicas: is for a schedule whose target is in Kubernetes"


def test_an_override_may_name_its_end_on_the_wall_of_its_schedule(client: TestClient) -> None:
    client.post("/schedules", json=schedule(None, HOUR, 2 * HOUR, timezone="America/New_York"))
    said = client.post("/schedules/1/override", json={"wanted": "up", "until": "2099-07-01T12:00:00"}).json()
    assert datetime.fromisoformat(said["until"]) == datetime(2099, 7, 1, 16, tzinfo=UTC)


def test_a_form_that_is_refused_says_why_and_is_no_fault(client: TestClient) -> None:
    client.post("/schedules", json=schedule(None, HOUR, 2 * HOUR))
    for fields, sentence in (
        ({"wanted": "up", "until": "2020-01-01T00:00"}, "must lie ahead"),
        ({"wanted": "up", "until": "rubbish"}, "until"),
        ({"wanted": "sideways"}, "is one of up, down, leave"),
        ({}, "is one of up, down, leave"),
    ):
        refused = client.post("/ui/schedules/1/override", data=fields)
        assert refused.status_code == 422
        assert sentence in refused.text
    for week in ("9999-12-31", "0001-01-01", "2026-02-31", "rubbish"):
        assert client.get("/ui/schedules", params={"week": week}).status_code == 200
    assert "is not a moment" in client.get("/ui/schedules/1", params={"at": "rubbish"}).text
    empty = client.post(
        "/ui/schedules/preview", data={"start_time": "", "repeat": "written", "recurrence": "x"}
    )
    assert empty.status_code == 200
    assert client.post("/ui/schedules/1/overrides/99").status_code == 404
    assert client.post(f"/ui/schedules/1/overrides/{10**30}").status_code == 422
    for version in ("²", "9" * 5000, "rubbish"):
        assert client.post("/ui/schedules/1", data={"version": version}).status_code == 412
    assert client.post("/ui/targets", data={"kind": "http", "name": "x"}).status_code == 422
    assert client.post("/ui/schedules/1", data={"name": ""}).status_code == 422


def test_the_id_of_one_that_is_gone_is_not_given_again(client: TestClient) -> None:
    client.post("/schedules", json=schedule(None, HOUR, 2 * HOUR))
    client.delete("/schedules/1")
    assert client.post("/schedules", json=schedule(None, HOUR, 2 * HOUR)).json()["id"] == 2

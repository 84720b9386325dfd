"""Workload schedules over JSON, with exactly the answers of their contract."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.helpers.program import eventually

EXAMPLE = {
    "name": "Backup Database",
    "start_time": "2025-04-20T10:00:00",
    "end_time": "2025-04-20T11:00:00",
    "status": "scheduled",
    "active": True,
}


def window(start: float, length: float, **changes: Any) -> dict[str, Any]:
    """Return a schedule that begins so many seconds from now."""
    begin = datetime.now(UTC) + timedelta(seconds=start)
    times = {"start_time": begin.isoformat(), "end_time": (begin + timedelta(seconds=length)).isoformat()}
    return {"name": "w", **times, **changes}


def test_the_example_of_the_contract(client: TestClient) -> None:
    created = client.post("/schedules", json=EXAMPLE)
    assert created.status_code == 201
    assert created.json() == {"status": "created", "id": 1}
    assert created.headers["Location"] == "/schedules/1"
    (row,) = client.get("/schedules").json()
    assert row == client.get("/schedules/1").json()
    assert row["start_time"] == "2025-04-20T10:00:00+02:00", (
        "read in the default zone, answered with an offset"
    )
    assert (row["name"], row["active"], row["status"]) == ("Backup Database", True, "completed")
    assert client.delete("/schedules/1").json() == {"status": "deleted"}
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        assert (
            client.request(method, "/schedules/1", json=EXAMPLE if method != "GET" else None).status_code
            == 404
        )


def test_the_status_moves_at_its_moments(client: TestClient) -> None:
    body = window(0.7, 0.8)
    client.post("/schedules", json=body)
    seen = [client.get("/schedules/1").json()["status"]]

    def moved() -> bool:
        status = client.get("/schedules/1").json()["status"]
        if status != seen[-1]:
            seen.append(status)
        return bool(status == "completed")

    eventually(moved, "the schedule to complete")
    assert seen == ["scheduled", "running", "completed"]
    job = client.get("/schedules/1").json()["job_id"]
    runs = eventually(lambda: _ended(client, job, 2), "both edges in the ledger")
    assert [run["output"] for run in runs] == ["running -> completed", "scheduled -> running"]


def _ended(client: TestClient, job: int, count: int) -> list[Any]:
    runs = [run for run in client.get("/runs", params={"job": job}).json() if run["state"] == "succeeded"]
    return runs if len(runs) == count else []


def test_a_window_that_is_open_runs_at_once(client: TestClient) -> None:
    client.post("/schedules", json=window(-10, 3600))
    assert client.get("/schedules/1").json()["status"] == "running"


def test_put_and_patch_move_the_window(client: TestClient) -> None:
    client.post("/schedules", json=EXAMPLE)
    put = client.put("/schedules/1", json=window(3600, 60, name="later"))
    assert (put.json()["name"], put.json()["status"], put.headers["ETag"]) == ("later", "scheduled", '"2"')
    patched = client.patch("/schedules/1", json={"active": False}, headers={"If-Match": '"2"'}).json()
    assert (patched["active"], patched["job_id"], patched["name"]) == (False, None, "later")
    assert client.patch("/schedules/1", json={"active": True}, headers={"If-Match": '"2"'}).status_code == 412
    assert client.patch("/schedules/1", json={"active": True}).json()["job_id"] is not None


def test_an_inactive_schedule_takes_no_part(client: TestClient) -> None:
    client.post("/schedules", json=window(-10, 3600, active=False))
    row = client.get("/schedules/1").json()
    assert (row["status"], row["job_id"]) == ("scheduled", None)


def test_a_recurring_schedule_goes_back_to_scheduled(client: TestClient) -> None:
    client.post("/schedules", json={**EXAMPLE, "recurrence": "0 10 1 1 *", "timezone": "America/New_York"})
    row = client.get("/schedules/1").json()
    assert (row["status"], row["start_time"]) == ("scheduled", "2025-04-20T10:00:00-04:00")


def test_lists_are_bare_filtered_and_paged(client: TestClient) -> None:
    for number in range(3):
        client.post("/schedules", json=window(3600, 60, name=f"w{number}", active=number != 1))
    assert isinstance(client.get("/schedules").json(), list)
    assert [row["name"] for row in client.get("/schedules?active=true").json()] == ["w0", "w2"]
    assert [row["name"] for row in client.get("/schedules?name=w1&status=scheduled").json()] == ["w1"]
    first = client.get("/schedules?limit=2")
    assert first.headers["Link"] == '</schedules?limit=2&after=2>; rel="next"'
    assert [row["name"] for row in client.get("/schedules?limit=2&after=2").json()] == ["w2"]


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({"end_time": "2025-04-20T10:00:00"}, "end_time", "must lie after start_time"),
        ({"end_time": "2025-04-19T10:00:00"}, "end_time", "must lie after start_time"),
        ({"start_time": "soon"}, "start_time", "datetime"),
        ({"timezone": "Mars"}, "timezone", "not a time zone"),
        ({"recurrence": "every day"}, "recurrence", "5 fields"),
        ({"recurrence": "FREQ=SOMETIMES"}, "recurrence", "not an RRULE"),
        ({"status": "up"}, "status", "scheduled"),
        ({"end_time": "9999-12-31T23:59:59Z"}, "end_time", "outside the calendar"),
        ({"colour": "red"}, "colour", "not permitted"),
    ],
)
def test_a_mistake_is_told_with_its_field(
    client: TestClient, changes: dict[str, Any], field: str, sentence: str
) -> None:
    answer = client.post("/schedules", json={**EXAMPLE, **changes})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert sentence in answer.json()["detail"]
    assert client.get("/schedules").json() == []


def test_the_job_of_a_schedule_is_changed_through_the_schedule(client: TestClient) -> None:
    client.post("/schedules", json=window(3600, 60))
    job = client.get("/schedules/1").json()["job_id"]
    assert client.get(f"/jobs/{job}").json()["owner"] == "workloads"
    for answer in (client.delete(f"/jobs/{job}"), client.post(f"/jobs/{job}/pause")):
        assert answer.status_code == 409
        assert "belongs to workloads" in answer.json()["detail"]

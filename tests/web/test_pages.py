"""Every page answers, on both databases, with runs of every kind in the ledger."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from fastapi.testclient import TestClient
from sqlmodel import col, select

from beffroi.app import create_app
from beffroi.core.outcomes import Reason, State
from beffroi.engine.models import Health, Job, Run
from beffroi.engine.runs import new_run_id
from beffroi.settings import Auth, Settings
from tests.helpers.people import database_of
from tests.helpers.postgres import Postgres

PAGES = (
    "/ui/", "/ui/jobs", "/ui/jobs?sort=next", "/ui/jobs?name=JOB&state=failing",
    "/ui/jobs?state=paused&sort=next", "/ui/jobs/1", "/ui/jobs/new?copy=1", "/ui/jobs/1/pause", "/ui/runs",
    "/ui/runs?job=1", "/ui/runs?state=failed", "/ui/runs?state=running", "/ui/search?q=job", "/ui/audit",
    "/ui/accounts", "/ui/me", "/ui/targets", "/ui/targets/1", "/ui/targets/new", "/ui/targets/1/change",
    "/ui/schedules", "/ui/schedules?week=2026-11-16", "/ui/schedules/list", "/ui/schedules/1",
    "/ui/schedules/1?at=2026-12-24T19:00", "/ui/schedules/new?target=crm", "/ui/schedules/1/change",
)  # fmt: skip


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    if request.param == "sqlite":
        yield from _filled(f"sqlite:///{tmp_path_factory.mktemp('house')}/scheduler.db")
        return
    server: Postgres = request.getfixturevalue("postgres")
    with server.database() as url:
        yield from _filled(url)


def _filled(url: str) -> Iterator[TestClient]:
    settings = Settings(database_url=url, auth=Auth.OFF)
    with TestClient(create_app(settings, timer=False), base_url="http://127.0.0.1") as client:
        for number in range(58):  # and two that belong to a target
            trigger = {"kind": "cron", "line": f"{number} 3 * * *"}
            action = {"kind": "python", "entry_point": "noop"}
            client.post("/jobs", json={"name": f"job {number:02}", "trigger": trigger, "action": action})
        client.post("/jobs/2/pause", json={"note": "why not"})
        client.post("/targets", json={"name": "crm", "workload": {"kind": "none"}})
        times = {"start_time": "2026-11-16T08:00:00Z", "end_time": "2026-11-16T18:00:00Z"}
        weekly = {**times, "name": "crm by day", "target": "crm", "recurrence": "0 8 * * 1-5"}
        client.post("/schedules", json=weekly)
        client.post("/schedules/1/override", json={"wanted": "up", "note": "a demo"})
        _fill_the_ledger(client)
        yield client


def _fill_the_ledger(client: TestClient) -> None:
    now = datetime.now(UTC)
    with database_of(client).write() as session:
        for number, state in enumerate([*State] * 20):
            at = now - timedelta(minutes=number)
            over = state not in (State.PLANNED, State.RUNNING)
            session.add(
                Run(
                    id=new_run_id(), job_id=1 + number % 3, scheduled_for=at, due_at=at, state=state,
                    reason=Reason.ERROR if state is State.FAILED else None, message="It did not work.",
                    started_at=at, finished_at=at + timedelta(seconds=2) if over else None,
                )
            )  # fmt: skip
        for job in session.exec(select(Job).where(col(Job.id) <= 3)):
            job.health = Health.FAILING


@pytest.mark.parametrize("path", PAGES)
def test_a_page_answers(house: TestClient, path: str) -> None:
    answer = house.get(path)
    assert answer.status_code == 200, answer.text[-800:]
    assert "</html>" in answer.text


def test_what_a_database_cannot_store_is_told(house: TestClient) -> None:
    """PostgreSQL has no NUL in its texts; SQLite has."""
    said = house.post("/schedules/1/override", json={"wanted": "up", "note": "half\0half"})
    assert said.status_code in (201, 422)
    assert house.get("/jobs", params={"name": "\0"}).status_code in (200, 422)
    if said.status_code == 422:
        assert "cannot be stored" in said.json()["detail"]


def test_the_overview_tells_what_is_wrong(house: TestClient) -> None:
    text = house.get("/ui/").text
    assert "3 failing" in text
    assert "It did not work." in text
    assert "late" in text


def test_filters_of_the_ledger_find_what_they_say(house: TestClient) -> None:
    for state in State:
        found = house.get("/runs", params={"state": state, "limit": 1000}).json()
        assert {run["state"] for run in found} == {state}
        assert sum(1 for run in found if run["job_id"] <= 3) == 20


@pytest.mark.parametrize("sort", ["name", "next"])
def test_every_job_is_on_one_page_of_the_table(house: TestClient, sort: str) -> None:
    seen: list[str] = []
    path: str | None = f"/ui/jobs?sort={sort}"
    while path:
        text = house.get(path).text
        seen += re.findall(r'class="name"><a href="([^"]+)"', text)
        following = re.search(r'href="([^"]+)" rel="next"', text)
        path = unescape(following.group(1)) if following else None
    assert len(seen) == len(set(seen)) == (60 if sort == "name" else 59), "the paused one has nothing next"

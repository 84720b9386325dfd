"""Who may do what: every route as a stranger, viewer, operator and admin, and what the door keeps out."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from sqlalchemy import update

from beffroi.app import PAGES, ROUTERS, create_app
from beffroi.core.access import Role
from beffroi.core.errors import ForbiddenError, SettingsError
from beffroi.domains.accounts import service
from beffroi.domains.accounts.models import ApiToken, SignIn
from beffroi.domains.accounts.tokens import TokenWish
from beffroi.settings import Auth, Settings, load
from beffroi.web.access import SESSION_COOKIE, declared_role
from beffroi.web.shield import LARGEST_BODY
from tests.helpers.people import PASSWORD, add_account, browser_of, database_of, token_of

JOB = {"name": "ping", "trigger": {"kind": "interval", "every": "1h"},
       "action": {"kind": "http", "url": "http://127.0.0.1:9/"}}  # fmt: skip

ROUTES = [
    (route, method)
    for router in (*ROUTERS, *PAGES)
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in sorted(route.methods or ())
]
IDS = [f"{method} {route.path}" for route, method in ROUTES]

# A stream does not end: that /ui/live lets viewers in is seen in the browser.
CASES = [
    pytest.param(route, method, caller, id=f"{caller} {method} {route.path}")
    for route, method in ROUTES
    for caller in (None, *Role)
    if caller is None or route.path != "/ui/live"
]


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The application as it is on a network."""
    folder = tmp_path_factory.mktemp("door")
    settings = Settings(database_url=f"sqlite:///{folder}/scheduler.db", listen=["0.0.0.0:8000"])
    with TestClient(create_app(settings, timer=False), base_url="http://beffroi.example") as made:
        yield made


def headers(client: TestClient, role: Role | None, **wish: Any) -> dict[str, str]:
    if role is None:
        return {}
    return token_of(database_of(client), role, TokenWish("test", role, **wish))


def browser(client: TestClient, role: Role | None) -> dict[str, str]:
    """Return what a browser sends in which somebody with this role has just signed in."""
    cookies = browser_of(database_of(client), role) if role else {}
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


@pytest.mark.parametrize(("route", "method", "caller"), CASES)
def test_every_route_lets_in_whom_it_says(
    door: TestClient, route: APIRoute, method: str, caller: Role | None
) -> None:
    needed = declared_role(route)
    path = route.path.replace("{verb}", "pause").replace("{at}", "0")
    for name in ("{run_id}", "{node_id}"):
        path = path.replace(name, "0" * 32)
    while "{" in path:
        path = f"{path[: path.index('{')]}999999{path[path.index('}') + 1 :]}"
    answer = door.request(
        method, path, headers=browser(door, caller), follow_redirects=False, content=b"{}"
    )  # fmt: skip
    if needed is None or (caller is not None and caller.includes(needed)):
        assert answer.status_code not in (401, 403), answer.text
    elif path.startswith("/ui") and caller is None and method == "GET":
        assert answer.headers["Location"].startswith("/ui/sign-in?next=")
    else:
        assert answer.status_code == (401 if caller is None else 403), answer.text


@pytest.mark.parametrize(("route", "method"), ROUTES, ids=IDS)
def test_what_changes_something_needs_more_than_a_viewer(route: APIRoute, method: str) -> None:
    needed = declared_role(route)
    about_oneself = {"/tokens", "/tokens/{token_id}", "/ui/sign-out"}
    if method not in ("GET", "HEAD") and route.path not in about_oneself and needed is not None:
        assert route.path.startswith("/ui/me") or needed is not Role.VIEWER


def test_a_limited_token_opens_only_its_area(door: TestClient) -> None:
    limited = headers(door, Role.OPERATOR, areas=["jobs"])
    assert door.get("/jobs", headers=limited).status_code == 200
    refused = door.get("/runs", headers=limited)
    assert refused.status_code == 403
    assert "limited to jobs, not runs" in refused.json()["detail"]


def test_a_token_ends_at_its_time_and_when_it_is_revoked(door: TestClient) -> None:
    operator = browser(door, Role.OPERATOR)
    soon = (datetime.now(UTC) + timedelta(seconds=0.4)).isoformat()
    short = door.post("/tokens", json={"name": "short", "expires_at": soon}, headers=operator).json()
    lasting = door.post("/tokens", json={"name": "lasting", "role": "operator"}, headers=operator).json()
    bearer = {"Authorization": f"Bearer {lasting['key']}"}
    assert door.get("/me", headers=bearer).json() == {
        "name": "the operator (lasting)", "role": "operator", "means": "token",
    }  # fmt: skip
    assert door.post("/tokens", json={"name": "child"}, headers=bearer).status_code == 403
    too_much = door.post("/tokens", json={"name": "x", "role": "admin"}, headers=operator)
    assert too_much.json()["errors"] == [{"field": "role", "message": "can be at most yours, operator"}]
    assert all("key" not in token for token in door.get("/tokens", headers=operator).json())
    assert door.delete(f"/tokens/{lasting['token']['id']}", headers=operator).status_code == 200
    assert door.get("/me", headers=bearer).status_code == 401
    while datetime.now(UTC) < datetime.fromisoformat(soon):
        pass
    assert door.get("/me", headers={"Authorization": f"Bearer {short['key']}"}).status_code == 401


def test_wrong_tokens_are_slowed_down_and_right_ones_are_not(settings: Settings) -> None:
    asked = settings.model_copy(update={"auth": Auth.ON})
    with TestClient(create_app(asked, timer=False)) as client:
        good = token_of(database_of(client), Role.VIEWER)
        answers = [client.get("/jobs", headers={"Authorization": "Bearer no"}).status_code for _ in range(70)]
        assert answers[0] == 401
        assert answers[-1] == 429
        assert client.get("/jobs", headers=good).status_code == 200


def test_every_change_is_in_the_audit_with_before_and_after(door: TestClient) -> None:
    operator, admin = headers(door, Role.OPERATOR), headers(door, Role.ADMIN)
    job = door.post("/jobs", json=JOB, headers=operator).json()
    path = f"/jobs/{job['id']}"
    door.patch(path, json={"name": "pong"}, headers=operator)
    door.post(f"{path}/run", headers=operator)
    assert door.patch(path, json={"name": ""}, headers=operator).status_code == 422, "refused: not a deed"
    entries = door.get("/audit", params={"subject": path}, headers=admin).json()
    assert [entry["action"] for entry in entries] == ["run_job", "change_job"]
    (changed,) = entries[1]["changes"]
    assert (changed["what"], changed["verb"], changed["id"]) == ("job", "changed", str(job["id"]))
    assert changed["before"]["name"] == "ping"
    assert changed["after"]["name"] == "pong"
    assert entries[1]["actor"] == "the operator (test)"
    assert entries[1]["address"] == "testclient"
    created = door.get("/audit", params={"limit": 100}, headers=admin).json()
    assert all("Bearer" not in str(entry) and "argon2" not in str(entry) for entry in created)


def test_what_was_only_tried_is_not_in_the_audit(door: TestClient) -> None:
    admin = headers(door, Role.ADMIN)
    before = door.get("/audit", headers=admin).json()[0]["id"]
    document = {"jobs": [{**JOB, "name": "from a file"}], "dry_run": True}
    assert door.post("/apply", json=document, headers=admin).json()["created"] == ["job from a file"]
    assert door.get("/audit", headers=admin).json()[0]["id"] == before


def test_accounts_are_invited_changed_and_shut_out(door: TestClient) -> None:
    admin = headers(door, Role.ADMIN)
    made = door.post("/accounts", json={"name": "ada", "role": "operator"}, headers=admin)
    assert made.status_code == 201
    assert made.json()["link"].startswith("http://beffroi.example/ui/welcome?key=")
    path = f"/accounts/{made.json()['account']['id']}"
    assert door.post("/accounts", json={"name": "ada"}, headers=admin).status_code == 409
    assert door.patch(path, json={"role": "viewer"}, headers=admin).json()["role"] == "viewer"
    assert door.post(f"{path}/invite", headers=admin).json()["link"] != made.json()["link"]
    assert door.post(f"{path}/sign-out", headers=admin).json() == {"ended": 0}
    assert door.patch(path, json={"active": False}, headers=admin).json()["active"] is False
    assert door.delete(path, headers=admin).json() == {"status": "deleted"}
    assert door.delete(path, headers=admin).status_code == 404


def test_the_last_admin_stays(settings: Settings) -> None:
    asked = settings.model_copy(update={"auth": Auth.ON})
    with TestClient(create_app(asked, timer=False)) as client:
        admin = token_of(database_of(client), Role.ADMIN)
        (account,) = client.get("/accounts", headers=admin).json()
        path = f"/accounts/{account['id']}"
        for answer in (
            client.patch(path, json={"role": "viewer"}, headers=admin),
            client.patch(path, json={"active": False}, headers=admin),
            client.delete(path, headers=admin),
        ):
            assert answer.status_code == 409
            assert "last admin" in answer.json()["detail"]
        assert client.get("/accounts", headers=admin).json() == [account]


def test_a_page_of_another_site_can_change_nothing(client: TestClient) -> None:
    for sent in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ):
        assert client.post("/jobs", json=JOB, headers=sent).status_code == 403
    assert client.get("/jobs").json() == []
    for sent in ({"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://127.0.0.1"}):
        assert client.post("/jobs", json={**JOB, "name": str(sent)}, headers=sent).status_code == 201


def test_open_it_answers_only_to_names_of_this_machine(client: TestClient) -> None:
    assert client.get("/jobs", headers={"Host": "localhost:8000"}).status_code == 200
    assert client.get("/jobs", headers={"Host": "[::1]:8000"}).status_code == 200
    refused = client.get("/jobs", headers={"Host": "rebound.example"})
    assert refused.status_code == 421
    assert "Sign-in is off" in refused.json()["detail"]


def test_sizes_are_bounded(client: TestClient) -> None:
    assert client.get("/jobs", params={"name": "x" * 9_000}).status_code == 414
    large = client.post(
        "/jobs", content=b" " * (LARGEST_BODY + 1), headers={"Content-Type": "application/json"}
    )
    assert large.status_code == 413
    assert large.headers["Content-Type"] == "application/problem+json"


def test_answers_carry_a_strict_policy(client: TestClient) -> None:
    answer = client.get("/jobs")
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"


def test_it_does_not_start_open_to_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEFFROI_AUTH", "off")
    load()
    monkeypatch.setenv("BEFFROI_LISTEN", "127.0.0.1:8000,0.0.0.0:8081")
    with pytest.raises(SettingsError, match=r"everybody who reaches 0\.0\.0\.0:8081"):
        load()


def test_an_idle_key_never_waits_for_somebody_who_writes(door: TestClient) -> None:
    database = database_of(door)
    token, cookie = token_of(database, Role.VIEWER), browser(door, Role.VIEWER)
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    with database.write() as session:
        session.execute(update(SignIn).values(seen_at=long_ago))
        session.execute(update(ApiToken).values(last_used_at=long_ago))
    with database.write():
        assert door.get("/me", headers=token).status_code == 200
        assert door.get("/me", headers=cookie).status_code == 200
        assert door.get("/ui/nothing", headers=cookie).status_code == 404
    door.get("/me", headers=token)
    used = [each["last_used_at"] for each in door.get("/tokens", headers=token).json()]
    assert max(used) > long_ago.isoformat()


def test_a_token_does_not_become_a_sign_in(door: TestClient) -> None:
    token = token_of(database_of(door), Role.VIEWER)
    fields = {"password": "something long", "again": "something long"}
    for path in ("/ui/me/password", "/ui/me/sign-out", "/ui/me/tokens"):
        answer = door.post(path, data=fields, headers=token)
        assert answer.status_code == 403, path
        assert "Set-Cookie" not in answer.headers


def test_a_success_of_ones_own_does_not_buy_more_guesses(settings: Settings) -> None:
    asked = settings.model_copy(update={"auth": Auth.ON})
    with TestClient(create_app(asked, timer=False)) as client:
        for name, role in (("boss", Role.ADMIN), ("me", Role.VIEWER)):
            add_account(database_of(client), name, role)

        def sign_in(name: str, password: str) -> int:
            client.cookies.delete(SESSION_COOKIE)
            fields = {"name": name, "password": password}
            return client.post("/ui/sign-in", data=fields, follow_redirects=False).status_code

        assert [sign_in("boss", "a guess") for _ in range(8)] == [422] * 8
        assert sign_in("me", PASSWORD) == 303
        assert [sign_in("boss", "a guess") for _ in range(4)] == [422, 422, 429, 429]
        assert sign_in("me", PASSWORD) == 303, "a browser that is known for this account is counted by itself"


def test_strangers_leave_nothing_in_the_audit(door: TestClient) -> None:
    admin = headers(door, Role.ADMIN)
    before = door.get("/audit", headers=admin).json()
    assert door.post("/ui/sign-out").status_code == 401
    assert door.post("/ui/sign-in", data={"name": "x", "password": "y"}).status_code == 422
    assert door.get("/audit", headers=admin).json() == before


def test_passwords_in_headers_are_for_operators_only(door: TestClient) -> None:
    operator, viewer, admin = (headers(door, role) for role in (Role.OPERATOR, Role.VIEWER, Role.ADMIN))
    action = {**JOB["action"], "headers": {"Authorization": "Basic c2VjcmV0"}}  # type: ignore[dict-item]
    job = door.post("/jobs", json={**JOB, "name": "with a secret", "action": action}, headers=operator).json()
    path = f"/jobs/{job['id']}"
    assert door.get(path, headers=operator).json()["action"]["headers"] == action["headers"]
    assert door.get(path, headers=viewer).json()["action"]["headers"] == {"Authorization": "(hidden)"}
    assert "c2VjcmV0" not in door.get("/jobs", params={"name": "secret"}, headers=viewer).text
    assert "c2VjcmV0" not in door.get(f"/ui{path}", headers=viewer).text
    assert "c2VjcmV0" not in door.get("/audit", headers=admin).text


def test_what_a_browser_sends_is_not_believed(client: TestClient) -> None:
    bold = client.get("/ui/jobs", headers={"Cookie": "beffroi_said=%3Cb%3Ebold%3C%2Fb%3E%20%25d"})
    assert bold.status_code == 200
    assert "<b>bold" not in bold.text
    parts = client.get("/ui/jobs", headers={"X-Part": ",".join(["list"] * 30 + ["nonsense"])}).json()
    assert list(parts) == ["list"]
    assert client.post("/jobs", json=JOB, headers={"Origin": "http://["}).status_code == 403
    missing = client.get("/static/of-another-release/app.js")
    assert (missing.status_code, missing.headers["Cache-Control"]) == (404, "no-store")


def test_what_is_tried_is_in_the_audit(client: TestClient) -> None:
    fields = {"action": "python", "action.python.entry_point": "noop"}
    tried = client.post("/ui/jobs/try", data=fields, headers={"X-Part": "tried"})
    assert "succeeded" in tried.json()["tried"]
    assert client.get("/audit").json()[0]["action"] == "try_action"
    assert client.get("/runs").json() == []


def test_an_account_for_the_provider_is_claimed_by_nobody_else(door: TestClient) -> None:
    now = datetime.now(UTC)
    with database_of(door).write() as session:
        service.create(session, "linus", Role.ADMIN, "https://one.example", now)
        for issuer, subject in (("https://other.example", "7"), ("https://one.example", "7")):
            if issuer == "https://other.example":
                with pytest.raises(ForbiddenError, match="signs in another way"):
                    service.from_provider(session, issuer, subject, "linus", Role.VIEWER, now)
            else:
                account = service.from_provider(session, issuer, subject, "linus", None, now)
                assert account.role is Role.ADMIN
        with pytest.raises(ForbiddenError, match="signs in another way"):
            service.from_provider(session, "https://one.example", "8", "linus", Role.VIEWER, now)
        with pytest.raises(ForbiddenError, match="ask an admin"):
            service.from_provider(session, "https://one.example", "9", "ken", None, now)

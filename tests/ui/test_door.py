"""The door in a real browser: the first account, signing in and out, tokens; and a line that breaks."""

import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.helpers.program import Program, eventually
from tests.helpers.provider import provider
from tests.ui.conftest import Look

PASSWORD = "a tower of bells"


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path, BEFFROI_AUTH="on").start()
    yield program
    program.stop()


def test_from_the_first_link_to_a_token_and_the_audit(browser: Browser, guarded: Program) -> None:
    look = Look(browser, guarded.url)
    page = look.page
    page.goto("/ui/jobs/1")
    expect(page).to_have_url(re.compile(r"/ui/sign-in\?next=/ui/jobs/1"))
    link = first_link(guarded)
    page.goto(link)
    look.keep("welcome")
    come_in(page, "short", "ada")
    expect(page.get_by_role("alert")).to_contain_text("must have at least 10 characters")
    come_in(page, PASSWORD, "ada")
    expect(page.locator(".verdict")).to_have_text("Nothing to do yet")
    look.keep("overview-empty")
    _a_token_is_shown_once_and_works(look, guarded)
    invitation = _somebody_is_invited(look)
    page.goto("/ui/audit")
    expect(page.locator("tbody")).to_contain_text("create account")
    look.keep("audit-entries")
    _out_and_in_again(look, guarded, link)
    look.close()
    _a_viewer_sees_and_changes_nothing(browser, guarded, invitation)


def first_link(guarded: Program) -> str:
    """Return the link that a server prints when nobody has an account yet."""
    pattern = re.compile(r"http://\S+/ui/welcome\?key=\S+")
    found: re.Match[str] = eventually(lambda: pattern.search(guarded.log.read_text()), "the link")
    return found.group()


def come_in(page: Page, password: str, name: str | None = None) -> None:
    if name:
        page.get_by_label("Name").fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_label("Password again").fill(password)
    page.get_by_role("button", name="Come in").click()


def _a_token_is_shown_once_and_works(look: Look, guarded: Program) -> None:
    page = look.page
    page.goto("/ui/me")
    page.get_by_text("New token").click()
    page.locator("form[action='/ui/me/tokens']").get_by_label("Name").fill("deploy")
    page.get_by_role("button", name="Make the token").click()
    key = page.locator(".key").inner_text()
    look.keep("token")
    asked = urllib.request.Request(f"{guarded.url}/me", headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(asked, timeout=5) as answer:
        assert b'"ada (deploy)"' in answer.read()
    page.goto("/ui/me")
    expect(page.locator("main")).not_to_contain_text(key)


def _somebody_is_invited(look: Look) -> str:
    page = look.page
    page.goto("/ui/accounts")
    page.locator("form[action='/ui/accounts']").get_by_label("Name").fill("grace")
    page.get_by_role("button", name="Make the account").click()
    expect(page.locator(".key")).to_contain_text("/ui/welcome?key=")
    look.keep("accounts")
    return page.locator(".key").inner_text()


def _out_and_in_again(look: Look, guarded: Program, link: str) -> None:
    page = look.page
    page.get_by_label("Account and language").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/ui/sign-in$"))
    page.goto(link)
    expect(page.locator("main")).to_contain_text("This link has been used, or has expired.")
    page.goto("/ui/sign-in?next=https://evil.example/")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill("wrong wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("The name or the password is not right.")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{guarded.url}/ui/")
    cookies = {each["name"]: each for each in look.context.cookies()}
    assert cookies["beffroi_session"]["httpOnly"]
    assert cookies["beffroi_session"]["sameSite"] == "Lax"


def _a_viewer_sees_and_changes_nothing(browser: Browser, guarded: Program, invitation: str) -> None:
    look = Look(browser, guarded.url)
    page = look.page
    page.goto(invitation)
    come_in(page, PASSWORD)
    page.goto("/ui/jobs")
    expect(page.get_by_role("link", name="New job")).to_have_count(0)
    expect(page.get_by_role("link", name="Audit")).to_have_count(0)
    page.goto("/ui/jobs/new")
    expect(page.locator("main")).to_contain_text("This needs the role operator; yours is viewer.")
    look.close()


def test_guessing_is_slowed_down_and_locks_nobody_out(browser: Browser, guarded: Program) -> None:
    owner = Look(browser, guarded.url)
    owner.page.goto(first_link(guarded))
    come_in(owner.page, PASSWORD, "ada")
    expect(owner.page.locator(".verdict")).to_be_visible()
    owner.context.clear_cookies(name="beffroi_session")

    statuses = [_guess(guarded, f"guess number {number}") for number in range(12)]
    assert statuses[:10] == [422] * 10
    assert statuses[10:] == [429] * 2, "also with the right password, from there"
    assert _guess(guarded, PASSWORD) == 429
    owner.page.goto("/ui/sign-in")
    owner.page.get_by_label("Name").fill("ada")
    owner.page.get_by_label("Password").fill(PASSWORD)
    owner.page.get_by_role("button", name="Sign in").click()
    expect(owner.page.locator(".verdict")).to_be_visible()
    owner.close()


def _guess(guarded: Program, password: str) -> int:
    data = f"name=ada&password={password.replace(' ', '+')}".encode()
    try:
        with urllib.request.urlopen(f"{guarded.url}/ui/sign-in", data=data, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_a_lost_line_shows_and_comes_back(browser: Browser, tmp_path: Path) -> None:
    program = Program(tmp_path).start()
    look = Look(browser, program.url)
    page = look.page
    page.goto("/ui/jobs")
    page.wait_for_selector("html[data-beat]", state="attached")
    assert program.stop() == 0, "an open stream does not keep the server from stopping"
    expect(page.locator("[data-lost]")).to_be_visible()
    program.start()
    program.call("POST", "/jobs", {"name": "made meanwhile", "trigger": {"kind": "interval", "every": "1h"},
                                   "action": {"kind": "python", "entry_point": "noop"}})  # fmt: skip
    expect(page.locator("[data-lost]")).not_to_be_visible(timeout=15_000)
    expect(page.locator("table")).to_contain_text("made meanwhile")
    look.close()
    program.stop()


def test_by_a_provider(browser: Browser, tmp_path: Path) -> None:
    with provider() as issuer:
        settings = {"BEFFROI_OIDC_ISSUER": issuer, "BEFFROI_OIDC_CLIENT_ID": "beffroi"}
        secret = tmp_path / "secret"
        secret.write_text("hush", encoding="utf-8")
        program = Program(
            tmp_path, BEFFROI_AUTH="on", BEFFROI_OIDC_ROLE="operator",
            BEFFROI_OIDC_CLIENT_SECRET_FILE=str(secret), **settings,
        ).start()  # fmt: skip
        look = Look(browser, program.url)
        page = look.page
        page.goto("/ui/sign-in")
        page.get_by_role("link", name=re.compile("Sign in by")).click()
        page.get_by_placeholder("sub").fill("linus@example.org")
        page.get_by_role("button", name="Authorize").click()
        expect(page.locator(".verdict")).to_be_visible()
        expect(page.get_by_label("Account and language")).to_have_text("linus@example.org")
        assert look.page.evaluate("fetch('/me').then(a => a.json())") == {
            "name": "linus@example.org", "role": "operator", "means": "oidc",
        }  # fmt: skip
        page.goto(f"{program.url}/ui/sign-in/back?code=stolen&state=made-up")
        expect(page.locator("main")).to_contain_text("The provider did not let you in")
        _a_refusal_at_the_provider_is_told(browser, program)
        look.close()
        program.stop()


def _a_refusal_at_the_provider_is_told(browser: Browser, program: Program) -> None:
    look = Look(browser, program.url)
    look.page.goto("/ui/sign-in/provider")
    look.page.get_by_role("button", name="Deny").click()
    expect(look.page.locator("main")).to_contain_text("The provider did not let you in: access_denied")
    look.close()

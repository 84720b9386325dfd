"""The pages in a real browser: seen, used, and looked at by a checker of accessibility."""

import re
import time
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.helpers.program import Program, eventually
from tests.helpers.receiver import Receiver
from tests.ui.conftest import Look

Looker = Callable[..., Look]

PAGES = {
    "overview": "/ui/",
    "jobs": "/ui/jobs",
    "job": "/ui/jobs/1",
    "job-failing": "/ui/jobs/3",
    "new": "/ui/jobs/new",
    "runs": "/ui/runs",
    "pause": "/ui/jobs/1/pause",
    "search": "/ui/search?q=re",
    "audit": "/ui/audit",
    "accounts": "/ui/accounts",
    "me": "/ui/me",
    "error": "/ui/jobs/999",
}


@pytest.fixture(autouse=True)
def _something_has_run(server: Program) -> None:
    eventually(lambda: server.get("/runs?state=failed") and server.get("/runs?job=2"), "some runs")


def findings(seen: Look) -> list[str]:
    """Return what the checker holds for serious."""
    found = Axe().run(seen.page).response["violations"]
    return [
        f"{each['id']}: {each['nodes'][0]['html'][:200]}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desk", "phone"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_and_everybody_can_use_it(look: Looker, name: str, size: str, scheme: str) -> None:
    seen = look(size, color_scheme=scheme)
    seen.page.goto(PAGES[name])
    expect(seen.page.locator("h1").first).to_be_visible()
    seen.keep(f"{name}-{size}-{scheme}")
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= seen.page.viewport_size["width"]  # type: ignore[index]
    assert findings(seen) == []
    if name == "error":
        seen.complaints.clear()  # the browser tells of the 404 itself


def test_the_worst_comes_first_and_in_words(look: Looker) -> None:
    page = look().page
    page.goto("/ui/")
    expect(page.locator(".verdict")).to_have_text("1 failing, 1 paused")
    needs = page.locator('[data-part="needs"]')
    expect(needs).to_contain_text("report to the ministry")
    expect(needs).to_contain_text("The answer was 404, expected 200 to 299.")
    expect(needs).to_contain_text("their maintenance")
    expect(page.locator(".lane").first).to_have_attribute(
        "aria-label", re.compile("report to the ministry: .* failed")
    )


def test_a_job_is_made_by_a_form_that_says_what_it_means(
    look: Looker, server: Program, target: Receiver
) -> None:
    seen = look()
    page = seen.page
    page.goto("/ui/jobs/new")
    page.get_by_role("textbox", name="Cron line").fill("30 2 * * 1-5")
    preview = page.locator('[data-into="preview"]')
    expect(preview).to_contain_text("at 02:30, Monday through Friday, Europe/Paris")
    expect(preview.locator("li")).to_have_count(5)
    page.get_by_role("textbox", name="Cron line").fill("61 2 * * *")
    expect(preview.locator(".why")).to_contain_text("is not a cron line")
    page.get_by_text("at an interval").click()
    page.get_by_role("textbox", name="Every").fill("90m")
    expect(preview).to_contain_text("every 90 minutes")
    page.get_by_role("textbox", name="URL").fill("ftp://example.org")
    page.get_by_role("button", name="Make the job").click()
    expect(page.get_by_role("alert")).to_contain_text("2 things are not right; nothing was changed.")
    expect(page.get_by_role("alert")).to_contain_text("must be an http:// or https:// URL with a host")
    expect(page.get_by_role("textbox", name="Every")).to_have_value("90m")
    seen.keep("new-refused")
    page.get_by_role("textbox", name="URL").fill(target.url)
    before = len(target.requests)
    page.get_by_role("button", name="Try the action once").click()
    expect(page.locator('[data-into="tried"]')).to_contain_text("succeeded")
    assert len(target.requests) > before
    seen.keep("new-tried")
    page.get_by_label("Name").fill("made by hand")
    page.get_by_role("button", name="Make the job").click()
    expect(page.get_by_role("status").first).to_have_text("The job is made.")
    expect(page.locator("h1")).to_have_text("made by hand")
    (job,) = server.get("/jobs?name=made")
    assert (job["trigger"]["every"], job["action"]["url"]) == ("1h30m", target.url)
    server.call("DELETE", f"/jobs/{job['id']}")
    seen.complaints.clear()  # the browser tells of the 422 itself


def test_a_setting_is_changed_in_place_and_a_mistake_changes_nothing(look: Looker, server: Program) -> None:
    seen = look()
    page = seen.page
    page.goto("/ui/jobs/5")
    page.locator("summary", has_text="How:").click()
    page.get_by_role("textbox", name="Time limit", exact=True).fill("soon")
    page.locator("details[open]").get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("'soon' is not a duration; write it like '30s'")
    assert server.get("/jobs/5")["policy"]["timeout"] == "1h"
    page.get_by_role("textbox", name="Time limit", exact=True).fill("5m")
    page.get_by_label("Tries after a failure").fill("3")
    page.locator("details[open]").get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").first).to_have_text("The job is changed.")
    policy = server.get("/jobs/5")["policy"]
    assert (policy["timeout"], policy["retries"]["max"]) == ("5m", 3)
    seen.complaints.clear()


def test_pause_resume_run_and_leave_out_by_dialogs(look: Looker, server: Program) -> None:
    seen = look()
    page = seen.page
    page.goto("/ui/jobs/5")
    page.get_by_role("link", name="Pause").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Pause “rotate logs”")
    dialog.get_by_label("Why").fill("the disk is being changed")
    seen.keep("pause-dialog")
    dialog.get_by_role("button", name="Pause").click()
    expect(page.locator(".head")).to_contain_text("paused")
    assert server.get("/jobs/5")["note"] == "the disk is being changed"
    page.get_by_role("link", name="Resume").click()
    dialog.get_by_role("button", name="Resume").click()
    expect(page.locator(".head")).to_contain_text("active")
    page.get_by_role("link", name="Leave out").nth(1).click()
    dialog.get_by_role("button", name="Leave out").click()
    expect(page.locator('[data-part="next"] s')).to_have_count(1)
    assert [each["skipped"] for each in server.get("/jobs/5/next?n=3")] == [False, True, False]
    page.get_by_role("link", name="Run now").click()
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
    page.get_by_role("link", name="Run now").click()
    dialog.get_by_role("button", name="Run now").click()
    expect(page.locator('[data-part="run"]')).to_contain_text("succeeded")
    expect(page.locator("dl")).to_contain_text("somebody's wish")
    seen.keep("run")


def test_what_others_change_shows_within_a_second_or_so(look: Looker, server: Program) -> None:
    one, other = look().page, look().page
    one.goto("/ui/jobs")
    other.goto("/ui/jobs/2")
    for page in (one, other):
        page.wait_for_selector("html[data-beat]", state="attached")
    time.sleep(1.2)
    server.call("PATCH", "/jobs/2", {"name": "dump of everything"})
    expect(one.locator("table")).to_contain_text("dump of everything", timeout=2_000)
    expect(other.locator("h1")).to_have_text("dump of everything", timeout=2_000)
    server.call("PATCH", "/jobs/2", {"name": "dump of the sales database"})
    expect(one.locator("table")).to_contain_text("dump of the sales database")


def test_an_open_form_is_not_taken_away(look: Looker, server: Program) -> None:
    page = look().page
    page.goto("/ui/jobs/2")
    page.locator("summary", has_text="Name:").click()
    page.get_by_label("Name", exact=True).fill("half typed")
    server.call("POST", "/jobs/2/pause", {"note": "meanwhile"})
    expect(page.locator(".head")).to_contain_text("paused")
    expect(page.get_by_label("Name", exact=True)).to_have_value("half typed")
    server.call("POST", "/jobs/2/resume")


def test_the_ledger_follows(look: Looker) -> None:
    page = look().page
    page.goto("/ui/runs")
    first = page.locator("tbody tr").first.inner_text()
    expect(page.locator("tbody tr").first).not_to_have_text(first)


def test_in_french(look: Looker) -> None:
    seen = look(locale="fr-FR")
    page = seen.page
    page.goto("/ui/")
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    expect(page.locator(".verdict")).to_have_text("1 en échec, 1 en pause")
    seen.keep("overview-french")
    page.goto("/ui/jobs/2")
    expect(page.locator("dl")).to_contain_text("à 02:30, de lundi à vendredi, Europe/Paris")
    page.get_by_label("Compte et langue").click()
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page).to_have_url(re.compile("/ui/jobs/2$"))


def test_by_keyboard_alone(look: Looker) -> None:
    page = look().page
    page.goto("/ui/jobs/2")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("warm")
    expect(page.locator("[data-found] a")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("warm the cache")
    page.goto("/ui/")
    page.locator(".lane a").last.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".lane a:focus")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator('[data-part="run"]')).to_be_visible()
    page.get_by_role("link", name="Run again").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).not_to_be_visible()


def test_without_javascript(look: Looker, server: Program, target: Receiver) -> None:
    seen = look(java_script_enabled=False)
    page = seen.page
    page.goto("/ui/jobs/new")
    page.get_by_label("Name").fill("made without a script")
    page.get_by_role("textbox", name="Cron line").fill("0 4 * * *")
    page.get_by_role("textbox", name="URL").fill(target.url)
    page.get_by_role("button", name="Show what it means").click()
    expect(page.locator('[data-into="preview"]')).to_contain_text("at 04:00, ")
    page.get_by_role("button", name="Make the job").click()
    expect(page.locator("h1")).to_have_text("made without a script")
    page.get_by_role("link", name="Pause").click()
    page.get_by_label("Why").fill("by hand")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".head")).to_contain_text("paused")
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("status").first).to_contain_text("The job is deleted")


def test_the_search_finds_jobs_and_runs(look: Looker, server: Program) -> None:
    page = look().page
    run = server.get("/runs?job=2")[0]
    page.goto(f"/ui/search?q={run['id'][:18]}")
    page.get_by_role("link", name=re.compile("dump of")).first.click()
    expect(page.locator("dl")).to_contain_text(run["id"])


def test_times_are_the_viewers_with_utc_at_hand(look: Looker) -> None:
    page = look(timezone_id="Asia/Tokyo").page
    page.goto("/ui/jobs/2")
    first = page.locator('[data-part="next"] time').first
    expect(first).to_contain_text(re.compile("0?9:30:00|10:30:00"))
    assert "UTC" in (first.get_attribute("title") or "")

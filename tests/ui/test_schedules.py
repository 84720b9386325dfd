"""The pages of schedules and targets in a real browser."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from tests.helpers.program import Program, eventually
from tests.helpers.receiver import Receiver
from tests.ui.test_pages import Looker, findings

PAGES = {
    "calendar": "/ui/schedules",
    "schedules": "/ui/schedules/list",
    "schedule": "/ui/schedules/1",
    "schedule-form": "/ui/schedules/1/change",
    "targets": "/ui/targets",
    "target": "/ui/targets/1",
    "target-form": "/ui/targets/new",
    "override": "/ui/schedules/1/override?wanted=up",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, target: Receiver) -> Iterator[Program]:
    """A house with two targets: one goes well, one cannot be reached."""
    program = Program(tmp_path_factory.mktemp("workloads"), BEFFROI_TIMEZONE="Europe/Paris").start()
    for name, url in (("CRM", target.url), ("wiki", "http://127.0.0.1:1")):
        up, down = ({"url": f"{url}/{what}", "method": "POST"} for what in ("up", "down"))
        program.call("POST", "/targets", {"name": name, "workload": {"kind": "http", "up": up, "down": down}})
        by_day = {"start_time": "2026-11-02T08:00:00", "end_time": "2026-11-02T19:00:00"}
        schedule = {"name": f"{name} by day", "target": name, "recurrence": "0 8 * * *", **by_day}
        program.call("POST", "/schedules", schedule)
    eventually(lambda: program.get("/targets")[1]["trouble"], "the wiki to be in trouble")
    yield program
    program.stop()


@pytest.mark.parametrize(("size", "scheme"), [("desk", "light"), ("desk", "dark"), ("phone", "light")])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_and_everybody_can_use_it(look: Looker, name: str, size: str, scheme: str) -> None:
    seen = look(size, color_scheme=scheme)
    seen.page.goto(PAGES[name])
    expect(seen.page.locator("h1").first).to_be_visible()
    seen.keep(f"{name}-{size}-{scheme}")
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= seen.page.viewport_size["width"]  # type: ignore[index]
    assert findings(seen) == []


def test_a_window_is_drawn_on_the_calendar(look: Looker, server: Program) -> None:
    page = look().page
    page.goto("/ui/schedules?week=2026-12-02")
    # Tuesday, clear of the windows: at 20:00, down to 22:00.
    # The page may just be bringing itself up to date.
    column = eventually(lambda: page.locator(".column").nth(1).bounding_box(), "the calendar")
    x, hour = column["x"] + column["width"] / 2, column["height"] / 24
    page.mouse.move(x, column["y"] + 20 * hour)
    page.mouse.down()
    page.mouse.move(x, column["y"] + 22 * hour, steps=4)
    expect(page.locator(".drawn")).to_be_visible()
    page.mouse.up()
    expect(page.get_by_label("Up from")).to_have_value("2026-12-01T20:00")
    expect(page.get_by_label("Up until")).to_have_value("2026-12-01T22:00")
    preview = page.locator('[data-into="preview"]')
    page.get_by_label("Name").fill("late demo")
    expect(preview).to_contain_text("Tuesday 1 December 2026")
    page.get_by_label("Again").select_option("once")
    page.get_by_label("Target").select_option("CRM")
    page.get_by_role("button", name="Make the schedule").click()
    expect(page.locator("h1")).to_have_text("late demo")
    made = server.get("/schedules?name=late")[0]
    assert (made["start_time"], made["recurrence"]) == ("2026-12-01T20:00:00+01:00", None)
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".said").first).to_have_text("The schedule is deleted.")
    assert server.get("/schedules?name=late") == []


def test_what_is_wrong_with_a_window_is_said_and_nothing_lost(look: Looker) -> None:
    seen = look()
    page = seen.page
    page.goto("/ui/schedules/new")
    page.get_by_label("Name").fill("backwards")
    page.get_by_label("Up from").fill("2026-12-01T20:00")
    page.get_by_label("Up until").fill("2026-12-01T19:00")
    page.get_by_role("button", name="Make the schedule").click()
    expect(page.locator(".field.wrong .why")).to_have_text(
        "must lie after start_time; a window that ends before it begins is never up"
    )
    expect(page.get_by_label("Name")).to_have_value("backwards")
    seen.complaints.clear()  # the browser tells of the 422 itself


def test_a_word_by_hand_is_said_shown_and_taken_back(look: Looker, server: Program) -> None:
    page = look().page
    page.goto("/ui/targets/1")
    # The other of what the windows want now.
    wanted = server.get("/schedules/1/explain")["wanted"]
    other = "Down …" if wanted == "up" else "Up …"
    page.get_by_role("link", name=other).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Why").fill("the demo runs late")
    dialog.get_by_role("button", name="Say so").click()
    expect(page.locator(".said").first).to_have_text("It is said, and being done.")
    expect(page.locator('[data-part="explain"]')).to_contain_text("anybody said")
    said = server.get("/schedules/1/overrides")[0]
    assert said["note"] == "the demo runs late"
    expect(page.locator('[data-part="facts"]')).to_contain_text(f"/{said['wanted']}", timeout=5_000)
    page.get_by_role("button", name="Take back").click()
    expect(page.locator('[data-part="explain"]')).not_to_contain_text("anybody said")


def test_the_past_and_the_future_are_explained(look: Looker) -> None:
    page = look().page
    page.goto("/ui/schedules/1")
    page.get_by_label("At", exact=True).fill("2026-12-24T19:30")
    page.get_by_role("button", name="Explain").click()
    expect(page.locator('[data-part="explain"]')).to_contain_text("No window holds.")
    page.get_by_label("At", exact=True).fill("2026-12-24T18:59")
    page.get_by_role("button", name="Explain").click()
    expect(page.locator('[data-part="explain"]')).to_contain_text("CRM by day")


def test_a_target_is_made_and_changed_by_its_form(look: Looker, server: Program) -> None:
    seen = look()
    page = seen.page
    page.goto("/ui/targets/new")
    page.get_by_label("Name", exact=True).fill("web of the shop")
    page.get_by_label("Namespaces").fill("shop, shop-eu")
    page.get_by_role("button", name="Make the target").click()
    expect(page.locator(".errors")).to_contain_text("give either 'name' or 'selector'")
    page.get_by_label("or labels").fill("app=web, tier=a")
    page.get_by_role("button", name="Make the target").click()
    expect(page.locator("h1")).to_have_text("web of the shop")
    made = server.get("/targets?name=web")[0]
    assert made["dry_run"], "the first time it only says what it would do"
    assert made["workload"] == {
        "kind": "kubernetes",
        "resource": "deployment",
        "namespaces": ["shop", "shop-eu"],
        "selector": {"app": "web", "tier": "a"},
    }
    page.get_by_role("link", name="Change").click()
    page.get_by_label("Write even if").check()
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".said").first).to_have_text("The target is changed.")
    assert server.get("/targets?name=web")[0]["workload"]["insist"] is True
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".said").first).to_have_text("The target is deleted.")
    assert server.get("/targets?name=web") == []
    seen.complaints.clear()  # the browser tells of the 422 itself


def test_trouble_is_shown_in_words_and_live(look: Looker, server: Program) -> None:
    page = look().page
    page.goto("/ui/targets")
    expect(page.locator("tbody tr").nth(1)).to_contain_text("The call failed")
    page.goto("/ui/schedules/list?status=failed")
    expect(page.locator("tbody")).to_contain_text("wiki by day")
    now = datetime.now(UTC)
    times = {"start_time": now.isoformat(), "end_time": (now + timedelta(minutes=1)).isoformat()}
    page.goto("/ui/schedules/list")
    server.call("POST", "/schedules", {"name": "made elsewhere", **times})
    expect(page.locator("tbody")).to_contain_text("made elsewhere", timeout=3_000)

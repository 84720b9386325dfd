"""A real server, and a real browser that looks at it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.helpers.program import Program
from tests.helpers.receiver import Receiver, receiver

SCREENS = Path(__file__).parent.parent.parent / "artifacts" / "screens"
NAMES = ("chromium", "chromium-browser", "google-chrome")
SIZES = {"desk": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for one file of tests.

    Not for the session: as long as Playwright is open its event loop counts as running in this
    thread, and a test elsewhere that the same worker takes next could not run one of its own.
    """
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        message = f"none of {', '.join(NAMES)} is installed (Debian: apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield launched
        launched.close()


class Look:
    """A page in a browser of its own, with everything the browser complained of."""

    def __init__(self, browser: Browser, url: str, size: str = "desk", **options: Any) -> None:
        given: dict[str, Any] = {
            "viewport": SIZES[size],
            "locale": "en-GB",
            "timezone_id": "Europe/Paris",
            "base_url": url,
            **options,
        }
        self.context = browser.new_context(**given)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.complaints: list[str] = []
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def keep(self, name: str) -> None:
        """Keep a screenshot, for people to look at."""
        SCREENS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENS / f"{name}.png", full_page=True)

    def close(self) -> None:
        self.context.close()


@pytest.fixture(scope="module")
def target() -> Iterator[Receiver]:
    with receiver() as told:
        yield told


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, target: Receiver) -> Iterator[Program]:
    """A house in use: some jobs that go well, one that fails, one that is paused."""
    program = Program(tmp_path_factory.mktemp("house")).start()
    well = {"kind": "http", "url": target.url}
    for name, trigger, action in (
        ("warm the cache", {"kind": "interval", "every": "2s"}, well),
        ("dump of the sales database", _cron("30 2 * * 1-5"), well),
        ("report to the ministry", {"kind": "interval", "every": "3s"}, {**well, "url": f"{program.url}/no"}),
        ("ping the partner", {"kind": "interval", "every": "1m"}, well),
        ("rotate logs", _cron("*/20 * * * *"), well),
    ):
        program.call("POST", "/jobs", {"name": name, "trigger": trigger, "action": action})
    program.call("POST", "/jobs/4/pause", {"note": "their maintenance"})
    program.call("POST", "/jobs/2/run")
    yield program
    program.stop()


def _cron(line: str) -> dict[str, str]:
    return {"kind": "cron", "line": line, "zone": "Europe/Paris"}


@pytest.fixture
def look(browser: Browser, server: Program) -> Iterator[Any]:
    """Open pages of the server: `look(size, **options)`. The browser must not have complained."""
    opened: list[Look] = []

    def open_one(size: str = "desk", **options: Any) -> Look:
        opened.append(Look(browser, server.url, size, **options))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()
    assert [complaint for each in opened for complaint in each.complaints] == []

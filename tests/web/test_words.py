"""What people read: every text of the pages has its French, and triggers are told in words."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import beffroi
from beffroi.core.access import Caller, Means, Role
from beffroi.core.triggers import read_trigger
from beffroi.domains.jobs.occurrences import meaning_of
from beffroi.domains.jobs.wording import in_words
from beffroi.web import times
from beffroi.web.viewer import Viewer, made_for
from beffroi.web.words import FOLDER

METHODS = [("**/templates/**.html", "jinja2"), ("**.py", "python")]
OPTIONS = {"**/templates/**.html": {"extensions": "jinja2.ext.i18n", "newstyle_gettext": "true"}}
KEYWORDS = {"_": None, "gettext": None, "mark": None, "ngettext": (1, 2)}
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def said() -> set[str]:
    """Return all texts of the source that people see."""
    root = str(Path(beffroi.__file__).parent)
    found = extract_from_dir(root, METHODS, OPTIONS, keywords=KEYWORDS)
    return {message if isinstance(message, str) else message[0] for _, _, message, _, _ in found}


def catalogue() -> Catalog:
    with (FOLDER / "fr.po").open(encoding="utf-8") as file:
        return read_po(file)


def test_every_text_has_its_french_and_no_other_is_kept() -> None:
    kept = {
        message.id if isinstance(message.id, str) else message.id[0] for message in catalogue() if message.id
    }
    assert kept == said()


def test_every_translation_is_complete() -> None:
    for message in catalogue():
        texts = [message.string] if isinstance(message.string, str) else list(message.string or ())
        assert all(texts), message.id
        assert not list(message.check()), message.id


def viewer(language: str = "en", zone: str = "Europe/Paris") -> Viewer:
    return Viewer(language, zone, NOW, Caller("ada", Role.ADMIN, Means.PASSWORD, 1))


@pytest.mark.parametrize(
    ("trigger", "english", "french"),
    [
        ('{"kind": "interval", "every": "1h"}', "every hour", "toutes les heures"),
        ('{"kind": "interval", "every": "90m"}', "every 90 minutes", "toutes les 90 minutes"),
        ('{"kind": "interval", "every": "7s"}', "every 7s", "toutes les 7s"),
        (
            '{"kind": "cron", "line": "30 2 * * 1-5", "zone": "Europe/Paris"}',
            "at 02:30, Monday through Friday, Europe/Paris",
            "à 02:30, de lundi à vendredi, Europe/Paris",
        ),
        (
            '{"kind": "once", "at": "2026-12-01T08:00:00Z"}',
            "once, on Tuesday 1 December 2026, 09:00:00 +01:00",
            "une fois, le mardi 1 décembre 2026, 09:00:00 +01:00",
        ),
    ],
)
def test_triggers_in_words(trigger: str, english: str, french: str) -> None:
    with made_for(viewer("en")):
        assert in_words(read_trigger(trigger)) == english
    with made_for(viewer("fr")):
        assert in_words(read_trigger(trigger)) == french


def test_the_change_of_the_clocks_is_told() -> None:
    trigger = read_trigger('{"kind": "cron", "line": "30 2 * * *", "zone": "Europe/Paris"}')
    with made_for(viewer()):
        spring = meaning_of(trigger, datetime(2026, 3, 27, 12, tzinfo=UTC), 3).occurrences
        autumn = meaning_of(trigger, datetime(2026, 10, 23, 12, tzinfo=UTC), 3).occurrences
    assert [each.note for each in spring] == [None, "the clocks change before it: UTC+02:00", None]
    assert [each.note for each in autumn] == [
        None,
        "this hour exists twice",
        "the clocks change before it: UTC+01:00",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.000412, "0.412 ms"),
        (12.3456, "12.3 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (1e6, "12 days"),
    ],
)
def test_spans_in_the_unit_that_fits(seconds: float | None, text: str) -> None:
    with made_for(viewer()):
        assert times.duration(seconds) == text


def test_moments_are_told_in_the_viewers_zone() -> None:
    with made_for(viewer(zone="Asia/Tokyo")):
        assert times.plain(datetime(2026, 11, 21, 10, tzinfo=UTC)) == "19:00:00"
        shown = str(times.moment(datetime(2026, 11, 20, 10, tzinfo=UTC)))
    assert ">Fri 20 Nov 19:00:00<" in shown
    assert "2026-11-20 10:00:00 UTC" in shown

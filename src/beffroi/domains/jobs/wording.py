"""What triggers and actions mean, in words."""

import json
import re
from datetime import datetime, timedelta
from typing import Any

from babel.dates import get_day_names, get_month_names
from cron_descriptor import ExpressionDescriptor, FormatError, Options

from beffroi.core.durations import format_duration
from beffroi.core.moments import zone_of
from beffroi.core.triggers import AnyTrigger, read_trigger
from beffroi.core.triggers.cron import Cron
from beffroi.core.triggers.edges import Edges
from beffroi.core.triggers.interval import Interval
from beffroi.core.triggers.once import Once
from beffroi.web import times, viewer
from beffroi.web.words import gettext as _
from beffroi.web.words import ngettext

LOCALES = {"en": "en_US", "fr": "fr_FR"}
UNITS = ((timedelta(days=1), "day"), (timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute"))


def in_words(trigger: AnyTrigger) -> str:
    """Say when a trigger fires."""
    if isinstance(trigger, Once):
        return _("once, on %(moment)s") % {"moment": times.full(trigger.at)}
    if isinstance(trigger, Interval):
        return _every(trigger.every)
    if isinstance(trigger, Cron):
        return f"{_cron(trigger)}, {trigger.zone}"
    if isinstance(trigger, Edges):
        return _window(trigger)
    if not trigger.windows:
        return _("when an override ends")
    return "; ".join(_window(each) for each in trigger.windows)


def stored_in_words(text: str) -> str:
    """Say when a stored trigger fires; one that cannot be read is shown as it is."""
    try:
        return in_words(read_trigger(text))
    except ValueError:
        return text[:200]


def action_in_words(text: str) -> str:
    """Say in a line what a stored action does."""
    try:
        action: Any = json.loads(text)
        kind = action.get("kind")
    except (ValueError, AttributeError):
        return text[:200]
    if kind == "http":
        return f"{action.get('method', 'GET')} {action.get('url', '')}"
    if kind == "command":
        return _("command %(name)s") % {"name": action.get("command", "")}
    if kind == "python":
        return _("Python %(name)s") % {"name": action.get("entry_point", "")}
    return str(kind)


def _every(span: timedelta) -> str:
    for unit, name in UNITS:
        if span >= unit and span % unit == timedelta(0):
            return _count(span // unit, name)
    return _("every %(span)s") % {"span": format_duration(span)}


def _count(count: int, unit: str) -> str:
    texts = {
        "day": ngettext("every day", "every %(num)d days", count),
        "hour": ngettext("every hour", "every %(num)d hours", count),
        "minute": ngettext("every minute", "every %(num)d minutes", count),
    }
    return texts[unit] % {"num": count}


def _cron(trigger: Cron) -> str:
    options = Options()
    options.use_24hour_time_format = True
    options.locale_code = LOCALES[viewer.current().language]
    try:
        text = ExpressionDescriptor(trigger.line, options).get_description()
    except (FormatError, IndexError, ValueError):
        return trigger.line  # the describer knows fewer dialects than the trigger
    return _localized(text[:1].lower() + text[1:])


def _localized(text: str) -> str:
    """Put days and months into the language of the page: the describer leaves their names in English."""
    locale = viewer.current().locale
    if locale.language == "en":
        return text
    for english, names in (
        (get_day_names("wide", locale="en"), get_day_names("wide", locale=locale)),
        (get_month_names("wide", locale="en"), get_month_names("wide", locale=locale)),
    ):
        for number, name in english.items():
            text = re.sub(rf"\b{name}\b", names[number], text)
    return text


def _window(trigger: Edges) -> str:
    if trigger.start is not None and trigger.end is not None:
        return _("at %(start)s and %(end)s") % {
            "start": times.plain(trigger.start),
            "end": times.plain(trigger.end),
        }
    starts = in_words(trigger.starts) if isinstance(trigger.starts, Cron) else _("by its recurrence")
    return _("%(starts)s, and %(length)s later") % {
        "starts": starts,
        "length": format_duration(trigger.length or timedelta(0)),
    }


def note_on_clock(moment: datetime, before: datetime, zone: str) -> str | None:
    """Say what the change of the clocks does around an occurrence that follows `before`."""
    there = moment.astimezone(zone_of(zone))
    if there.replace(fold=1 - there.fold).utcoffset() != there.utcoffset():
        return _("this hour exists twice")
    if there.utcoffset() != before.astimezone(zone_of(zone)).utcoffset():
        return _("the clocks change before it: UTC%(offset)s") % {"offset": there.isoformat()[-6:]}
    return None

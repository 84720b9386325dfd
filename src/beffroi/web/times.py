"""Moments and durations as people read them: in their zone, with UTC at hand."""

from datetime import UTC, datetime, timedelta
from math import isfinite

from babel.dates import format_date, format_datetime, format_time, format_timedelta
from babel.numbers import format_decimal
from markupsafe import Markup, escape

from beffroi.web import viewer
from beffroi.web.words import gettext as _

DAY = timedelta(days=1)


def moment(value: datetime | None, *, seconds: bool = True) -> Markup:
    """Show a moment: the time when it is today's, else with its day; UTC on hover."""
    if value is None:
        return Markup('<span class="none">–</span>')
    return _tag(value, plain(value, seconds=seconds), "")


def ago(value: datetime | None) -> Markup:
    """Show how far away a moment is; the browser lets it tick."""
    if value is None:
        return Markup('<span class="none">–</span>')
    seer = viewer.current()
    text = format_timedelta(
        value - seer.now, add_direction=True, locale=seer.locale, format="short", threshold=1.5
    )
    return _tag(value, text, "ago")


def plain(value: datetime, *, seconds: bool = True) -> str:
    """Return a moment as text, in the viewer's zone."""
    seer = viewer.current()
    there, today = value.astimezone(seer.zone), seer.now.astimezone(seer.zone)
    clock = format_time(there, "HH:mm:ss" if seconds else "HH:mm", tzinfo=seer.zone, locale=seer.locale)
    if there.date() == today.date():
        return str(clock)
    pattern = "EEE d MMM" if abs(value - seer.now) < 300 * DAY else "d MMM y"
    return f"{format_date(there, pattern, locale=seer.locale)} {clock}"


def full(value: datetime) -> str:
    """Return a moment with weekday, zone and offset: what one reads before deciding something."""
    seer = viewer.current()
    return str(format_datetime(value, "EEEE d MMMM y, HH:mm:ss ZZZZZ", tzinfo=seer.zone, locale=seer.locale))


def duration(seconds: float | None) -> str:
    """Return a span in the unit that fits: `0.4 ms`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds is None or not isfinite(seconds):
        return "–"
    if seconds < 1:
        return f"{number(seconds * 1000)} ms"
    if seconds < 60:
        return f"{number(seconds)} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return _("%(days)s days") % {"days": round(whole / 86400)}


def number(value: float) -> str:
    """Return a number with three digits, as the viewer's language writes it."""
    return str(format_decimal(float(f"{value:.3g}"), locale=viewer.current().locale))


def _tag(value: datetime, text: str, kind: str) -> Markup:
    utc = value.astimezone(UTC)
    stamp = utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    hover = f"{full(value)} · {utc:%Y-%m-%d %H:%M:%S} UTC"
    mark = Markup(' class="{}"').format(kind) if kind else ""
    return Markup('<time datetime="{}" title="{}"{}>{}</time>').format(stamp, hover, mark, escape(text))

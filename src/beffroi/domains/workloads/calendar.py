"""The week as a drawing: windows as blocks in seven columns. A pure rule; the template writes it as SVG."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from beffroi.core.triggers.edges import Edges
from beffroi.domains.workloads.rules import Wanted
from beffroi.domains.workloads.voices import Voices

DAY_MINUTES = 24 * 60
MOST_WINDOWS = 200
"""Of one schedule in one week."""


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a window on one day, from a minute on the wall to another, in one of several lanes."""

    day: int
    top: int
    bottom: int
    schedule_id: int
    name: str
    since: datetime
    until: datetime
    is_active: bool = True
    lane: int = 0
    lanes: int = 1


@dataclass(frozen=True, slots=True)
class Shown:
    """What the calendar needs of a schedule."""

    id: int
    name: str
    edges: Edges
    is_active: bool


@dataclass(frozen=True, slots=True)
class Stripe:
    """A part of a strip, in per mille of its width, in which one thing holds."""

    x: float
    width: float
    kind: str
    since: datetime
    until: datetime


def week_of(monday: date, zone: ZoneInfo, schedules: Sequence[Shown]) -> list[Block]:
    """Return the blocks of a week, day by day, those that overlap side by side."""
    start, end = _midnight(monday, zone), _midnight(monday + timedelta(days=7), zone)
    blocks = [
        block
        for schedule in schedules
        for since, until in windows_between(schedule.edges, start, end)
        for block in _cut(schedule, max(since, start), min(until, end), (since, until), monday, zone)
    ]
    return [
        placed for day in range(7) for placed in _side_by_side([each for each in blocks if each.day == day])
    ]


def windows_between(edges: Edges, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield the windows that reach into `[start, end)`, in order of their beginnings."""
    present = edges.window_at(start)
    if present is not None:
        yield present
    moment: datetime | None = start
    for _ in range(2 * MOST_WINDOWS):
        moment = edges.next_after(moment) if moment is not None else None
        if moment is None or moment >= end:
            return
        found = edges.window_at(moment)
        if found is not None and found[0] == moment:
            yield found


def strip(voices: Voices, start: datetime, end: datetime) -> list[Stripe]:
    """Return what is wanted from one moment to another."""
    whole = (end - start).total_seconds()
    stripes: list[Stripe] = []
    moment = start
    while moment < end and len(stripes) < MOST_WINDOWS:
        found = voices.explain(moment)
        until = min(found.then[0], end) if found.then else end
        x = (moment - start).total_seconds() / whole * 1000
        width = (until - moment).total_seconds() / whole * 1000
        kind = (
            "by_hand"
            if found.verdict.wanted is Wanted.LEAVE and found.verdict.winner
            else str(found.verdict.wanted)
        )
        stripes.append(Stripe(round(x, 2), round(width, 2), kind, moment, until))
        moment = until
    return stripes


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(ZoneInfo("UTC"))


def _cut(
    schedule: Shown,
    since: datetime,
    until: datetime,
    whole: tuple[datetime, datetime],
    monday: date,
    zone: ZoneInfo,
) -> Iterator[Block]:
    """Cut a window at the midnights of the wall."""
    first, last = since.astimezone(zone), until.astimezone(zone)
    day = first.date()
    while day <= last.date():
        top = _minute(first) if day == first.date() else 0
        bottom = _minute(last) if day == last.date() else DAY_MINUTES
        if bottom > top:
            yield Block(
                (day - monday).days, top, bottom, schedule.id, schedule.name, *whole, schedule.is_active
            )
        day += timedelta(days=1)


def _minute(moment: datetime) -> int:
    return moment.hour * 60 + moment.minute


def _side_by_side(blocks: Sequence[Block]) -> Iterator[Block]:
    """Give blocks that overlap lanes of their own; each group shares the width of the day."""
    group: list[Block] = []
    ends: list[int] = []
    for block in sorted(blocks, key=lambda each: (each.top, -each.bottom)):
        if group and block.top >= max(ends):
            yield from _shared(group, len(ends))
            group, ends = [], []
        lane = next((number for number, end in enumerate(ends) if end <= block.top), len(ends))
        ends[lane : lane + 1] = [block.bottom]
        group.append(replace(block, lane=lane))
    yield from _shared(group, len(ends))


def _shared(group: Sequence[Block], lanes: int) -> Iterator[Block]:
    for block in group:
        yield replace(block, lanes=lanes)

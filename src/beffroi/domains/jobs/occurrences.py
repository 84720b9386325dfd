"""The occurrences to come, as people look at them: those that a change of the clocks touches are marked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from beffroi.core.triggers import AnyTrigger, enumerate_moments, read_trigger
from beffroi.domains.jobs.shapes import upcoming
from beffroi.domains.jobs.wording import in_words, note_on_clock
from beffroi.engine.models import Job

SHOWN = 10
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """`note`: what the clocks do around it."""

    at: datetime
    skipped: bool = False
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a proposed trigger comes to."""

    words: str
    occurrences: Sequence[Occurrence]
    per_hour: float


def of_job(job: Job, now: datetime, most: int = SHOWN) -> list[Occurrence]:
    """Return the next occurrences of a job."""
    try:
        zone = _zone_of(read_trigger(job.trigger))
    except ValueError:
        return []
    found = upcoming(job, most, now)
    noted = _noted([each.at for each in found], now, zone)
    return [Occurrence(each.at, each.skipped, mark.note) for each, mark in zip(found, noted, strict=True)]


def meaning_of(trigger: AnyTrigger, now: datetime, most: int = 5) -> Meaning:
    """Say what a trigger means: in words, in moments, and how often it fires on a day's average."""
    moments = list(enumerate_moments(trigger, now, most))
    per_hour = trigger.count_between(now, now + 24 * HOUR) / 24
    return Meaning(in_words(trigger), _noted(moments, now, _zone_of(trigger)), per_hour)


def _noted(moments: Sequence[datetime], now: datetime, zone: str | None) -> list[Occurrence]:
    befores = [now, *moments]
    return [
        Occurrence(at, note=note_on_clock(at, before, zone) if zone else None)
        for at, before in zip(moments, befores, strict=False)
    ]


def _zone_of(trigger: AnyTrigger) -> str | None:
    return getattr(trigger, "zone", None)

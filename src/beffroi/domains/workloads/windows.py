"""Where a schedule stands: a pure function of its window and the moment."""

from datetime import datetime

from beffroi.core.moments import Moment
from beffroi.core.triggers.cron import Cron
from beffroi.core.triggers.edges import Edges
from beffroi.core.triggers.rrule import RRule
from beffroi.domains.workloads.models import Status


def status_at(window: Edges, now: datetime) -> Status:
    """Return the status: half-open, so at its start a window runs, and at its end it does not."""
    if window.window_at(now) is not None:
        return Status.RUNNING
    return Status.COMPLETED if window.is_over(now) else Status.SCHEDULED


def window_of(start: Moment, end: Moment, recurrence: str | None, zone: str) -> Edges:
    """Return the edges of a schedule; ValueError when the recurrence makes no sense.

    A recurring window begins by `recurrence` (a cron line or an RRULE, in `zone`), not before
    `start`, and lasts as long as the first, `end - start`.
    """
    if recurrence is None:
        return Edges(start=start, end=end)
    return Edges(starts=_starts(recurrence, start, zone), length=end - start, since=start)


def _starts(recurrence: str, start: datetime, zone: str) -> Cron | RRule:
    rule = recurrence.strip().removeprefix("RRULE:")
    if "FREQ=" in rule.upper():
        return RRule(rule=rule.upper(), start=start, zone=zone)
    return Cron(line=rule, zone=zone)

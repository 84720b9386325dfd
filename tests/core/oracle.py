"""What a cron line means, found the slow way: every minute of real time is looked at."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from beffroi.core.triggers.cron import Cron
from beffroi.core.triggers.walls import Fold, Gap

MINUTE = timedelta(minutes=1)


def brute_force(cron: Cron, after: datetime, until: datetime) -> list[datetime]:
    """Enumerate the moments of a five-field line in (after, until], minute by minute."""
    zone = ZoneInfo(cron.zone)
    parsed = CronSim(cron.line, datetime(2024, 1, 1))  # noqa: DTZ001  wall time
    minute, hour = cron.line.split()[:2]
    real_time = minute.startswith("*") or hour.startswith("*")
    gap = cron.gap or (Gap.SKIP if real_time else Gap.FIRST_VALID)
    fold = cron.fold or (Fold.BOTH if real_time else Fold.FIRST)
    found = {
        moment
        for moment in _placed(parsed, zone, gap, fold, after - timedelta(days=3), until + timedelta(days=3))
        if after < moment <= until
    }
    return sorted(found)


def _placed(
    parsed: CronSim, zone: ZoneInfo, gap: Gap, fold: Fold, start: datetime, end: datetime
) -> Iterator[datetime]:
    moment = start.replace(second=0, microsecond=0)
    last_wall = None
    while moment <= end:
        wall = moment.astimezone(zone).replace(tzinfo=None)
        if last_wall is not None and wall > last_wall + MINUTE:
            yield from _lost(parsed, gap, moment, last_wall + MINUTE, wall)
        if _matches(parsed, wall) and _is_wanted(moment, zone, fold):
            yield moment
        last_wall = wall
        moment += MINUTE


def _lost(
    parsed: CronSim, gap: Gap, after_gap: datetime, wall: datetime, end: datetime
) -> Iterator[datetime]:
    first_lost = wall
    while wall < end:
        if _matches(parsed, wall):
            if gap is Gap.FIRST_VALID:
                yield after_gap
            elif gap is Gap.SHIFT:
                yield after_gap + (wall - first_lost)
        wall += MINUTE


def _matches(parsed: CronSim, wall: datetime) -> bool:
    return (
        wall.minute in parsed.minutes
        and wall.hour in parsed.hours
        and wall.month in parsed.months
        and parsed.match_day(wall.date())
    )


def _is_wanted(moment: datetime, zone: ZoneInfo, fold: Fold) -> bool:
    """Whether this pass of a wall time counts: times that exist once always do."""
    wall = moment.astimezone(zone)
    first = wall.replace(fold=0).astimezone(UTC)
    last = wall.replace(fold=1).astimezone(UTC)
    if first == last or fold is Fold.BOTH:
        return True
    return moment == (first if fold is Fold.FIRST else last)

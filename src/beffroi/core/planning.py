"""What falls due: from a trigger, a policy and two moments, the occurrences to run and to write off.

This is the rule behind the first promise: every occurrence in (cursor, until] is in exactly one
place of the decision, so the ledger that is written from it has neither holes nor doubles.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from beffroi.core.moments import MICROSECOND
from beffroi.core.outcomes import Reason, State
from beffroi.core.policies import CatchUp, Policy
from beffroi.core.triggers.base import Trigger

PROMPT = timedelta(seconds=2)
"""An occurrence found no later than this was not slept through: the planner was merely busy."""

MOST_AT_ONCE = 1_000
"""A decision holds at most so many runs; the rest is decided by the next one."""


@dataclass(frozen=True, slots=True)
class WrittenOff:
    """Consecutive occurrences that will not run: the first, the last, how many, and why."""

    state: State
    reason: Reason
    first: datetime
    last: datetime
    count: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be written: runs at these nominal moments, the written-off, and the new cursor."""

    fires: list[datetime]
    written_off: list[WrittenOff]
    cursor: datetime
    next_due: datetime | None


def decide(
    trigger: Trigger,
    policy: Policy,
    cursor: datetime,
    now: datetime,
    horizon: datetime,
    skips: frozenset[datetime] = frozenset(),
) -> Decision:
    """Decide every occurrence in (cursor, horizon], for `now <= horizon`.

    Those after `now` are planned ahead. Of those before, `misfire_grace` and `catch_up` say which
    still run; the others are `missed`. Those in `skips` are `skipped`, whatever else holds.
    """
    written_off: list[WrittenOff] = []
    start = cursor
    moment = trigger.next_after(cursor)
    if moment is not None and moment <= now - PROMPT:
        start = _write_off_slept_through(trigger, policy, cursor, now, written_off)
        moment = moment if start == cursor else trigger.next_after(start)
    fires: list[datetime] = []
    while moment is not None and moment <= horizon and len(fires) < MOST_AT_ONCE:
        if moment in skips:
            written_off.append(WrittenOff(State.SKIPPED, Reason.BY_HAND, moment, moment, 1))
        else:
            fires.append(moment)
        start = moment
        moment = trigger.next_after(moment)
    return Decision(fires, written_off, max(start, cursor), moment)


def write_off(
    trigger: Trigger, after: datetime, until: datetime, state: State, reason: Reason
) -> WrittenOff | None:
    """Write off all of (after, until] at once, counted by the trigger; None when it is empty."""
    last = trigger.last_between(after, until)
    first = trigger.next_after(after)
    if last is None or first is None:
        return None
    count = 1 if first == last else trigger.count_between(after, last)
    return WrittenOff(state, reason, first, last, count)


def _write_off_slept_through(
    trigger: Trigger,
    policy: Policy,
    cursor: datetime,
    now: datetime,
    written_off: list[WrittenOff],
) -> datetime:
    """Write off the past that shall not run; return the moment after which everything runs."""
    start = cursor
    for until, reason in _bounds(trigger, policy, cursor, now):
        if until > start and (gone := write_off(trigger, start, until, State.MISSED, reason)):
            written_off.append(gone)
            start = gone.last
    return start


def _bounds(
    trigger: Trigger, policy: Policy, cursor: datetime, now: datetime
) -> list[tuple[datetime, Reason]]:
    """List up to which moment the past is written off, and why."""
    bounds: list[tuple[datetime, Reason]] = []
    if policy.misfire_grace is not None:
        bounds.append((now - policy.misfire_grace - MICROSECOND, Reason.TOO_LATE))
    if policy.catch_up is CatchUp.NONE:
        bounds.append((now - PROMPT, Reason.SLEPT_THROUGH))
    elif policy.catch_up is CatchUp.LAST:
        last = trigger.last_between(cursor, now)
        bounds.append(((last or now) - MICROSECOND, Reason.SLEPT_THROUGH))
    else:
        bounds.append((_start_of_newest(trigger, cursor, now, policy.catch_up_limit), Reason.OVER_LIMIT))
    return bounds


def _start_of_newest(trigger: Trigger, cursor: datetime, now: datetime, limit: int) -> datetime:
    """Return a moment after which exactly the newest `limit` occurrences lie (or all, when fewer)."""
    low, high = cursor, now
    if trigger.count_between(low, now) <= limit:
        return cursor
    while high - low > MICROSECOND:
        middle = low + (high - low) / 2
        count = trigger.count_between(middle, now)
        if count == limit:
            return middle
        low, high = (middle, high) if count > limit else (low, middle)
    return high

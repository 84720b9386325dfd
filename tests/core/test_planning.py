"""The rule of what falls due: nothing lost, nothing twice, by any policy."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from beffroi.core.outcomes import Reason, State
from beffroi.core.planning import PROMPT, Decision, decide
from beffroi.core.policies import CatchUp, Policy
from beffroi.core.triggers import enumerate_moments
from beffroi.core.triggers.base import Rule
from beffroi.core.triggers.cron import Cron
from beffroi.core.triggers.interval import Interval
from beffroi.core.triggers.once import Once

START = datetime(2026, 3, 28, 20, tzinfo=UTC)

triggers: st.SearchStrategy[Rule] = st.one_of(
    st.builds(Interval, every=st.timedeltas(timedelta(seconds=1), timedelta(hours=9)), anchor=st.just(START)),
    st.builds(
        Cron, line=st.sampled_from(["*/5 * * * *", "30 2 * * *", "0 * * * *"]), zone=st.just("Europe/Paris")
    ),
    st.builds(Once, at=st.datetimes(datetime(2026, 3, 28), datetime(2026, 3, 30), timezones=st.just(UTC))),  # noqa: DTZ001
)

policies = st.builds(
    Policy,
    catch_up=st.sampled_from(list(CatchUp)),
    catch_up_limit=st.integers(1, 5),
    misfire_grace=st.one_of(st.none(), st.timedeltas(timedelta(0), timedelta(hours=2))),
)


def total(decision: Decision) -> int:
    return len(decision.fires) + sum(gone.count for gone in decision.written_off)


@settings(max_examples=300, deadline=None)
@given(
    trigger=triggers,
    policy=policies,
    asleep=st.timedeltas(timedelta(0), timedelta(hours=14)),
    data=st.data(),
)
def test_every_occurrence_is_in_exactly_one_place(
    trigger: Rule, policy: Policy, asleep: timedelta, data: st.DataObject
) -> None:
    now = START + asleep
    horizon = now + timedelta(seconds=1)
    upcoming = list(enumerate_moments(trigger, now, 2))
    skips = frozenset(data.draw(st.sets(st.sampled_from(upcoming))) if upcoming else ())
    cursor, counted = START, 0
    for _ in range(60):
        decision = decide(trigger, policy, cursor, now, horizon, skips)
        counted += total(decision)
        assert decision.cursor >= cursor
        cursor = decision.cursor
        if decision.next_due is None or decision.next_due > horizon:
            break
    assert counted == trigger.count_between(START, horizon)
    assert decision.next_due == trigger.next_after(max(cursor, START))


@settings(max_examples=100, deadline=None)
@given(trigger=triggers, policy=policies, asleep=st.timedeltas(timedelta(minutes=1), timedelta(hours=14)))
def test_what_fires_is_in_order_and_within_the_policy(
    trigger: Rule, policy: Policy, asleep: timedelta
) -> None:
    now = START + asleep
    decision = decide(trigger, policy, START, now, now)
    assert decision.fires == sorted(set(decision.fires))
    old = [moment for moment in decision.fires if moment <= now - PROMPT]
    if policy.catch_up is CatchUp.NONE:
        assert not old
    if policy.catch_up is CatchUp.LAST:
        assert len(old) <= 1
    if policy.misfire_grace is not None and old:
        assert all(now - moment <= policy.misfire_grace for moment in old)


def test_after_a_sleep_only_the_last_is_run() -> None:
    trigger = Interval(every=timedelta(minutes=10), anchor=START)
    now = START + timedelta(hours=1, minutes=5)
    decision = decide(trigger, Policy(), START, now, now + timedelta(seconds=1))
    assert decision.fires == [START + timedelta(hours=1)]
    (gone,) = decision.written_off
    assert (gone.state, gone.reason, gone.count) == (State.MISSED, Reason.SLEPT_THROUGH, 5)
    assert (gone.first, gone.last) == (START + timedelta(minutes=10), START + timedelta(minutes=50))


def test_all_is_bounded_by_its_limit() -> None:
    trigger = Interval(every=timedelta(minutes=10), anchor=START)
    now = START + timedelta(hours=1, minutes=5)
    decision = decide(trigger, Policy(catch_up=CatchUp.ALL, catch_up_limit=2), START, now, now)
    assert decision.fires == [START + timedelta(minutes=50), START + timedelta(hours=1)]
    assert decision.written_off[0].reason is Reason.OVER_LIMIT
    assert decision.written_off[0].count == 4


def test_a_year_asleep_is_one_row_with_its_count() -> None:
    trigger = Interval(every=timedelta(seconds=30), anchor=START)
    now = START + timedelta(days=365)
    decision = decide(trigger, Policy(catch_up=CatchUp.NONE), START, now, now)
    assert len(decision.written_off) == 1
    assert total(decision) == 1_051_200


def test_a_busy_planner_loses_nothing_to_catch_up_none() -> None:
    trigger = Interval(every=timedelta(seconds=1), anchor=START)
    now = START + timedelta(seconds=1.5)
    decision = decide(trigger, Policy(catch_up=CatchUp.NONE), START, now, now)
    assert decision.fires == [START + timedelta(seconds=1)]


def test_a_skipped_occurrence_is_written_as_such() -> None:
    trigger = Interval(every=timedelta(seconds=1), anchor=START)
    skips = frozenset({START + timedelta(seconds=1)})
    decision = decide(trigger, Policy(), START, START, START + timedelta(seconds=2), skips)
    assert decision.fires == [START + timedelta(seconds=2)]
    assert [(gone.state, gone.reason) for gone in decision.written_off] == [(State.SKIPPED, Reason.BY_HAND)]

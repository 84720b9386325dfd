"""The planner writes down what is due, ahead of its moment, once."""

from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlmodel import col, select

from beffroi.core.outcomes import Outcome, Reason, State
from beffroi.core.policies import CatchUp, Overlap, Policy, Retries
from beffroi.core.triggers.interval import Interval
from beffroi.core.triggers.once import Once
from beffroi.engine import jobs
from beffroi.engine.models import Job, JobState, Signal, SignalKind
from beffroi.engine.settle import Report, Settler
from beffroi.store.db import Database
from tests.helpers.clock import START, VirtualClock
from tests.helpers.stage import FAILED, Stage, ledger_count

SECOND = timedelta(seconds=1)
EVERY_SECOND = Interval(every=SECOND, anchor=START)


def test_a_run_is_on_disk_before_its_moment_and_starts_at_it(stage: Stage, clock: VirtualClock) -> None:
    job = stage.add(Interval(every=10 * SECOND, anchor=START))
    clock.advance(9.4 * SECOND)
    stage.plan()
    (planned,) = stage.runs(job)
    assert planned.state is State.PLANNED
    assert planned.scheduled_for == START + 10 * SECOND
    assert stage.begin() == []
    clock.advance(0.6 * SECOND)
    (begun,) = stage.begin()
    assert begun.id == planned.id


def test_the_ledger_equals_the_enumeration_while_time_passes(stage: Stage, clock: VirtualClock) -> None:
    job = stage.add(EVERY_SECOND)
    stage.pass_time(timedelta(minutes=2))
    runs = stage.runs(job)
    assert ledger_count(runs, START, clock.now()) == 120
    assert {run.state for run in runs if run.scheduled_for <= clock.now()} == {State.SUCCEEDED}


@pytest.mark.parametrize("catch_up", list(CatchUp))
def test_the_ledger_equals_the_enumeration_after_a_sleep(
    stage: Stage, clock: VirtualClock, catch_up: CatchUp
) -> None:
    policy = Policy(catch_up=catch_up, overlap=Overlap.QUEUE, catch_up_limit=7)
    job = stage.add(EVERY_SECOND, policy)
    clock.advance(timedelta(hours=5, seconds=0.5))
    stage.take_over()
    stage.pass_time(timedelta(seconds=3))
    runs = stage.runs(job)
    cursor = stage.job(job).cursor
    assert ledger_count(runs, START, cursor) == EVERY_SECOND.count_between(START, cursor)
    missed = sum(run.occurrences for run in runs if run.state is State.MISSED)
    assert missed == {CatchUp.NONE: 17_999, CatchUp.LAST: 18_000, CatchUp.ALL: 17_994}[catch_up]


def test_a_job_that_has_nothing_to_come_is_finished(stage: Stage, clock: VirtualClock) -> None:
    job = stage.add(Once(at=START + SECOND))
    stage.pass_time(3 * SECOND)
    assert stage.job(job).state is JobState.FINISHED
    assert [run.state for run in stage.runs(job)] == [State.SUCCEEDED]


def test_a_job_made_for_a_past_moment_runs_at_once(stage: Stage, clock: VirtualClock) -> None:
    job = stage.add(Once(at=START - timedelta(days=2)))
    stage.pass_time(SECOND)
    assert [run.state for run in stage.runs(job)] == [State.SUCCEEDED]


def test_a_row_that_cannot_be_read_is_parked_and_the_others_go_on(
    stage: Stage, clock: VirtualClock, database: Database
) -> None:
    bad, good = stage.add(EVERY_SECOND, name="bad"), stage.add(EVERY_SECOND, name="good")
    with database.write() as session:
        session.execute(update(Job).where(col(Job.id) == bad).values(trigger='{"kind": "moon"}'))
    stage.pass_time(3 * SECOND)
    parked = stage.job(bad)
    assert parked.state is JobState.BROKEN
    assert parked.trigger == '{"kind": "moon"}', "nothing of it is deleted"
    assert parked.note is not None
    assert len([run for run in stage.runs(good) if run.state is State.SUCCEEDED]) == 3
    with database.read() as session:
        (signal,) = session.exec(select(Signal)).all()
    assert (signal.kind, signal.job_id) == (SignalKind.BROKEN, bad)


def test_a_job_that_contradicts_the_ledger_is_parked_and_the_others_go_on(
    stage: Stage, clock: VirtualClock, database: Database
) -> None:
    bad, good = stage.add(EVERY_SECOND, name="bad"), stage.add(EVERY_SECOND, name="good")
    stage.pass_time(3 * SECOND)
    with database.write() as session:
        turned_back = {"cursor": START, "next_due_at": START + SECOND}
        session.execute(update(Job).where(col(Job.id) == bad).values(**turned_back))
    stage.pass_time(3 * SECOND)
    assert stage.job(bad).state is JobState.BROKEN
    assert len([run for run in stage.runs(good) if run.state is State.SUCCEEDED]) == 6
    moments = [run.scheduled_for for run in stage.runs(bad)]
    assert len(moments) == len(set(moments)), "nothing was fired twice"


def test_a_grace_makes_late_occurrences_missed(stage: Stage, clock: VirtualClock) -> None:
    policy = Policy(misfire_grace=timedelta(seconds=30), catch_up=CatchUp.ALL)
    job = stage.add(Interval(every=timedelta(minutes=1), anchor=START), policy)
    clock.advance(timedelta(minutes=10, seconds=40))
    stage.take_over()
    stage.pass_time(SECOND)
    (gone,) = stage.runs(job)
    assert (gone.state, gone.reason, gone.occurrences) == (State.MISSED, Reason.TOO_LATE, 10)


def test_jitter_puts_a_start_off_but_not_its_moment(stage: Stage, clock: VirtualClock) -> None:
    job = stage.add(Interval(every=timedelta(minutes=1), anchor=START), Policy(jitter=timedelta(seconds=20)))
    clock.advance(timedelta(minutes=1))
    stage.plan()
    (run,) = stage.runs(job)
    assert run.scheduled_for == START + timedelta(minutes=1)
    assert timedelta(0) < run.due_at - run.scheduled_for < timedelta(seconds=20)


def test_more_than_a_batch_is_decided_in_one_go(stage: Stage, clock: VirtualClock) -> None:
    for number in range(1_100):
        stage.add(Once(at=START + SECOND), name=f"job {number}")
    stage.pass_time(2 * SECOND)
    assert [run.state for run in stage.runs()] == [State.SUCCEEDED] * 1_100


def test_a_clock_that_is_set_back_fires_nothing_twice(stage: Stage, clock: VirtualClock) -> None:
    job = stage.add(EVERY_SECOND)
    stage.pass_time(5 * SECOND)
    clock.jump(-timedelta(seconds=4))
    stage.pass_time(8 * SECOND)
    moments = [run.scheduled_for for run in stage.runs(job)]
    assert len(moments) == len(set(moments))
    assert ledger_count(stage.runs(job), START, clock.now()) == 9


def test_a_clock_that_jumps_forward_loses_nothing(stage: Stage, clock: VirtualClock) -> None:
    job = stage.add(EVERY_SECOND)
    stage.pass_time(2 * SECOND)
    clock.jump(timedelta(hours=1))
    stage.pass_time(2 * SECOND)
    assert ledger_count(stage.runs(job), START, clock.now()) == 3_604


def test_a_loose_run_whose_job_cannot_be_read_stops_nobody(
    stage: Stage, clock: VirtualClock, database: Database
) -> None:
    bad, good = (
        stage.add(Once(at=START + timedelta(days=1)), name="bad"),
        stage.add(EVERY_SECOND, name="good"),
    )
    with database.write() as session:
        row = session.get(Job, bad)
        assert row is not None
        jobs.run_now(session, row, clock.now())
        row.policy = '{"timeout": "a while"}'
    stage.pass_time(2 * SECOND)
    assert [run.state for run in stage.runs(bad)] == [State.FAILED]
    assert stage.job(bad).state is JobState.BROKEN
    assert len([run for run in stage.runs(good) if run.state is State.SUCCEEDED]) == 2


def test_a_retry_of_a_deleted_job_is_cancelled(stage: Stage, clock: VirtualClock, database: Database) -> None:
    job = stage.add(Once(at=START + SECOND), Policy(retries=Retries(max=5, first_delay=SECOND)))
    clock.advance(SECOND)
    stage.plan()
    begun = stage.begin()
    with database.write() as session:
        row = session.get(Job, job)
        assert row is not None
        jobs.remove(session, row, clock.now())
    stage.end(begun, FAILED)
    stage.pass_time(5 * SECOND)
    assert [(run.state, run.reason) for run in stage.runs(job)] == [(State.CANCELLED, Reason.JOB_DELETED)]


def test_an_outcome_that_cannot_be_written_is_written_as_failed(
    stage: Stage, clock: VirtualClock, database: Database
) -> None:
    poisoned, good = stage.add(Once(at=START + SECOND), name="bad"), stage.add(Once(at=START + SECOND))
    clock.advance(SECOND)
    stage.plan()
    settler = Settler(database, clock)
    for run in stage.begin():
        code = 10**30 if run.job_id == poisoned else 0
        settler.post(Report(run, clock.now(), clock.now(), Outcome(State.SUCCEEDED, code=code)))
    settler.flush()
    assert [run.state for run in stage.runs(poisoned)] == [State.FAILED]
    assert [run.state for run in stage.runs(good)] == [State.SUCCEEDED]

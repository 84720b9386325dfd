"""Verbs on jobs: a change made while runs are planned ahead wins, and loses nothing."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import Session

from beffroi.core.errors import ConflictError, InvalidError
from beffroi.core.outcomes import Reason, State
from beffroi.core.policies import CatchUp, Overlap, Policy
from beffroi.core.triggers.base import Rule
from beffroi.core.triggers.interval import Interval
from beffroi.core.triggers.once import Once
from beffroi.engine import jobs
from beffroi.engine.jobs import Definition
from beffroi.engine.models import Job, JobState
from beffroi.engine.queue import QUEUE, NoQueue
from beffroi.store.db import Database
from beffroi.store.migrate import migrate
from tests.helpers.clock import START, VirtualClock
from tests.helpers.postgres import Postgres
from tests.helpers.stage import Noop, Stage, ledger_count

SECOND = timedelta(seconds=1)
EVERY_SECOND = Interval(every=SECOND, anchor=START)


def change(stage: Stage, job_id: int, verb: Callable[[Session, Job, datetime], object]) -> object:
    with stage.database.write() as session:
        job = session.get(Job, job_id)
        assert job is not None
        return verb(session, job, stage.clock.now())


def redefine(trigger: Rule, policy: Policy | None = None) -> Callable[[Session, Job, datetime], None]:
    definition = Definition("job", trigger, Noop(), policy or Policy())
    return lambda session, job, now: jobs.redefine(session, job, definition, now)


def pause(session: Session, job: Job, now: datetime) -> None:
    jobs.pause(session, job, None, "why", now)


def test_a_new_interval_counts_from_now_and_repeats_nothing(stage: Stage, clock: VirtualClock) -> None:
    job = stage.add(EVERY_SECOND)
    stage.pass_time(5 * SECOND)
    change(stage, job, redefine(Interval(every=10 * SECOND)))
    assert stage.job(job).next_due_at == START + 10 * SECOND, "the anchor is kept"
    stage.pass_time(30 * SECOND)
    moments = [(run.scheduled_for - START).total_seconds() for run in stage.runs(job)]
    assert moments == [1, 2, 3, 4, 5, 10, 20, 30]


def test_a_change_takes_back_what_was_planned_ahead(stage: Stage, clock: VirtualClock) -> None:
    job = stage.add(EVERY_SECOND)
    clock.advance(0.7 * SECOND)
    stage.plan()
    assert len(stage.runs(job)) == 1
    change(stage, job, pause)
    assert stage.runs(job) == []
    clock.advance(SECOND)
    assert stage.begin() == [], "whoever held it was told"


def test_a_change_that_is_rolled_back_leaves_what_was_planned(stage: Stage, clock: VirtualClock) -> None:
    job = stage.add(EVERY_SECOND)
    clock.advance(0.7 * SECOND)
    stage.plan()

    def pause_then_fail(session: Session, job: Job, now: datetime) -> None:
        pause(session, job, now)
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        change(stage, job, pause_then_fail)
    clock.advance(SECOND)
    assert len(stage.begin()) == 1


def test_a_pause_is_one_row_of_skipped_occurrences(stage: Stage, clock: VirtualClock) -> None:
    job = stage.add(EVERY_SECOND)
    stage.pass_time(3 * SECOND)
    change(stage, job, pause)
    stage.pass_time(timedelta(minutes=1))
    assert stage.job(job).state is JobState.PAUSED
    change(stage, job, jobs.resume)
    stage.pass_time(2 * SECOND)
    gaps = [run for run in stage.runs(job) if run.state is State.SKIPPED]
    assert [(gap.reason, gap.occurrences) for gap in gaps] == [(Reason.PAUSED, 60)]
    assert ledger_count(stage.runs(job), START, clock.now()) == 65


def test_a_pause_ends_by_itself(stage: Stage, clock: VirtualClock) -> None:
    job = stage.add(EVERY_SECOND)
    until = START + 10 * SECOND
    change(stage, job, lambda session, row, now: jobs.pause(session, row, until, "disk", now))
    stage.pass_time(15 * SECOND)
    assert stage.job(job).state is JobState.ACTIVE
    assert stage.job(job).note is None
    assert [run.occurrences for run in stage.runs(job) if run.reason is Reason.PAUSED] == [10]
    assert ledger_count(stage.runs(job), START, clock.now()) == 15


def test_skipping_leaves_out_one_occurrence(stage: Stage, clock: VirtualClock) -> None:
    job = stage.add(EVERY_SECOND)
    stage.pass_time(0.6 * SECOND)
    change(stage, job, lambda session, row, now: jobs.skip(session, row, None, now))
    change(stage, job, lambda session, row, now: jobs.skip(session, row, None, now))
    change(stage, job, lambda session, row, now: jobs.skip(session, row, START + 4 * SECOND, now))
    stage.pass_time(5 * SECOND)
    states = [run.state for run in stage.runs(job) if run.scheduled_for <= clock.now()]
    assert states == [State.SKIPPED, State.SKIPPED, State.SUCCEEDED, State.SKIPPED, State.SUCCEEDED]


@pytest.mark.parametrize("at", [START - SECOND, START, START + 1.5 * SECOND])
def test_only_an_occurrence_to_come_can_be_skipped(stage: Stage, at: datetime) -> None:
    job = stage.add(EVERY_SECOND)
    with pytest.raises(InvalidError, match="not an occurrence to come"):
        change(stage, job, lambda session, row, now: jobs.skip(session, row, at, now))


def test_a_paused_job_is_not_woken_by_skipping(stage: Stage) -> None:
    job = stage.add(EVERY_SECOND)
    change(stage, job, pause)
    with pytest.raises(ConflictError, match="only of an active one"):
        change(stage, job, lambda session, row, now: jobs.skip(session, row, None, now))
    assert stage.job(job).state is JobState.PAUSED


def test_a_change_after_a_long_sleep_writes_all_of_it_down(stage: Stage, clock: VirtualClock) -> None:
    job = stage.add(EVERY_SECOND, Policy(catch_up=CatchUp.ALL, catch_up_limit=5_000))
    clock.advance(timedelta(hours=2))
    change(stage, job, pause)
    assert ledger_count(stage.runs(job), START, clock.now()) == 7_200


def test_a_run_by_hand_is_beside_the_schedule(stage: Stage, clock: VirtualClock) -> None:
    job = stage.add(Interval(every=timedelta(hours=1), anchor=START))
    change(stage, job, jobs.run_now)
    stage.pass_time(2 * SECOND)
    (run,) = stage.runs(job)
    assert (run.origin, run.state) == ("manual", State.SUCCEEDED)
    assert ledger_count(stage.runs(job), START - SECOND, clock.now()) == 0


def test_a_deleted_job_keeps_its_ledger_and_frees_its_name(stage: Stage, clock: VirtualClock) -> None:
    job = stage.add(EVERY_SECOND)
    stage.pass_time(2.7 * SECOND)
    change(stage, job, jobs.remove)
    stage.pass_time(3 * SECOND)
    assert [run.state for run in stage.runs(job)] == [State.SUCCEEDED, State.SUCCEEDED]
    assert stage.add(EVERY_SECOND) != job


def test_deleting_cancels_what_waits_for_its_turn(stage: Stage, clock: VirtualClock) -> None:
    job = stage.add(EVERY_SECOND, Policy(overlap=Overlap.QUEUE))
    clock.advance(SECOND)
    stage.plan()
    stage.begin()
    clock.advance(SECOND)
    stage.plan()
    stage.begin()
    change(stage, job, jobs.remove)
    first, second = stage.runs(job)
    assert first.state is State.RUNNING
    assert (second.state, second.reason) == (State.CANCELLED, Reason.JOB_DELETED)


def test_two_jobs_cannot_have_one_name(stage: Stage) -> None:
    stage.add(EVERY_SECOND)
    with pytest.raises(ConflictError, match="already a job named 'job'"):
        stage.add(EVERY_SECOND)


def test_a_once_in_the_past_cannot_be_given_later(stage: Stage) -> None:
    job = stage.add(EVERY_SECOND)
    with pytest.raises(InvalidError, match="lies in the past"):
        change(stage, job, redefine(Once(at=START - SECOND)))


Fresh = Callable[[], AbstractContextManager[Database]]


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Fresh:
    """Makes databases with the schema and nothing in them."""

    @contextmanager
    def on_postgres() -> Iterator[Database]:
        server: Postgres = request.getfixturevalue("postgres")
        with server.database() as url:
            made = Database(url, {QUEUE: NoQueue()})
            yield made
            made.close()

    template = tmp_path / "scheduler.db"

    @contextmanager
    def on_sqlite() -> Iterator[Database]:
        with TemporaryDirectory() as folder:
            made = Database(f"sqlite:///{shutil.copy(template, folder)}", {QUEUE: NoQueue()})
            yield made
            made.close()

    if request.param == "postgresql":
        return on_postgres
    made = Database(f"sqlite:///{template}", {QUEUE: NoQueue()})
    migrate(made)
    made.close()
    return on_sqlite


steps = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.integers(1, 40)),
        st.tuples(st.just("pause"), st.just(0)),
        st.tuples(st.just("resume"), st.just(0)),
        st.tuples(st.just("skip"), st.just(0)),
        st.tuples(st.just("policy"), st.integers(0, 5)),
        st.tuples(st.just("crash"), st.integers(1, 60)),
        st.tuples(st.just("jump"), st.integers(-30, 30)),
    ),
    max_size=14,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps, every=st.sampled_from([SECOND, 0.3 * SECOND, 7 * SECOND]))
def test_whatever_is_done_the_ledger_equals_the_enumeration(
    fresh: Fresh, steps: list[tuple[str, int]], every: timedelta
) -> None:
    with fresh() as database:
        _check_the_ledger(database, steps, every)


def _check_the_ledger(database: Database, steps: list[tuple[str, int]], every: timedelta) -> None:
    clock = VirtualClock()
    stage = Stage(database, clock)
    trigger = Interval(every=every, anchor=START)
    job = stage.add(trigger, name="job")
    for step, amount in steps:
        _do(stage, job, step, amount, trigger)
    if stage.job(job).state is JobState.PAUSED:
        change(stage, job, jobs.resume)
    stage.pass_time(3 * SECOND, 0.1 * SECOND)
    cursor = stage.job(job).cursor
    runs = stage.runs(job)
    assert ledger_count(runs, START, cursor) == trigger.count_between(START, cursor), (steps, every)
    moments = [run.scheduled_for for run in runs]
    assert len(moments) == len(set(moments))
    assert not [
        run for run in runs if run.due_at < clock.now() and run.state in (State.PLANNED, State.RUNNING)
    ]


def _do(stage: Stage, job: int, step: str, amount: int, trigger: Rule) -> None:
    state = stage.job(job).state
    if step == "pass":
        stage.pass_time(amount * 0.1 * SECOND, 0.1 * SECOND)
    elif step == "crash":
        stage.plan()
        stage.begin()
        stage.clock.advance(amount * 0.1 * SECOND)
        stage.take_over()
    elif step == "jump":
        stage.clock.jump(max(amount * 0.1 * SECOND, START - stage.clock.now()))
    elif step == "pause" and state is JobState.ACTIVE:
        change(stage, job, pause)
    elif step == "resume" and state is JobState.PAUSED:
        change(stage, job, jobs.resume)
    elif step == "skip" and state is JobState.ACTIVE:
        change(stage, job, lambda session, row, now: jobs.skip(session, row, None, now))
    elif step == "policy":
        definition = Definition(stage.job(job).name, trigger, Noop(mark=str(amount)), Policy(priority=amount))
        change(stage, job, lambda session, row, now: jobs.redefine(session, row, definition, now))

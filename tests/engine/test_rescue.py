"""What a dead process leaves behind comes back, and a process that was taken for dead is fenced."""

import json
from datetime import timedelta

import pytest
from sqlmodel import col, select

from beffroi.core.outcomes import SUCCEEDED, Reason, State
from beffroi.core.policies import Policy, Rescue, Retries
from beffroi.core.triggers.interval import Interval
from beffroi.core.triggers.once import Once
from beffroi.engine import nodes
from beffroi.engine.models import Job, Node, Signal, SignalKind
from beffroi.engine.nodes import MOST_RESCUES
from beffroi.engine.settle import Report
from beffroi.store.db import Database
from tests.helpers.clock import START, VirtualClock
from tests.helpers.stage import FAILED, Stage

SECOND = timedelta(seconds=1)


def started(stage: Stage, policy: Policy | None = None) -> int:
    job = stage.add(Once(at=START + SECOND), policy)
    stage.clock.advance(SECOND)
    stage.plan()
    stage.begin()
    return job


def test_a_run_of_a_dead_process_is_started_again_with_the_same_id(stage: Stage, clock: VirtualClock) -> None:
    job = started(stage)
    (before,) = stage.runs(job)
    assert before.state is State.RUNNING
    stage.take_over()
    stage.pass_time(SECOND)
    (after,) = stage.runs(job)
    assert after.id == before.id, "the idempotency key stays"
    assert (after.state, after.attempt, after.rescues) == (State.SUCCEEDED, 2, 1)
    assert after.earlier is not None
    (lost,) = json.loads(after.earlier)
    assert (lost["attempt"], lost["reason"], "died" in lost["message"]) == (1, "lost", True)


def test_a_run_that_was_only_held_is_not_counted_as_tried(stage: Stage, clock: VirtualClock) -> None:
    job = stage.add(Once(at=START + SECOND))
    clock.advance(0.5 * SECOND)
    stage.plan()
    stage.take_over()
    stage.pass_time(2 * SECOND)
    (run,) = stage.runs(job)
    assert (run.state, run.attempt, run.rescues) == (State.SUCCEEDED, 1, 0)


def test_a_process_that_was_taken_for_dead_cannot_settle(stage: Stage, clock: VirtualClock) -> None:
    job = started(stage)
    frozen = stage.active[0]
    stage.take_over()
    stage.pass_time(SECOND)
    fenced = stage.report([Report(frozen, clock.now(), clock.now(), FAILED)])
    assert fenced == [frozen.id]
    assert [run.state for run in stage.runs(job)] == [State.SUCCEEDED]


def test_an_outcome_is_written_once(stage: Stage, clock: VirtualClock) -> None:
    job = started(stage)
    run = stage.active[0]
    assert stage.end([run]) == []
    stage.report([Report(run, clock.now(), clock.now(), FAILED)])
    assert [row.state for row in stage.runs(job)] == [State.SUCCEEDED]


def test_a_run_that_takes_its_process_with_it_is_given_up(stage: Stage, clock: VirtualClock) -> None:
    job = started(stage)
    for _ in range(MOST_RESCUES + 1):
        stage.take_over()
        clock.advance(SECOND)
        stage.plan()
        stage.begin()
    (run,) = stage.runs(job)
    assert (run.state, run.reason, run.rescues) == (State.FAILED, Reason.LOST, MOST_RESCUES)
    assert stage.job(job).health == "failing"


def test_a_job_may_forbid_to_be_started_again(stage: Stage) -> None:
    job = started(stage, Policy(rescue=Rescue.FAIL))
    stage.take_over()
    stage.pass_time(SECOND)
    assert [(run.state, run.reason) for run in stage.runs(job)] == [(State.FAILED, Reason.LOST)]


def test_signing_off_leaves_nothing_behind(stage: Stage, clock: VirtualClock, database: Database) -> None:
    job = started(stage)
    with database.write() as session:
        nodes.sign_off(session, stage.node_id, clock.now())
    (run,) = stage.runs(job)
    assert (run.state, run.node_id) == (State.PLANNED, None)
    with database.read() as session:
        assert session.exec(select(Node.stopped_at).where(col(Node.id) == stage.node_id)).one() == clock.now()


def test_an_absence_is_recorded(database: Database, clock: VirtualClock) -> None:
    with database.write() as session:
        nodes.register(session, clock.now())
    clock.advance(timedelta(hours=2))
    with database.write() as session:
        nodes.note_absence(session, clock.now())
    with database.read() as session:
        (signal,) = session.exec(select(Signal)).all()
    assert (signal.kind, signal.since, signal.at) == (SignalKind.ABSENCE, START, clock.now())


def test_a_failed_run_is_tried_again_in_time(stage: Stage, clock: VirtualClock) -> None:
    retries = Retries(max=2, first_delay=timedelta(seconds=10), jitter=0)
    job = started(stage, Policy(retries=retries))
    stage.end(list(stage.active), FAILED)
    (run,) = stage.runs(job)
    assert (run.state, run.attempt, run.due_at) == (State.PLANNED, 2, clock.now() + 10 * SECOND)
    stage.pass_time(9 * SECOND)
    assert stage.begin() == []
    stage.pass_time(2 * SECOND)
    (run,) = stage.runs(job)
    assert run.state is State.SUCCEEDED
    assert run.earlier is not None
    assert '"message": "no"' in run.earlier


@pytest.mark.parametrize("outcomes", [[FAILED, SUCCEEDED], [SUCCEEDED, FAILED, FAILED, SUCCEEDED]])
def test_a_signal_is_written_only_when_health_changes(stage: Stage, outcomes: list[object]) -> None:
    stage.add(Interval(every=SECOND, anchor=START))
    for outcome in outcomes:
        stage.clock.advance(SECOND)
        stage.plan()
        stage.end(stage.begin(), outcome)  # type: ignore[arg-type]
    with stage.database.read() as session:
        kinds = [signal.kind for signal in session.exec(select(Signal).order_by(col(Signal.id)))]
        health = session.exec(select(Job.health)).one()
    assert kinds == [SignalKind.FAILING, SignalKind.RECOVERED]
    assert health == "ok"

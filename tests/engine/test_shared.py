"""The queue that machines share: tickets that are lost, doubled or late do no harm."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from beffroi.core.outcomes import SUCCEEDED, State
from beffroi.core.policies import Overlap, Policy, Retries
from beffroi.core.triggers.once import Once
from beffroi.engine import nodes
from beffroi.engine.queue import QUEUE
from beffroi.engine.settle import Report
from beffroi.engine.shared import FORGOTTEN, LEASE, SharedQueue
from beffroi.store import pgqueuer
from beffroi.store.pgqueuer import Item
from tests.helpers.clock import VirtualClock
from tests.helpers.stage import FAILED, Stage

SECOND = timedelta(seconds=1)

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


def ask(stage: Stage, query: str) -> Sequence[Any]:
    with stage.database.read() as session:
        return session.execute(text(query)).all()


def tickets(stage: Stage) -> int:
    return int(ask(stage, "SELECT count(*) FROM pgqueuer")[0][0])


def queue(stage: Stage) -> SharedQueue:
    shared = stage.database.info[QUEUE]
    assert isinstance(shared, SharedQueue)
    return shared


def due(stage: Stage, *names: str, policy: Policy | None = None) -> list[str]:
    """Make jobs that are due together, and let them be decided."""
    for name in names:
        stage.add(Once(at=stage.clock.now() + SECOND), policy, name)
    stage.clock.advance(SECOND)
    stage.plan()
    return [run.id for run in stage.runs()]


def put(stage: Stage, run_id: str) -> None:
    with stage.database.write() as session:
        pgqueuer.enqueue(session, [Item([run_id], 0, timedelta(0))])


@pytest.mark.parametrize("overlap", [Overlap.ALLOW, Overlap.SKIP])
def test_a_run_on_two_tickets_starts_once(stage: Stage, overlap: Overlap) -> None:
    (run_id,) = due(stage, "job", policy=Policy(overlap=overlap))
    put(stage, run_id)
    begun = stage.begin()
    assert len(begun) == 1
    stage.end(begun)
    assert [run.state for run in stage.runs()] == [State.SUCCEEDED]
    assert tickets(stage) == 0


def test_a_ticket_of_a_run_that_a_living_node_holds_waits(stage: Stage) -> None:
    (run_id,) = due(stage, "job")
    begun = stage.begin()
    with stage.database.write() as session:
        nodes.heartbeat(session, stage.node_id, stage.clock.now())
    put(stage, run_id)
    other = Stage(stage.database, stage.clock, silence_others=False)
    assert other.begin() == []
    assert [(run.state, run.token) for run in stage.runs()] == [(State.RUNNING, begun[0].token)]


def test_what_ends_and_what_is_tried_again_leave_their_ticket_together(stage: Stage) -> None:
    due(stage, *(f"job {number}" for number in range(32)), policy=Policy(retries=Retries(max=1)))
    begun = stage.begin()
    now = stage.clock.now()
    assert tickets(stage) == 16, "two to a ticket"
    stage.report(
        [Report(run, now, now, FAILED if number % 2 else SUCCEEDED) for number, run in enumerate(begun)]
    )
    assert queue(stage).in_hand == []
    states = [run.state for run in stage.runs()]
    assert (states.count(State.SUCCEEDED), states.count(State.PLANNED)) == (16, 16)
    assert ask(stage, "SELECT count(*) FROM pgqueuer WHERE status = 'picked'") == [(0,)]


def test_a_retry_that_is_not_due_is_not_held(stage: Stage) -> None:
    (run_id,) = due(stage, "job", policy=Policy(retries=Retries(max=1, first_delay=timedelta(minutes=5))))
    (run,) = stage.begin()
    stage.end([run], FAILED)
    put(stage, run_id)
    assert stage.begin() == []
    assert stage.runs()[0].node_id is None


def test_an_outcome_that_is_sent_twice_is_written_once(stage: Stage) -> None:
    due(stage, "job", policy=Policy(retries=Retries(max=3, first_delay=SECOND)))
    (run,) = stage.begin()
    now = stage.clock.now()
    for _ in range(2):
        stage.report([Report(run, now, now, FAILED)])
    assert stage.runs()[0].attempt == 2
    stage.backlog.done(run)
    stage.active.clear()
    stage.clock.advance(3 * SECOND)
    assert len(stage.begin()) == 1


def test_a_run_without_a_ticket_is_found(stage: Stage, clock: VirtualClock) -> None:
    due(stage, "job")
    with stage.database.write() as session:
        session.execute(text("DELETE FROM pgqueuer"))
    for silence, found in ((FORGOTTEN, 0), (SECOND, 1), (SECOND, 0)):
        clock.advance(silence)
        with stage.database.write() as session:
            assert queue(stage).sweep(session) == found
    assert len(stage.begin()) == 1


def test_what_is_ours_without_our_knowing_is_let_go(stage: Stage, clock: VirtualClock) -> None:
    due(stage, "job")
    begun = stage.begin()
    queue(stage)._in_hand.clear()  # as when a commit is told to have failed
    found = []
    for _ in range(3):
        with stage.database.write() as session:
            nodes.heartbeat(session, stage.node_id, clock.now())
            found.append(queue(stage).sweep(session))
    assert found[:2] == [0, 1]
    (run,) = stage.runs()
    assert (run.state, run.node_id, run.rescues) == (State.PLANNED, None, 1)
    assert stage.end(begun) == [run.id], "whoever had it is fenced"


def test_after_an_outage_nobody_is_taken_for_dead_at_once(stage: Stage, clock: VirtualClock) -> None:
    shared = queue(stage)
    assert shared.silence == LEASE
    clock.advance(20 * SECOND)
    with stage.database.write() as session:
        shared.keep_alive(session)
    assert shared.silence > timedelta(hours=1)
    clock.advance(15 * SECOND)
    assert shared.silence == LEASE

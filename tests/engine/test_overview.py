"""What the overview counts and draws is what the ledger holds, on both databases."""

from datetime import timedelta
from uuid import UUID

from beffroi.core.outcomes import State
from beffroi.core.triggers.cron import Cron
from beffroi.core.triggers.interval import Interval
from beffroi.domains.jobs.listing import last_runs
from beffroi.domains.timeline.attention import attention
from beffroi.domains.timeline.figures import Figures
from beffroi.domains.timeline.lanes import MOST_RUNS, REACH, lanes
from beffroi.engine import jobs
from beffroi.engine.models import Health, Run
from beffroi.store.db import Database
from tests.helpers.clock import VirtualClock
from tests.helpers.stage import Stage

MINUTE = timedelta(minutes=1)


def a_run(job_id: int, clock: VirtualClock, back: timedelta, state: State, late: float = 0.0) -> Run:
    """A row of the ledger, with the id that it would have got at its moment."""
    at = clock.now() - back
    milliseconds = int(at.timestamp() * 1000)
    return Run(
        id=str(UUID(int=(milliseconds << 80) | (7 << 76) | job_id)),
        job_id=job_id, scheduled_for=at, due_at=at, state=state,
        message="no" if state is State.FAILED else None,
        started_at=at + timedelta(seconds=late), finished_at=at + timedelta(seconds=late + 1),
    )  # fmt: skip


def test_stretches_are_counted_and_those_that_are_over_only_once(stage: Stage, clock: VirtualClock) -> None:
    job_id = stage.add(Interval(every=timedelta(hours=1)))
    figures = Figures()
    with stage.database.write() as session:
        for back in range(1, 180):
            state = State.FAILED if back % 10 == 0 else State.SUCCEEDED
            session.add(a_run(job_id, clock, back * MINUTE, state, late=0.25 if back == 5 else 0.001))
    with stage.database.read() as session:
        found = figures.stretches(session, clock.now())
        assert sum(each.runs for each in found) == 179
        assert sum(each.failed for each in found) == 17
        assert max(each.worst_lateness for each in found) == 0.25
    with stage.database.write() as session:
        session.add(a_run(job_id, clock, 150 * MINUTE + timedelta(seconds=1), State.SUCCEEDED))
        session.add(a_run(job_id, clock, timedelta(seconds=5), State.SUCCEEDED))
    with stage.database.read() as session:
        assert sum(each.runs for each in figures.stretches(session, clock.now())) == 180, (
            "the old one is known"
        )
        assert sum(each.runs for each in Figures().stretches(session, clock.now())) == 181


def test_a_lane_draws_the_newest_and_all_that_failed_before(stage: Stage, clock: VirtualClock) -> None:
    job_id = stage.add(Interval(every=MINUTE), name="busy")
    with stage.database.write() as session:
        for back in range(1, 500):
            state = State.FAILED if back in (3, 400) else State.SUCCEEDED
            session.add(a_run(job_id, clock, back * MINUTE, state))
    with stage.database.read() as session:
        (lane,) = lanes(session, clock.now())
    assert len(lane.marks) == MOST_RUNS + 1
    assert lane.failed == 2
    assert lane.dense is not None, "the others are one band"
    assert lane.is_crowded
    assert all(0 <= mark.x <= 50 for mark in lane.marks)
    assert all(50 <= mark.x <= 100 for mark in lane.ahead)


def test_a_rule_that_fires_rarely_is_not_followed_for_years(stage: Stage, clock: VirtualClock) -> None:
    stage.add(Cron(line="0 0 29 2 *"), name="leap")
    with stage.database.read() as session:
        (lane,) = lanes(session, clock.now())
    assert list(lane.ahead) == []
    assert lane.job.next_due_at is not None
    assert lane.job.next_due_at > clock.now() + REACH


def test_what_needs_somebody_is_grouped_by_its_cause(stage: Stage, clock: VirtualClock) -> None:
    ids = [stage.add(Interval(every=timedelta(hours=1)), name=f"job {number}") for number in range(4)]
    with stage.database.write() as session:
        for job_id in ids[:3]:
            session.add(a_run(job_id, clock, MINUTE, State.FAILED))
            job = jobs.lock(session, job_id)
            assert job is not None
            job.health = Health.FAILING
        paused = jobs.lock(session, ids[3])
        assert paused is not None
        jobs.pause(session, paused, None, "a note", clock.now())
        late = a_run(ids[3], clock, MINUTE, State.PLANNED)
        late.started_at = late.finished_at = None
        session.add(late)
    with stage.database.read() as session:
        found = attention(session, clock.now())
    assert (found.failing, found.late, found.paused, found.broken) == (3, 1, 1, 0)
    told = {(cause.state, cause.sentence, len(cause.jobs)) for cause in found.causes}
    assert told == {("failing", "no", 3), ("late", "", 1), ("paused", "a note", 1)}


def test_the_last_runs_of_many_jobs_come_with_one_statement(
    stage: Stage, clock: VirtualClock, database: Database
) -> None:
    ids = [stage.add(Interval(every=timedelta(hours=1)), name=f"job {number}") for number in range(5)]
    with database.write() as session:
        for job_id in ids[:4]:
            for back in range(1, 10):
                session.add(a_run(job_id, clock, back * MINUTE, State.SUCCEEDED))
    with database.read() as session:
        found = last_runs(session, ids, 3)
    assert [len(found[job_id]) for job_id in ids] == [3, 3, 3, 3, 0]
    for job_id in ids[:4]:
        moments = [run.scheduled_for for run in found[job_id]]
        assert moments == sorted(moments)
        assert moments[-1] == clock.now() - MINUTE

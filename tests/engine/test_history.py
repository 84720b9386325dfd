"""The ledger is kept as long as it was said, and nothing open is ever deleted."""

from datetime import timedelta

from sqlmodel import select

from beffroi.core.outcomes import State
from beffroi.core.triggers.interval import Interval
from beffroi.engine import jobs
from beffroi.engine.history import History, prune
from beffroi.engine.models import Job
from tests.helpers.clock import START, VirtualClock
from tests.helpers.stage import Stage

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


def test_old_runs_are_deleted(stage: Stage, clock: VirtualClock) -> None:
    job = stage.add(Interval(every=SECOND, anchor=START))
    stage.pass_time(3 * SECOND)
    clock.advance(2 * DAY)
    stage.pass_time(2 * SECOND)
    prune(stage.database, History(age=DAY, count=None), clock.now())
    left = [run.finished_at for run in stage.runs(job) if run.finished_at is not None]
    assert left
    assert min(left) > START + DAY


def test_of_each_job_the_newest_are_kept(stage: Stage, clock: VirtualClock) -> None:
    noisy = stage.add(Interval(every=SECOND, anchor=START), name="noisy")
    quiet = stage.add(Interval(every=10 * SECOND, anchor=START), name="quiet")
    stage.pass_time(20 * SECOND)
    deleted = prune(stage.database, History(age=None, count=5), clock.now())
    assert deleted > 10
    assert len([run for run in stage.runs(noisy) if run.state is State.SUCCEEDED]) == 5
    assert len([run for run in stage.runs(quiet) if run.state is State.SUCCEEDED]) == 2


def test_what_is_open_is_never_deleted(stage: Stage, clock: VirtualClock) -> None:
    job = stage.add(Interval(every=SECOND, anchor=START))
    clock.advance(SECOND)
    stage.plan()
    stage.begin()
    prune(stage.database, History(age=SECOND, count=1), clock.now() + 400 * DAY)
    assert State.RUNNING in {run.state for run in stage.runs(job)}


def test_a_deleted_job_goes_with_its_last_run(stage: Stage, clock: VirtualClock) -> None:
    job = stage.add(Interval(every=SECOND, anchor=START))
    stage.pass_time(3 * SECOND)
    with stage.database.write() as session:
        row = session.get(Job, job)
        assert row is not None
        jobs.remove(session, row, clock.now())
    prune(stage.database, History(age=DAY, count=None), clock.now())
    with stage.database.read() as session:
        assert session.exec(select(Job)).all() != []
    prune(stage.database, History(age=DAY, count=None), clock.now() + 2 * DAY)
    with stage.database.read() as session:
        assert session.exec(select(Job)).all() == []

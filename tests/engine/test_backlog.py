"""Slots, priorities and overlap."""

from datetime import UTC, datetime

from beffroi.core.policies import Overlap, Policy
from beffroi.engine.backlog import Backlog
from beffroi.engine.held import HeldRun

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def run(name: str, job: int = 1, overlap: Overlap = Overlap.ALLOW, priority: int = 0) -> HeldRun:
    policy = Policy(overlap=overlap, priority=priority)
    return HeldRun(name, 0, 1, 0, job, "job", "noop", "{}", policy, NOW, NOW, None)


def test_slots_bound_what_runs_and_the_greater_priority_goes_first() -> None:
    backlog = Backlog(slots=2)
    low, high, middle = run("low", priority=-5), run("high", priority=9), run("middle")
    backlog.add([low, middle, high])
    assert [r.id for r in backlog.take().start] == ["high", "middle"]
    assert not backlog.take()
    assert backlog.done(high) is True
    assert [r.id for r in backlog.take().start] == ["low"]


def test_skip_refuses_the_second() -> None:
    backlog = Backlog(slots=9)
    backlog.add([run("a", overlap=Overlap.SKIP), run("b", overlap=Overlap.SKIP), run("c", 2, Overlap.SKIP)])
    taken = backlog.take()
    assert [r.id for r in taken.start] == ["a", "c"]
    assert [r.id for r in taken.refused] == ["b"]


def test_queue_lets_them_come_one_after_the_other() -> None:
    backlog = Backlog(slots=9)
    a, b, c = (run(name, overlap=Overlap.QUEUE) for name in "abc")
    backlog.add([a, b, c])
    order = []
    while taken := backlog.take():
        (begun,) = taken.start
        order.append(begun.id)
        backlog.done(begun)
    assert order == ["a", "b", "c"]


def test_replace_cancels_the_active_and_keeps_only_the_newest() -> None:
    backlog = Backlog(slots=9)
    a, b, c = (run(name, overlap=Overlap.REPLACE) for name in "abc")
    backlog.add([a])
    backlog.take()
    backlog.add([b, c])
    taken = backlog.take()
    assert [r.id for r in taken.replaced] == ["a", "a"]
    assert [r.id for r in taken.refused] == ["b"]
    backlog.done(a)
    assert [r.id for r in backlog.take().start] == ["c"]


def test_what_has_not_started_can_be_taken_back() -> None:
    backlog = Backlog(slots=1)
    a, b, other = run("a", overlap=Overlap.QUEUE), run("b", overlap=Overlap.QUEUE), run("other", 2)
    backlog.add([a])
    backlog.take()
    backlog.add([b, other])
    assert [r.id for r in backlog.take_back(lambda held: held.job_id == 1)] == ["b"]
    backlog.done(a)
    assert [r.id for r in backlog.take().start] == ["other"]

"""Whatever an action does, its run ends, its slot comes back and the others go on."""

import asyncio
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from beffroi.core.outcomes import Outcome, Reason, State
from beffroi.core.policies import Overlap, Policy
from beffroi.engine.backlog import Backlog
from beffroi.engine.calls import ActionKind, Answer, Call
from beffroi.engine.clock import SystemClock
from beffroi.engine.exact import ExactSelector
from beffroi.engine.executor import Executor
from beffroi.engine.held import HeldRun, Hold
from beffroi.engine.settle import Report
from tests.helpers.program import eventually


class Params(BaseModel):
    kind: Literal["it"] = "it"
    do: str = "nothing"


async def act(params: Params, call: Call) -> Answer | None:
    """Do what the parameters say; most of it is what no action should do."""
    if params.do == "exit":
        raise SystemExit(3)
    if params.do == "cancel itself":
        raise asyncio.CancelledError
    if params.do == "raise":
        raise RuntimeError("no")
    if params.do == "hang":
        await asyncio.sleep(60)
    if params.do == "swallow":
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise RuntimeError("something else") from None
    return Answer(7, "out")


def act_in_thread(params: Params, call: Call) -> None:
    time.sleep(0.01)


class Bench:
    """An executor and what it reported."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.backlog = Backlog(4)
        actions = {"it": ActionKind(Params, act), "thread": ActionKind(Params, act_in_thread)}
        self.hold = Hold(SystemClock(), self.backlog.add)
        self.executor = Executor(actions, self.hold, self.backlog, SystemClock(), self.reports.append)
        self.hold.wake = self.executor.look

    def run(self, do: str = "nothing", job: int = 1, kind: str = "it", **policy: Any) -> HeldRun:
        now = SystemClock().now()
        name = f"{do} {len(self.reports)} {job}"
        action = Params(do=do).model_dump_json()
        return HeldRun(name, 0, 1, 0, job, "job", kind, action, Policy(**policy), now, now, None)

    def outcome_of(self, run: HeldRun) -> Outcome:
        def ended() -> Any:
            return [r.outcome for r in self.reports if r.run is run and r.outcome is not None]

        (outcome,) = eventually(ended, f"the outcome of {run.id}")
        assert isinstance(outcome, Outcome)
        return outcome


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    made.executor.start()
    yield made
    made.executor.stop(0)


@pytest.mark.parametrize(
    ("do", "state", "message"),
    [
        ("nothing", State.SUCCEEDED, None),
        ("raise", State.FAILED, "RuntimeError: no"),
        ("exit", State.FAILED, "SystemExit: 3"),
        ("cancel itself", State.FAILED, "The action cancelled itself."),
    ],
)
def test_a_run_ends_and_gives_its_slot_back(bench: Bench, do: str, state: State, message: str | None) -> None:
    run = bench.run(do)
    bench.hold.put([run])
    outcome = bench.outcome_of(run)
    assert (outcome.state, outcome.message) == (state, message)
    eventually(lambda: bench.backlog.busy == 0, "the slot")
    following = bench.run()
    bench.hold.put([following])
    assert bench.outcome_of(following).state is State.SUCCEEDED


@pytest.mark.parametrize("do", ["hang", "swallow"])
def test_a_timeout_is_told_as_such_whatever_the_action_makes_of_it(bench: Bench, do: str) -> None:
    run = bench.run(do, timeout=timedelta(milliseconds=60))
    bench.hold.put([run])
    assert bench.outcome_of(run).reason is Reason.TIMEOUT


def test_the_newest_replaces_also_within_one_batch(bench: Bench) -> None:
    first, second = (bench.run(do, overlap=Overlap.REPLACE) for do in ("hang", "nothing"))
    bench.hold.put([first, second])
    assert bench.outcome_of(first).reason is Reason.REPLACED
    assert bench.outcome_of(second).state is State.SUCCEEDED


def test_an_unknown_kind_and_a_plain_function(bench: Bench) -> None:
    unknown, plain = bench.run(kind="moon"), bench.run(job=2, kind="thread")
    bench.hold.put([unknown, plain])
    assert bench.outcome_of(unknown).message == "This program has no action of kind 'moon'."
    assert bench.outcome_of(plain).state is State.SUCCEEDED


def test_a_late_run_is_missed_by_its_grace(bench: Bench) -> None:
    run = bench.run(misfire_grace=timedelta(0))
    time.sleep(0.01)
    bench.hold.put([run])
    assert bench.outcome_of(run).reason is Reason.TOO_LATE


def test_stopping_leaves_open_what_it_interrupts() -> None:
    bench = Bench()
    bench.executor.start()
    run = bench.run("hang")
    bench.hold.put([run])
    eventually(lambda: bench.reports, "the start")
    assert [left.id for left in bench.executor.stop(0.05)] == [run.id]
    assert [report.outcome for report in bench.reports] == [None]


def test_files_are_looked_at_while_callbacks_keep_the_loop_busy(bench: Bench) -> None:
    async def read_while_busy() -> bytes:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        reading = loop.create_task(loop.sock_recv(ours, 10))
        await asyncio.sleep(0)
        theirs.send(b"here")
        while not reading.done():  # noqa: ASYNC110  a busy loop is the point
            await asyncio.sleep(0)
        ours.close()
        theirs.close()
        return reading.result()

    loop = asyncio.SelectorEventLoop(ExactSelector())
    try:
        assert loop.run_until_complete(asyncio.wait_for(read_while_busy(), 10)) == b"here"
    finally:
        loop.close()

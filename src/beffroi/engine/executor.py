"""Executes runs: resolve -> limit -> call -> classify -> Outcome. No session is held meanwhile.

Its event loop has a thread of its own, so that neither requests nor the planner stand in its way.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from beffroi.core.errors import ActionError, PermanentError
from beffroi.core.outcomes import SUCCEEDED, Outcome, Reason, State
from beffroi.core.policies import Policy
from beffroi.engine.backlog import Backlog
from beffroi.engine.calls import ActionTable, Call, read_params
from beffroi.engine.clock import Clock
from beffroi.engine.exact import ExactSelector
from beffroi.engine.held import HeldRun, Hold
from beffroi.engine.runs import new_run_id
from beffroi.engine.settle import Report, refusal

MESSAGE_LIMIT = 2_000

SWEEP = 0.05
"""Seconds between looks for runs beyond their deadline: how exact a timeout is."""

GIVE_UP = 5.0
"""Seconds that a cancelled run gets, when the program stops, to come to its end."""


@dataclass(slots=True)
class _Active:
    """A run under way. `verdict`: how it ends when it was cancelled; None: it stays open."""

    task: asyncio.Task[Outcome]
    run: HeldRun
    deadline: float | None
    started_at: datetime | None = None
    is_cancelled: bool = False
    verdict: Outcome | None = None


class Executor:
    """Runs what the hold hands over, at most `slots` at a time, and reports what became of it."""

    def __init__(
        self,
        actions: ActionTable,
        hold: Hold,
        backlog: Backlog,
        clock: Clock,
        report: Callable[[Report], None],
        may_start: Callable[[HeldRun], bool] = lambda run: True,
    ) -> None:
        self._actions = actions
        self._hold = hold
        self._backlog = backlog
        self._clock = clock
        self._report = report
        self._may_start = may_start
        self._loop = asyncio.SelectorEventLoop(ExactSelector())
        self._bell: asyncio.TimerHandle | None = None
        self._threads = ThreadPoolExecutor(max(1, backlog.slots), thread_name_prefix="beffroi-action")
        self._active: dict[str, _Active] = {}
        self._sweeping = False
        self._pumping = False
        self._thread = threading.Thread(target=self._serve, name="beffroi-executor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def look(self) -> None:
        """Look at the hold: something is due earlier than was known. Called from any thread."""
        self._loop.call_soon_threadsafe(self._ring)

    def cancel(self, run_id: str, verdict: Outcome) -> bool:
        """Cancel an active run, which then ends with this verdict; False when it is not active here."""
        return self._ask(lambda: self._cancel(run_id, verdict)).result(timeout=5)

    def try_once(self, kind: str, params: str, name: str, seconds: float) -> "Future[Outcome]":
        """Call an action once, beside all jobs: nothing of it is in the ledger. Called from any thread."""
        now = self._clock.now()
        run = HeldRun(new_run_id(), 0, 1, 0, 0, name, kind, params, Policy(), now, now, None)
        return asyncio.run_coroutine_threadsafe(self._limited(run, seconds), self._loop)

    async def _limited(self, run: HeldRun, seconds: float) -> Outcome:
        try:
            return await asyncio.wait_for(self._outcome_of(run), seconds)
        except TimeoutError:
            return Outcome(State.FAILED, Reason.TIMEOUT, f"No end within {seconds:g} s.")

    def stop(self, seconds: float) -> list[HeldRun]:
        """Wait up to `seconds` for the active runs, interrupt the rest; return those, still open."""
        drained: Future[list[HeldRun]] = asyncio.run_coroutine_threadsafe(self._drain(seconds), self._loop)
        interrupted = drained.result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._threads.shutdown(wait=False, cancel_futures=True)
        return interrupted

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_default_executor(self._threads)
        self._loop.run_forever()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def _ask(self, question: Callable[[], bool]) -> Future[bool]:
        answer: Future[bool] = Future()
        self._loop.call_soon_threadsafe(lambda: answer.set_result(question()))
        return answer

    def _ring(self) -> None:
        """Start what is due, and come back when the next is."""
        if self._bell is not None:
            self._bell.cancel()
        wait = self._hold.ring()
        self._bell = None if wait is None else self._loop.call_later(wait, self._ring)
        self._pump()

    def _pump(self) -> None:
        self._pumping = False
        while taken := self._backlog.take():
            for run in taken.start:
                if self._may_start(run):
                    self._start(run)
                else:
                    self._backlog.done(run)
            for run in taken.replaced:
                self._cancel(run.id, REPLACED)
            for run in taken.refused:
                self._report(Report(run, None, self._clock.now(), refusal(run)))

    def _start(self, run: HeldRun) -> None:
        timeout = run.policy.timeout
        deadline = self._loop.time() + timeout.total_seconds() if timeout is not None else None
        task = self._loop.create_task(self._perform(run))
        self._active[run.id] = _Active(task, run, deadline)
        task.add_done_callback(partial(self._ended, run))
        if not self._sweeping:
            self._sweeping = True
            self._loop.call_later(SWEEP, self._sweep)

    def _sweep(self) -> None:
        """Cancel what is beyond its deadline. One timer for all: most runs end long before theirs."""
        now = self._loop.time()
        for active in list(self._active.values()):
            if active.deadline is not None and now >= active.deadline:
                self._cancel(active.run.id, _timeout(active.run))
        self._sweeping = bool(self._active)
        if self._sweeping:
            self._loop.call_later(SWEEP, self._sweep)

    def _cancel(self, run_id: str, verdict: Outcome | None) -> bool:
        active = self._active.get(run_id)
        if active is None or active.is_cancelled:
            return False
        active.is_cancelled, active.verdict = True, verdict
        return active.task.cancel()

    async def _perform(self, run: HeldRun) -> Outcome:
        started = self._active[run.id].started_at = self._clock.now()
        if _is_too_late(run, started):
            return _TOO_LATE
        self._report(Report(run, started))
        return await self._outcome_of(run)

    def _ended(self, run: HeldRun, task: asyncio.Task[Outcome]) -> None:
        """Report what became of a task, also of one that was cancelled before its first step."""
        active = self._active.pop(run.id)
        outcome = _verdict(active, task)
        if outcome is not None:
            started = None if outcome is _TOO_LATE else active.started_at
            self._report(Report(run, started, self._clock.now(), outcome))
        if self._backlog.done(run) and not self._pumping:
            self._pumping = True
            self._loop.call_soon(self._pump)

    async def _outcome_of(self, run: HeldRun) -> Outcome:
        """Call the action and classify what happens."""
        try:
            answer = await self._call(run)
        except asyncio.CancelledError:
            raise
        except ActionError as error:
            return _failure(error)
        except BaseException as error:  # noqa: BLE001  an action may raise anything, also SystemExit
            message = f"{type(error).__name__}: {error}"[:MESSAGE_LIMIT]
            return Outcome(State.FAILED, Reason.ERROR, message, retryable=True)
        if answer is None:
            return SUCCEEDED
        return Outcome(State.SUCCEEDED, code=answer.code, output=answer.output)

    async def _call(self, run: HeldRun) -> Any:
        action = self._actions.get(run.kind)
        if action is None:
            raise PermanentError(f"This program has no action of kind {run.kind!r}.")
        params = read_params(action.params, run.action)
        call = Call(run.id, run.job_id, run.job_name, run.scheduled_for, run.attempt)
        if action.is_async:
            return await action.function(params, call)
        return await self._loop.run_in_executor(None, partial(action.function, params, call))

    async def _drain(self, seconds: float) -> list[HeldRun]:
        tasks = [active.task for active in self._active.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        late = [active.run for active in self._active.values()]
        for run in late:
            self._cancel(run.id, None)
        if late:
            await asyncio.wait(tasks, timeout=GIVE_UP)
        for action in self._actions.values():
            if action.close is not None:
                await action.close()
        return late


REPLACED = Outcome(State.CANCELLED, Reason.REPLACED, "Replaced by the next occurrence.")

_TOO_LATE = Outcome(
    State.MISSED, Reason.TOO_LATE, "Too late: the misfire grace was over before a slot was free."
)


def _verdict(active: _Active, task: asyncio.Task[Outcome]) -> Outcome | None:
    """Say how a run ended: by its own, unless it was cancelled before it could; None: it stays open."""
    if not task.cancelled() and task.exception() is None:
        outcome = task.result()
        return outcome if outcome.state is State.SUCCEEDED or not active.is_cancelled else active.verdict
    if active.is_cancelled:
        return active.verdict
    return Outcome(State.FAILED, Reason.ERROR, "The action cancelled itself.", retryable=True)


def _is_too_late(run: HeldRun, now: datetime) -> bool:
    grace = run.policy.misfire_grace
    return grace is not None and run.attempt == 1 and now - run.scheduled_for > grace


def _timeout(run: HeldRun) -> Outcome:
    message = f"Cancelled at its timeout of {run.policy.timeout}."
    return Outcome(State.FAILED, Reason.TIMEOUT, message, retryable=True)


def _failure(error: ActionError) -> Outcome:
    return Outcome(
        State.FAILED,
        Reason.ERROR,
        error.message[:MESSAGE_LIMIT],
        error.code,
        error.output,
        retryable=error.retryable,
        retry_after=error.retry_after,
    )

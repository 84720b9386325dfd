"""Executes runs: resolve -> limit -> call -> classify -> Outcome. No session is held meanwhile.

Its event loop has a thread of its own, so that neither requests nor the planner stand in its way.
"""

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any

from beffroi.core.errors import ActionError, PermanentError
from beffroi.core.outcomes import SUCCEEDED, Outcome, Reason, State
from beffroi.engine.backlog import Backlog
from beffroi.engine.calls import ActionKind, ActionTable, Call, read_params
from beffroi.engine.clock import Clock
from beffroi.engine.held import HeldRun
from beffroi.engine.settle import Report

MESSAGE_LIMIT = 2_000


class Executor:
    """Runs what the hold hands over, at most `slots` at a time, and reports what became of it."""

    def __init__(
        self, actions: ActionTable, backlog: Backlog, clock: Clock, report: Callable[[Report], None]
    ) -> None:
        self._actions = actions
        self._backlog = backlog
        self._clock = clock
        self._report = report
        self._loop = asyncio.new_event_loop()
        self._threads = ThreadPoolExecutor(backlog.slots, thread_name_prefix="beffroi-action")
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._verdicts: dict[str, Outcome | None] = {}
        self._thread = threading.Thread(target=self._serve, name="beffroi-executor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def offer(self, runs: list[HeldRun]) -> None:
        """Take runs whose moment has come. Called from the hold's thread."""
        self._backlog.add(runs)
        self._loop.call_soon_threadsafe(self._pump)

    def cancel(self, run_id: str, verdict: Outcome) -> bool:
        """Cancel an active run, which then ends with this verdict; False when it is not active here."""
        return self._ask(lambda: self._cancel(run_id, verdict)).result(timeout=5)

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

    def _pump(self) -> None:
        while taken := self._backlog.take():
            for run in taken.replaced:
                self._cancel(
                    run.id, Outcome(State.CANCELLED, Reason.REPLACED, "Replaced by the next occurrence.")
                )
            for run in taken.refused:
                self._report(Report(run, None, self._clock.now(), _refusal(run)))
            for run in taken.start:
                task = self._loop.create_task(self._perform(run))
                self._tasks[run.id] = task

    def _cancel(self, run_id: str, verdict: Outcome | None) -> bool:
        task = self._tasks.get(run_id)
        if task is None or run_id in self._verdicts:
            return False
        self._verdicts[run_id] = verdict
        return task.cancel()

    async def _perform(self, run: HeldRun) -> None:
        started = self._clock.now()
        try:
            if _is_too_late(run, started):
                self._report(Report(run, None, started, _TOO_LATE))
                return
            self._report(Report(run, started))
            outcome = await self._outcome_of(run)
            if outcome is not None:
                self._report(Report(run, started, self._clock.now(), outcome))
        finally:
            self._verdicts.pop(run.id, None)
            self._tasks.pop(run.id, None)
            self._backlog.done(run)
            self._pump()

    async def _outcome_of(self, run: HeldRun) -> Outcome | None:
        """Call the action and classify what happens; None when the run was interrupted by a stop."""
        try:
            answer = await self._limited(run)
        except asyncio.CancelledError:
            return self._verdicts.get(run.id)
        except TimeoutError:
            return _timeout(run)
        except ActionError as error:
            return _failure(error)
        except Exception as error:  # noqa: BLE001  an action may raise anything; all of it is an outcome
            message = f"{type(error).__name__}: {error}"[:MESSAGE_LIMIT]
            return Outcome(State.FAILED, Reason.ERROR, message, retryable=True)
        if answer is None:
            return SUCCEEDED
        return Outcome(State.SUCCEEDED, code=answer.code, output=answer.output)

    async def _limited(self, run: HeldRun) -> Any:
        action = self._actions.get(run.kind)
        if action is None:
            raise PermanentError(f"This program has no action of kind {run.kind!r}.")
        timeout = run.policy.timeout
        async with asyncio.timeout(timeout.total_seconds() if timeout else None):
            return await self._call(action, run)

    def _call(self, action: ActionKind, run: HeldRun) -> Awaitable[Any]:
        params = read_params(action.params, run.action)
        call = Call(run.id, run.job_id, run.job_name, run.scheduled_for, run.attempt)
        if inspect.iscoroutinefunction(action.function):
            return action.function(params, call)
        return self._loop.run_in_executor(None, partial(action.function, params, call))

    async def _drain(self, seconds: float) -> list[HeldRun]:
        tasks = dict(self._tasks)
        if tasks:
            await asyncio.wait(tasks.values(), timeout=seconds)
        late = [run for run_id in tasks if (run := self._backlog.active_run(run_id)) is not None]
        for run in late:
            self._cancel(run.id, None)
        if late:
            await asyncio.wait(tasks.values(), timeout=5)
        for action in self._actions.values():
            if action.close is not None:
                await action.close()
        return late


_TOO_LATE = Outcome(
    State.MISSED, Reason.TOO_LATE, "Too late: the misfire grace was over before a slot was free."
)


def _is_too_late(run: HeldRun, now: datetime) -> bool:
    grace = run.policy.misfire_grace
    return grace is not None and run.attempt == 1 and now - run.scheduled_for > grace


def _refusal(run: HeldRun) -> Outcome:
    if run.attempt > 1:
        return Outcome(State.FAILED, Reason.OVERLAP, "Not tried again: the next run of the job had begun.")
    return Outcome(State.SKIPPED, Reason.OVERLAP, "The run before was still active.")


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

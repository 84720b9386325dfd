"""Settling: what became of runs is written in batches, fenced, each batch one transaction."""

import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlmodel import Session

from beffroi import events
from beffroi.core.outcomes import SKIPPED_FOR_OVERLAP, Outcome, Reason, Retry, State, Tries, follow
from beffroi.engine import runs, signals
from beffroi.engine.clock import Clock
from beffroi.engine.held import HeldRun
from beffroi.engine.queue import queue_of
from beffroi.store.db import Database

BATCH = 1_000
LINGER = 0.017
"""Seconds to gather more before writing: a run that is short needs one write instead of two.

Not a round number: what comes in step with the runs wakes up when the next of them is due.
"""

IDLE = 3600.0


class Report(NamedTuple):
    """What the executor says of a run: that it started, or (with an outcome) that it ended."""

    run: HeldRun
    started_at: datetime | None
    finished_at: datetime | None = None
    outcome: Outcome | None = None


def refusal(run: HeldRun) -> Outcome:
    """Return the outcome of a run that may not start because its job is still active."""
    if run.attempt > 1:
        return Outcome(State.FAILED, Reason.OVERLAP, "Not tried again: the next run of the job had begun.")
    return SKIPPED_FOR_OVERLAP


class Settlement(NamedTuple):
    """What a batch of reports comes to, ready to be written."""

    starts: list[runs.Started]
    rows: list[runs.Settled]
    ended: list[HeldRun]


def settlement_of(reports: Sequence[Report], now: datetime) -> Settlement:
    """Say what a batch of reports comes to: which runs began, and what follows those that ended."""
    ended = [(report, report.outcome) for report in reports if report.outcome is not None]
    ended_ids = {report.run.id for report, _ in ended}
    starts = [
        runs.Started(report.run.id, report.run.token, report.started_at)
        for report in reports
        if report.started_at is not None and report.run.id not in ended_ids
    ]
    rows = [_row(report, outcome, now) for report, outcome in ended]
    return Settlement(starts, rows, [report.run for report, _ in ended])


def settle(session: Session, settlement: Settlement, now: datetime) -> list[str]:
    """Write a settlement; return the ids of runs that were no longer ours to settle."""
    runs.mark_started(session, settlement.starts)
    fenced = set(runs.write_outcomes(session, settlement.rows))
    ours = [
        (run, row) for run, row in zip(settlement.ended, settlement.rows, strict=True) if row.id not in fenced
    ]
    finished = (State.SUCCEEDED, State.FAILED)
    signals.note_outcomes(session, {run.job_id: row for run, row in ours if row.state in finished}, now)
    queue = queue_of(session)
    queue.again(session, [(run, row.due_at) for run, row in ours if row.state is State.PLANNED])
    queue.ended(session, [run for run, _ in ours])
    queue.lost(session, [run for run in settlement.ended if run.id in fenced])
    return sorted(fenced)


def _row(report: Report, outcome: Outcome, now: datetime) -> runs.Settled:
    run, finished = report.run, report.finished_at or now
    step = follow(outcome, Tries(run.attempt, run.rescues), run.policy, now, random.random())
    retry_at = step.at if isinstance(step, Retry) else None
    if outcome.state is State.FAILED:
        events.run_failed(run.job_name, run.id, outcome.message, retry_at)
    if retry_at is not None:
        earlier = runs.attempts_with(run.earlier, run.attempt, outcome, report.started_at, finished)
        return _planned_again(run, retry_at, earlier)
    return runs.Settled(
        run.id, run.token, outcome.state, outcome.reason, outcome.message, outcome.code, outcome.output,
        report.started_at, finished, run.due_at, run.attempt, run.node_id, run.earlier,
    )  # fmt: skip


def _planned_again(run: HeldRun, retry_at: datetime, earlier: str) -> runs.Settled:
    return runs.Settled(
        run.id, run.token, State.PLANNED, None, None, None, None,
        None, None, retry_at, run.attempt + 1, None, earlier,
    )  # fmt: skip


class Settler:
    """Gathers reports from the executor and writes them; a failing database loses none of them."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        give_way: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._give_way = give_way
        self._reports: deque[Report] = deque()
        self._batch: list[Report] = []
        self.wake: Callable[[], None] = lambda: None

    def post(self, report: Report) -> None:
        """Take a report; called from the executor's thread."""
        self._reports.append(report)
        if len(self._reports) == 1:
            self.wake()

    @property
    def waiting(self) -> int:
        return len(self._reports) + len(self._batch)

    def poll(self) -> float:
        if not self._reports and not self._batch:
            return IDLE
        time.sleep(LINGER)
        self.flush()
        return 0.0

    def flush(self) -> None:
        """Write what has been reported so far."""
        while self._reports and len(self._batch) < BATCH:
            self._batch.append(self._reports.popleft())
        self._write(self._batch)
        self._batch = []

    def _write(self, batch: Sequence[Report]) -> None:
        try:
            self._write_together(batch)
        except (OperationalError, PoolTimeoutError):
            raise  # the database is away: the batch is kept and written when it is back
        except Exception as error:  # noqa: BLE001  what one action answered must not stop the others
            if len(batch) > 1:
                for report in batch:
                    self._write([report])
            else:
                self._write_plainly(batch[0], error)

    def _write_plainly(self, report: Report, error: Exception) -> None:
        """Write of an outcome that cannot be written only that it failed."""
        events.outcome_unwritable(report.run.id, error)
        message = f"What the action answered cannot be written ({type(error).__name__})."
        plain = Outcome(State.FAILED, Reason.ERROR, message)
        self._write_together([report._replace(outcome=plain)])

    def _write_together(self, batch: Sequence[Report]) -> None:
        now = self._clock.now()
        self._give_way()
        settlement = settlement_of(batch, now)
        with self._database.write() as session:
            self._give_way()
            fenced = settle(session, settlement, now)
        if fenced:
            events.runs_fenced(fenced)

"""Settling: what became of runs is written in batches, fenced, each batch one transaction."""

import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlmodel import Session

from beffroi import events
from beffroi.core.outcomes import Outcome, Retry, State, Tries, follow
from beffroi.engine import runs, signals
from beffroi.engine.clock import Clock
from beffroi.engine.held import HeldRun
from beffroi.store.db import Database

BATCH = 1_000
LINGER = 0.005
"""Seconds to gather more before writing: a run that is short needs one write instead of two."""

IDLE = 3600.0


@dataclass(frozen=True, slots=True)
class Report:
    """What the executor says of a run: that it started, or (with an outcome) that it ended."""

    run: HeldRun
    started_at: datetime | None
    finished_at: datetime | None = None
    outcome: Outcome | None = None


def settle(session: Session, reports: Sequence[Report], now: datetime) -> list[str]:
    """Write a batch of reports; return the ids of runs that were no longer ours to settle."""
    ended = [(report, report.outcome) for report in reports if report.outcome is not None]
    ended_ids = {report.run.id for report, _ in ended}
    starts = [
        (report.run, report.started_at)
        for report in reports
        if report.started_at is not None and report.run.id not in ended_ids
    ]
    runs.mark_started(session, starts)
    rows = [_row(report, outcome, now) for report, outcome in ended]
    fenced = runs.write_outcomes(session, rows)
    jobs = [report.run.job_id for report, _ in ended]
    signals.note_outcomes(session, _last_of_each_job(jobs, rows, set(fenced)), now)
    return fenced


def _last_of_each_job(
    jobs: Sequence[int], rows: Sequence[dict[str, Any]], fenced: set[str]
) -> dict[int, dict[str, Any]]:
    judged = (State.SUCCEEDED.value, State.FAILED.value)
    return {
        job_id: row
        for job_id, row in zip(jobs, rows, strict=True)
        if row["b_state"] in judged and row["b_id"] not in fenced
    }


def _row(report: Report, outcome: Outcome, now: datetime) -> dict[str, Any]:
    run = report.run
    step = follow(outcome, Tries(run.attempt, run.rescues), run.policy, now, random.random())
    retry_at = step.at if isinstance(step, Retry) else None
    if outcome.state is State.FAILED:
        events.run_failed(run.job_name, run.id, outcome.message, retry_at)
    if retry_at is not None:
        earlier = runs.earlier_attempts(run, outcome, report.started_at, report.finished_at or now)
        return _retry_row(run, retry_at, earlier)
    return _final_row(run, outcome, report.started_at, report.finished_at or now)


def _final_row(
    run: HeldRun, outcome: Outcome, started: datetime | None, finished: datetime
) -> dict[str, Any]:
    return {
        "b_id": run.id,
        "b_token": run.token,
        "b_state": outcome.state.value,
        "b_reason": outcome.reason.value if outcome.reason else None,
        "b_message": outcome.message,
        "b_code": outcome.code,
        "b_output": outcome.output,
        "b_started": started,
        "b_finished": finished,
        "b_due": run.due_at,
        "b_attempt": run.attempt,
        "b_node": run.node_id,
        "b_earlier": run.earlier,
    }


def _retry_row(run: HeldRun, retry_at: datetime, earlier: str) -> dict[str, Any]:
    """Return the row of a run that goes back among the planned ones, in nobody's hands."""
    return {
        "b_id": run.id,
        "b_token": run.token,
        "b_state": State.PLANNED.value,
        "b_reason": None,
        "b_message": None,
        "b_code": None,
        "b_output": None,
        "b_started": None,
        "b_finished": None,
        "b_due": retry_at,
        "b_attempt": run.attempt + 1,
        "b_node": None,
        "b_earlier": earlier,
    }


class Settler:
    """Gathers reports from the executor and writes them; a failing database loses none of them."""

    def __init__(self, database: Database, clock: Clock, on_retry: Callable[[], None]) -> None:
        self._database = database
        self._clock = clock
        self._on_retry = on_retry
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
        except OperationalError:
            raise  # the database is away: the batch is kept and written when it is back
        except (DBAPIError, ValueError) as error:
            if len(batch) == 1:
                events.outcome_unwritable(batch[0].run.id, error)
                return
            for report in batch:
                self._write([report])

    def _write_together(self, batch: Sequence[Report]) -> None:
        now = self._clock.now()
        with self._database.write() as session:
            fenced = settle(session, batch, now)
        if fenced:
            events.runs_fenced(fenced)
        if any(report.outcome is not None and report.outcome.retryable for report in batch):
            self._on_retry()

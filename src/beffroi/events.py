"""Every sentence of the log, one function an event. The code that emits them has no log text."""

from datetime import datetime, timedelta

from loguru import logger


def serving(addresses: list[str], database: str) -> None:
    logger.info("Serving on {}; database {}.", ", ".join(addresses), database)


def working(concurrency: int, database: str) -> None:
    logger.info("Working, at most {} runs at a time; database {}.", concurrency, database)


def sign_in_refused(address: str) -> None:
    logger.warning("A sign-in from {} was refused: the name or the password was wrong.", address)


def migrated(before: str | None, after: str) -> None:
    if before is None:
        logger.info("Database schema made ({}).", after)
    else:
        logger.info("Database schema brought from {} to {}.", before, after)


def machine_started(node: str, concurrency: int) -> None:
    logger.info("Node {} is ready; it executes at most {} runs at a time.", node[-12:], concurrency)


def draining(is_draining: bool) -> None:
    if is_draining:
        logger.info("Draining: this node takes no more runs; what it runs may end.")
    else:
        logger.info("No longer draining: this node takes runs again.")


def machine_stopping(seconds: float) -> None:
    logger.info("Stopping: nothing new is started; running work has {:g} s to end.", seconds)


def machine_stopped(interrupted: int) -> None:
    if interrupted:
        logger.warning(
            "Stopped; {} runs were interrupted and will be rescued at the next start.", interrupted
        )
    else:
        logger.info("Stopped; all running work had ended.")


def sign_off_failed(error: Exception) -> None:
    logger.opt(exception=error).error(
        "The last outcomes could not be written; the next start takes the runs back."
    )


def loop_failed(loop: str, error: Exception, pause: float) -> None:
    logger.opt(exception=error).error(
        "The {} failed ({}); it tries again in {:.1f} s.", loop, _first_line(error), pause
    )


def loop_recovered(loop: str) -> None:
    logger.info("The {} works again.", loop)


def clock_jumped(by: timedelta) -> None:
    direction = "forward" if by > timedelta(0) else "back"
    logger.warning("The system clock jumped {} by {}; what is due is decided anew.", direction, abs(by))


def job_broken(job_id: int, reason: str) -> None:
    logger.error(
        "Job {} cannot be read and is parked as broken, nothing of it is deleted: {}", job_id, reason
    )


def occurrences_written_off(job: str, state: str, reason: str, count: int) -> None:
    logger.warning("Job {!r}: {} occurrences {} ({}).", job, count, state, reason)


def run_failed(job: str, run_id: str, message: str | None, retry_at: datetime | None) -> None:
    then = f"; tried again at {retry_at.isoformat()}" if retry_at else ""
    logger.warning("Job {!r}: run {} failed: {}{}", job, run_id, message or "no reason given", then)


def runs_fenced(run_ids: list[str]) -> None:
    logger.warning(
        "{} outcomes were dropped, their runs had been taken over or withdrawn meanwhile: {}",
        len(run_ids),
        ", ".join(run_ids[:10]),
    )


def outcome_unwritable(run_id: str, error: Exception) -> None:
    logger.opt(exception=error).error(
        "The outcome of run {} cannot be written; it is written as failed.", run_id
    )


def runs_rescued(count: int, node: str) -> None:
    logger.warning("{} runs of node {}, which is gone, were taken back.", count, node)


def runs_taken_over(count: int) -> None:
    logger.warning("{} runs of machines that were silent for too long were taken over.", count)


def runs_found(count: int) -> None:
    logger.warning("{} runs that nobody looked after any more were put back.", count)


def lease_lost(count: int) -> None:
    logger.warning("This machine was silent for too long; {} runs it held are somebody else's now.", count)


def absence(since: datetime, until: datetime) -> None:
    logger.warning("Nobody watched from {} to {} ({}).", since.isoformat(), until.isoformat(), until - since)


def health_changed(job_id: int, health: str, message: str | None) -> None:
    logger.warning("Job {} is now {}{}", job_id, health, f": {message}" if message else ".")


def history_pruned(runs: int) -> None:
    logger.info("{} runs beyond the kept history were deleted.", runs)


def target_failed(target_id: int, error: Exception) -> None:
    logger.opt(exception=error).error("Target {} could not be seen to: {}", target_id, _first_line(error))


def request_failed(method: str, path: str, error: Exception) -> None:
    logger.opt(exception=error).error("{} {} failed: {}", method, path, _first_line(error))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]

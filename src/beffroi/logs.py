"""Where the log goes and how it looks; standard logging is routed into it."""

import json
import logging
import sys
import traceback
from typing import TYPE_CHECKING

from loguru import logger

from beffroi.settings import LogFormat, Settings

if TYPE_CHECKING:
    from loguru import Record

_HUMAN = "<dim>{time:YYYY-MM-DD HH:mm:ss.SSSZZ}</dim> <level>{level: <7}</level> {message}"


def set_up(settings: Settings) -> None:
    """Send the log to standard error, as sentences or as one JSON object a line."""
    logger.remove()
    as_json = settings.log is LogFormat.JSON
    # `diagnose` would print the values of variables, secrets among them.
    logger.add(
        sys.stderr,
        level=settings.log_level.upper(),
        format=_as_json if as_json else _HUMAN,
        diagnose=False,
        backtrace=False,
    )
    logging.basicConfig(handlers=[_Router()], level=logging.WARNING, force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "alembic"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True


def _as_json(record: "Record") -> str:
    """Return the format of one record: a flat object, with what a collector looks for."""
    line = {
        "time": record["time"].isoformat(),
        "level": record["level"].name.lower(),
        "message": record["message"],
    }
    if (error := record["exception"]) is not None:
        line["exception"] = "".join(traceback.format_exception(error.type, error.value, error.traceback))
    record["extra"]["json"] = json.dumps(line, ensure_ascii=False)
    return "{extra[json]}\n"


class _Router(logging.Handler):
    """Hands records of the standard library's logging to the log."""

    def emit(self, record: logging.LogRecord) -> None:
        logger.opt(exception=record.exc_info, depth=6).log(record.levelname, "{}", record.getMessage())

"""Is the timer armed? For probes and for people."""

from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from beffroi.web.access import ANYBODY
from beffroi.web.deps import Ctx

router = APIRouter(tags=["health"])


class HealthView(BaseModel):
    status: Literal["healthy", "unhealthy"]
    uptime_seconds: int
    scheduler_running: bool
    troubles: Annotated[list[str], Field(description="What keeps the timer from its work, in sentences.")]
    active_runs: int
    unwritten_outcomes: Annotated[int, Field(description="Outcomes that wait to be written.")]


@router.get(
    "/health",
    dependencies=[ANYBODY],
    responses={503: {"model": HealthView, "description": "The timer is not armed."}},
)
def health(response: Response, context: Ctx) -> HealthView:
    """Say whether the timer is armed; 503 when it is not. The database is not asked."""
    troubles = context.machine.troubles
    if troubles:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return HealthView(
        status="unhealthy" if troubles else "healthy",
        uptime_seconds=int(context.machine.uptime.total_seconds()),
        scheduler_running=not troubles,
        troubles=troubles,
        **context.machine.figures,
    )

"""The overview: what needs a person, the timeline, the figures of the last hours, the nodes."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request
from sqlalchemy import func, select
from sqlmodel import Session, col
from starlette.responses import Response

from beffroi.domains.timeline.attention import SHOWN, attention
from beffroi.domains.timeline.figures import Figures, Stretch
from beffroi.domains.timeline.lanes import hours, lanes
from beffroi.engine import nodes
from beffroi.engine.models import Job
from beffroi.web.access import VIEWER
from beffroi.web.deps import Ctx
from beffroi.web.frame import MenuItem
from beffroi.web.viewer import current
from beffroi.web.words import mark as _

MENU = MenuItem(_("Overview"), "/ui/")
HEARD_OF = timedelta(hours=1)

router = APIRouter(prefix="/ui", tags=["overview"], include_in_schema=False, dependencies=[VIEWER])


@router.get("/")
def overview_page(request: Request, context: Ctx) -> Response:
    """The whole house at a glance."""
    figures: Figures = request.app.state.figures

    def shown(session: Session) -> dict[str, Any]:
        now = context.clock.now()
        stretches = figures.stretches(session, now)
        return {
            "attention": attention(session, now),
            "concerns": [found for watch in context.watchers if (found := watch(session, SHOWN))],
            "jobs": session.scalar(select(func.count()).where(col(Job.deleted_at).is_(None))) or 0,
            "lanes": lanes(session, now),
            "hours": hours(now, current().zone),
            "throughput": _throughput(stretches),
            "lateness": _lateness(stretches),
            "nodes": _nodes(session, now),
            "troubles": context.machine.troubles,
        }

    return context.frame.page(request, "timeline/overview.html", shown)


def _nodes(session: Session, now: Any) -> list[dict[str, Any]]:
    found = nodes.list_nodes(session, now - HEARD_OF)
    busy = nodes.busy(session, [node.id for node in found])
    return [
        {"node": node, "busy": busy.get(node.id, 0), "state": nodes.state_of(node, busy.get(node.id, 0), now)}
        for node in found
    ]


def _throughput(stretches: Sequence[Stretch]) -> dict[str, Any]:
    """Bars, 10 wide in a drawing of 720 by 60; what failed stands on top."""
    most = max((each.runs for each in stretches), default=0)
    scale = 60 / most if most else 0
    bars = [
        {
            "x": place * 10,
            "well": round((each.runs - each.failed) * scale, 1),
            "failed": round(max(each.failed * scale, 2), 1) if each.failed else 0,
        }
        for place, each in enumerate(stretches)
    ]
    return {"bars": bars, "total": sum(each.runs for each in stretches), "most": most,
            "failed": sum(each.failed for each in stretches)}  # fmt: skip


def _lateness(stretches: Sequence[Stretch]) -> dict[str, Any]:
    """A line through the worst of each stretch that had runs, in a drawing of 720 by 60."""
    worst = max((each.worst_lateness for each in stretches), default=0.0)
    scale = 56 / worst if worst else 0
    points = [
        f"{place * 10 + 5},{round(58 - each.worst_lateness * scale, 1)}"
        for place, each in enumerate(stretches)
        if each.runs
    ]
    had = [each for each in stretches if each.runs]
    mean = sum(each.mean_lateness * each.runs for each in had) / max(1, sum(each.runs for each in had))
    return {"points": " ".join(points), "worst": worst, "mean": mean, "any": bool(had)}

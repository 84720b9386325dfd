"""The nodes: who takes part, what each has in hand, and how one is emptied."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from beffroi.core.outcomes import State
from beffroi.engine import nodes
from beffroi.engine.models import Node, Role, Run
from beffroi.engine.nodes import NodeState
from beffroi.web.access import ADMIN, VIEWER
from beffroi.web.deps import Now, Reading, Writing
from beffroi.web.errors import PROBLEMS

router = APIRouter(tags=["nodes"], responses=PROBLEMS, dependencies=[VIEWER])

HEARD_OF = timedelta(days=1)
"""Nodes that were silent for longer are not listed."""

MOST_RUNS = 50


class NodeRun(BaseModel):
    run_id: UUID
    job_name: str
    state: State
    due_at: datetime
    started_at: datetime | None


class NodeView(BaseModel):
    id: UUID
    role: Role
    state: NodeState
    host: str
    pid: int
    version: str
    started_at: datetime
    heartbeat_at: datetime
    draining_at: datetime | None
    stopped_at: datetime | None
    held: Annotated[int, Field(description="Runs it holds until their moment.")]
    running: Annotated[int, Field(description="Runs that have begun there.")]
    runs: Annotated[list[NodeRun], Field(description=f"What it has in hand; at most {MOST_RUNS}.")]


@router.get("/nodes")
def list_nodes(session: Reading, now: Now) -> Sequence[NodeView]:
    """List the nodes heard of during the last day, the newest first, and what each has in hand."""
    return _views(session, nodes.list_nodes(session, now - HEARD_OF), now)


@router.post("/nodes/{node_id}/drain", dependencies=[ADMIN])
def drain_node(node_id: UUID, session: Writing, now: Now) -> NodeView:
    """Empty a node: it takes no more runs, gives back those not begun, and lets the others end."""
    return _views(session, [nodes.set_draining(session, str(node_id), True, now)], now)[0]


@router.delete("/nodes/{node_id}/drain", dependencies=[ADMIN])
def undrain_node(node_id: UUID, session: Writing, now: Now) -> NodeView:
    """Let a node take runs again."""
    return _views(session, [nodes.set_draining(session, str(node_id), False, now)], now)[0]


def _views(session: Reading, found: Sequence[Node], now: datetime) -> list[NodeView]:
    in_hand: dict[str, list[tuple[Run, str]]] = {node.id: [] for node in found}
    for run, name in nodes.in_hand(session, list(in_hand)):
        in_hand[str(run.node_id)].append((run, name))
    return [_view(node, in_hand[node.id], now) for node in found]


def _view(node: Node, has: Sequence[tuple[Run, str]], now: datetime) -> NodeView:
    running = sum(run.state is State.RUNNING for run, _ in has)
    facts = node.model_dump(exclude={"state"})
    return NodeView(
        **facts,
        state=nodes.state_of(node, len(has), now),
        held=len(has) - running,
        running=running,
        runs=[
            NodeRun(
                run_id=UUID(run.id),
                job_name=name,
                state=run.state,
                due_at=run.due_at,
                started_at=run.started_at,
            )
            for run, name in has[:MOST_RUNS]
        ],
    )

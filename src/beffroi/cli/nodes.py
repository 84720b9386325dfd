"""`beffroi nodes` and `beffroi drain`: who takes part, and how one is emptied."""

import time
from typing import Annotated, Any

import typer

from beffroi.cli.client import call
from beffroi.cli.render import AsJson, fail, moment, out, print_json, print_table

COLUMNS = ("node", "role", "state", "host", "pid", "version", "heartbeat", "held", "running")

LOOK = 0.5
"""Seconds between looks whether a node is empty."""


def list_nodes(as_json: AsJson = False) -> None:
    """List the nodes, and what each has in hand."""
    found = call("GET", "/nodes")
    if as_json:
        print_json(found)
        return
    print_table(COLUMNS, [_row(node) for node in found], "No node was heard of during the last day.")


def drain(
    node: Annotated[
        str, typer.Argument(help="The id of a node, or its beginning or its end.", show_default=False)
    ],
    undo: Annotated[bool, typer.Option(help="Let it take runs again.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait until nothing runs there any more.")] = True,
    as_json: AsJson = False,
) -> None:
    """Empty a node: it takes no more runs, and lets end what it runs."""
    node_id = _node_id(node)
    answer = call("DELETE" if undo else "POST", f"/nodes/{node_id}/drain")
    while wait and not undo and answer["state"] == "draining":
        time.sleep(LOOK)
        answer = next(each for each in call("GET", "/nodes") if each["id"] == node_id)
    if as_json:
        print_json(answer)
    else:
        out.print(f"Node {node_id} is {answer['state']}.", highlight=False)


def _node_id(part: str) -> str:
    ids = [str(node["id"]) for node in call("GET", "/nodes") if node["stopped_at"] is None]
    found = [each for each in ids if each.startswith(part) or each.endswith(part)]
    if len(found) != 1:
        raise fail(f"{part!r} names {len(found)} of the {len(ids)} nodes that run; see `beffroi nodes`.")
    return found[0]


def _row(node: dict[str, Any]) -> tuple[Any, ...]:
    fixed = (node["id"][-12:], node["role"], node["state"], node["host"], node["pid"], node["version"])
    return *fixed, moment(node["heartbeat_at"]), node["held"], node["running"]

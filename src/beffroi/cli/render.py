"""How the command line speaks: tables for people, JSON for programs, one red sentence for errors."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDE = 160
"""Characters a table needs; a terminal that is narrower wraps its lines itself, not cell by cell."""


def _console(*, stderr: bool = False) -> Console:
    made = Console(stderr=stderr)
    return Console(stderr=stderr, width=max(WIDE, made.width), soft_wrap=False)


out = _console()
err = _console(stderr=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

STYLES = {
    "succeeded": "green",
    "running": "blue",
    "planned": "dim",
    "failed": "bold red",
    "missed": "red",
    "skipped": "yellow",
    "cancelled": "yellow",
    "active": "green",
    "paused": "yellow",
    "broken": "bold red",
    "failing": "bold red",
    "ok": "green",
    "finished": "dim",
}


def fail(message: str, code: int = 1) -> typer.Exit:
    """Print a sentence on standard error; raise what this returns to end with the code."""
    err.print(Text(message, style="red"))
    return typer.Exit(code)


def print_json(value: Any) -> None:
    out.print_json(json.dumps(value))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], empty: str) -> None:
    """Print rows as a table, or the sentence `empty` when there are none."""
    if not rows:
        out.print(Text(empty, style="dim"))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column == "id")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    out.print(table)


def print_fields(fields: dict[str, Any]) -> None:
    """Print one thing, a line a field."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in fields.items():
        table.add_row(name.replace("_", " "), _cell(value))
    out.print(table)


def moment(text: str | None) -> str:
    """Shorten an ISO moment for a table; it stays in UTC."""
    if text is None:
        return ""
    return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%SZ")


def milliseconds(seconds: float | None) -> str:
    """Write a short time for a table."""
    if seconds is None:
        return ""
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _cell(value: Any) -> Text:
    if value is None:
        return Text("")
    if isinstance(value, dict | list):
        return Text(json.dumps(value, ensure_ascii=False))
    text = str(value)
    return Text(text, style=STYLES.get(text.split(" ", 1)[0], ""))

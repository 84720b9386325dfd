"""`python -m benchmarks [PART]`: measure, print tables, and write the figures when asked to."""

import json
from collections.abc import Callable
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks import held, idle, lateness, pages, postgres, throughput, workloads
from benchmarks.common import Report, hush


class Part(StrEnum):
    """What can be measured by itself."""

    THROUGHPUT = "throughput"
    LATENESS = "lateness"
    HELD = "held"
    IDLE = "idle"
    POSTGRES = "postgres"
    PAGES = "pages"
    WORKLOADS = "workloads"


REPORTS: dict[Part, Callable[[bool], list[Report]]] = {
    Part.THROUGHPUT: throughput.report,
    Part.LATENESS: lateness.report,
    Part.HELD: held.report,
    Part.IDLE: idle.report,
    Part.POSTGRES: postgres.report,
    Part.PAGES: pages.report,
    Part.WORKLOADS: workloads.report,
}


def main(
    part: Annotated[Part | None, typer.Argument(help="Measure only this part.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer jobs, one round: to see that it runs.")
    ] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the reports to this file.")] = None,
) -> None:
    """Measure Beffroi and its peers in turns, on this machine, and compare the medians."""
    hush()
    console = Console()
    reports: list[Report] = []
    for each in [part] if part else list(Part):
        found = REPORTS[each](quick)
        for report in found:
            console.print(_table(report))
        reports += found
    if json_file:
        json_file.write_text(json.dumps([asdict(report) for report in reports], indent=2) + "\n")


def _table(report: Report) -> Table:
    table = Table(title=report.title, title_justify="left")
    for place, column in enumerate(report.columns):
        table.add_column(column, justify="right" if place else "left", no_wrap=True)
    for row in report.rows:
        table.add_row(*row)
    return table


if __name__ == "__main__":
    typer.run(main)

"""`beffroi runs`: the ledger."""

from typing import Annotated, Any

import typer

from beffroi.cli.client import call, job_id, pages
from beffroi.cli.jobs import Most
from beffroi.cli.render import AsJson, milliseconds, moment, out, print_fields, print_json, print_table

app = typer.Typer(help="Read the ledger; cancel a run.", invoke_without_command=True)

RunId = Annotated[str, typer.Argument(help="The id of a run.", show_default=False)]

COLUMNS = ("scheduled for", "job", "state", "late", "took", "code", "id")


@app.callback()
def default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_runs()


@app.command("list")
def list_runs(
    job: Annotated[str | None, typer.Option(help="Of this job, by name or id.")] = None,
    state: Annotated[list[str] | None, typer.Option(help="In this state; may be repeated.")] = None,
    since: Annotated[str | None, typer.Option(help="Scheduled at or after this moment.")] = None,
    until: Annotated[str | None, typer.Option(help="Scheduled before this moment.")] = None,
    limit: Most = 20,
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first."""
    params = {"job": job_id(job) if job else None, "state": state, "since": since, "until": until}
    found = pages("/runs", params, limit)
    if as_json:
        print_json(found)
        return
    print_table(COLUMNS, [_row(run) for run in found], "No such runs.")


@app.command()
def show(run: RunId, as_json: AsJson = False) -> None:
    """Show all of a run."""
    found = call("GET", f"/runs/{run}")
    if as_json:
        print_json(found)
    else:
        print_fields(found)


@app.command()
def cancel(run: RunId, as_json: AsJson = False) -> None:
    """Cancel a run that waits or runs."""
    answer = call("POST", f"/runs/{run}/cancel")
    if as_json:
        print_json(answer)
    else:
        out.print(f"Run {run}: {answer['status']}.")


def _row(run: dict[str, Any]) -> tuple[Any, ...]:
    count = f" x {run['occurrences']}" if run["occurrences"] > 1 else ""
    late, took = milliseconds(run["lateness_seconds"]), milliseconds(run["duration_seconds"])
    state = run["state"] + (f" ({run['reason']})" if run["reason"] else "") + count
    return moment(run["scheduled_for"]), run["job_name"], state, late, took, run["code"], run["id"]

"""`beffroi jobs`: list, show and change jobs. `beffroi next`: what is to come."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from beffroi.cli.client import call, job_id, pages
from beffroi.cli.render import AsJson, moment, out, print_fields, print_json, print_table

app = typer.Typer(help="List, show and change jobs.", invoke_without_command=True)

Name = Annotated[str, typer.Argument(help="The name or the id of a job.", show_default=False)]
Most = Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")]

COLUMNS = ("id", "name", "state", "health", "trigger", "action", "next")


@app.callback()
def default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_jobs()


@app.command("list")
def list_jobs(
    name: Annotated[str | None, typer.Option(help="Part of the name.")] = None,
    state: Annotated[str | None, typer.Option(help="active, paused, finished or broken.")] = None,
    health: Annotated[str | None, typer.Option(help="ok or failing.")] = None,
    limit: Most = 100,
    as_json: AsJson = False,
) -> None:
    """List jobs."""
    found = pages("/jobs", {"name": name, "state": state, "health": health}, limit)
    if as_json:
        print_json(found)
        return
    print_table(
        COLUMNS, [_row(job) for job in found], "No jobs. Make some: beffroi apply FILE, or POST /jobs."
    )


@app.command()
def show(job: Name, as_json: AsJson = False) -> None:
    """Show all of a job."""
    _print_job(call("GET", f"/jobs/{job_id(job)}"), as_json)


@app.command()
def pause(
    job: Name,
    until: Annotated[
        str | None, typer.Option(help="A moment with its offset; without: until resumed.")
    ] = None,
    note: Annotated[str | None, typer.Option(help="Why.")] = None,
    as_json: AsJson = False,
) -> None:
    """Pause a job; its occurrences are skipped."""
    _print_job(call("POST", f"/jobs/{job_id(job)}/pause", json={"until": until, "note": note}), as_json)


@app.command()
def resume(job: Name, as_json: AsJson = False) -> None:
    """Resume a paused job from now on."""
    _print_job(call("POST", f"/jobs/{job_id(job)}/resume"), as_json)


@app.command()
def run(job: Name, as_json: AsJson = False) -> None:
    """Run a job now, beside its schedule."""
    answer = call("POST", f"/jobs/{job_id(job)}/run")
    if as_json:
        print_json(answer)
    else:
        out.print(f"Run {answer['run_id']} is due now; see: beffroi runs show {answer['run_id']}")


@app.command()
def skip(
    job: Name,
    at: Annotated[str | None, typer.Option(help="Which occurrence; without: the next one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Leave out one occurrence to come."""
    answer = call("POST", f"/jobs/{job_id(job)}/skip", json={"at": at})
    if as_json:
        print_json(answer)
    else:
        out.print(f"The occurrence of {moment(answer['skipped'])} will be skipped.")


@app.command()
def delete(job: Name, as_json: AsJson = False) -> None:
    """Delete a job; its runs stay in the ledger."""
    answer = call("DELETE", f"/jobs/{job_id(job)}")
    if as_json:
        print_json(answer)
    else:
        out.print(f"Job {job} is deleted; its runs stay in the ledger.")


def next_occurrences(
    job: Annotated[
        str | None, typer.Argument(help="A job; without: of all jobs.", show_default=False)
    ] = None,
    limit: Most = 10,
    as_json: AsJson = False,
) -> None:
    """Show what is to come, of one job or of all."""
    if job is None:
        rows = _next_of_all(limit)
    else:
        found = call("GET", f"/jobs/{job_id(job)}/next", params={"n": min(limit, 1000)})
        rows = [{"job": job, **item} for item in found]
    if as_json:
        print_json(rows)
        return
    cells = [(moment(row["at"]), row["job"], "skipped" if row["skipped"] else "") for row in rows]
    print_table(("at", "job", ""), cells, "Nothing is to come.")


def _next_of_all(most: int) -> list[dict[str, Any]]:
    jobs = pages("/jobs", {"state": "active"}, 10_000)
    found = {job["name"]: job["next"] for job in jobs}
    rows = _merged(found)
    # The list tells only the next few of each job: of those that have more before the end, ask for all.
    last = rows[most - 1]["at"] if len(rows) >= most else None
    for job in jobs:
        few = job["next"]
        if few and (last is None or _moment(few[-1]) < _moment({"at": last})):
            found[job["name"]] = call("GET", f"/jobs/{job['id']}/next", params={"n": min(most, 1000)})
    return _merged(found)[:most]


def _merged(found: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    rows = [{"job": name, **item} for name, items in found.items() for item in items]
    return sorted(rows, key=_moment)


def _moment(row: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(row["at"]).astimezone(UTC)


def _row(job: dict[str, Any]) -> tuple[Any, ...]:
    following = job["next"][0]["at"] if job["next"] else job["paused_until"]
    return (
        job["id"],
        job["name"],
        job["state"],
        job["health"],
        _brief(job["trigger"]),
        _brief(job["action"]),
        moment(following),
    )


def _brief(part: Any) -> str:
    """Say a trigger or an action in a few words: its kind and the field that tells most."""
    if not isinstance(part, dict):
        return str(part)
    telling = next(
        (part[key] for key in ("every", "line", "at", "url", "command", "entry_point") if part.get(key)), ""
    )
    return f"{part.get('kind', '')} {telling}".strip()


def _print_job(job: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(job)
    else:
        print_fields({**job, "next": ", ".join(moment(item["at"]) for item in job["next"])})

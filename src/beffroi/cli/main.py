"""The program `beffroi`: its commands, and how its mistakes are told."""

import os
import sys
from typing import Annotated

import typer
from loguru import logger

from beffroi import __version__
from beffroi.cli import declare, imports, jobs, nodes, runs
from beffroi.cli import move as moving
from beffroi.cli import serve as serving
from beffroi.cli.render import fail, out
from beffroi.core.errors import BeffroiError
from beffroi.settings import CONFIG_VARIABLE, URL_VARIABLE

app = typer.Typer(
    name="beffroi",
    help="A scheduler for small operations teams.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(serving.serve)
app.command()(serving.work)
app.command()(serving.check)
app.command()(serving.migrate)
app.command()(moving.move)
app.command()(declare.apply)
app.command()(declare.export)
app.command("next")(jobs.next_occurrences)
app.command("nodes")(nodes.list_nodes)
app.command()(nodes.drain)
app.add_typer(imports.app, name="import")
app.add_typer(jobs.app, name="jobs")
app.add_typer(runs.app, name="runs")


def _print_version(wanted: bool) -> None:
    if wanted:
        out.print(f"beffroi {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def options(
    config: Annotated[
        str | None, typer.Option(help="The configuration file.", envvar=CONFIG_VARIABLE)
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Where the server is; found by itself.", envvar=URL_VARIABLE)
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A scheduler for small operations teams."""
    if config:
        os.environ[CONFIG_VARIABLE] = config
    if url:
        os.environ[URL_VARIABLE] = url
    logger.remove()
    logger.add(sys.stderr, level="WARNING", diagnose=False, backtrace=False)


def main() -> None:
    """Run the program; what is wrong with the input or the configuration ends with exit code 2."""
    try:
        app()
    except BeffroiError as error:
        sys.exit(fail(error.message, 2).exit_code)

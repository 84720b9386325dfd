"""`beffroi import`: what other programs know, as files that `apply` reads."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from pydantic import ValidationError

from beffroi.cli.declare import as_toml
from beffroi.cli.render import err, fail
from beffroi.domains.workloads.downscaler import read_manifests
from beffroi.settings import load

app = typer.Typer(no_args_is_help=True, help="Read what other programs know.")

Files = Annotated[
    list[Path],
    typer.Argument(help="YAML or JSON of workloads, as `kubectl get -o yaml` writes it; `-`: from a pipe."),
]


@app.callback()
def group() -> None:
    """Read what other programs know."""


@app.command()
def downscaler(
    files: Files,
    zone: Annotated[str | None, typer.Option(help="The zone of windows that name none.")] = None,
) -> None:
    """Print targets and schedules for the annotations of py-kube-downscaler, and remarks on the rest."""
    objects = [each for file in files for each in _objects(file)]
    try:
        imported = read_manifests(objects, zone or load().timezone)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        said = "should be an object" if first["type"] == "model_type" else first["msg"]
        raise fail(f"That is not what Kubernetes writes: {where or 'it'}: {said}.", 2) from None
    except ValueError as error:
        raise fail(f"{error}.", 2) from None
    for remark in imported.remarks:
        err.print(remark, highlight=False, markup=False)
    typer.echo(as_toml(imported.document), nl=False)


def _objects(file: Path) -> Iterable[Any]:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        return [each for each in yaml.safe_load_all(text) if each]
    except OSError as error:
        raise fail(f"{str(file)!r} cannot be read: {error.strerror}.", 2) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise fail(f"{str(file)!r} is neither YAML nor JSON: {error}", 2) from None

"""`beffroi apply` and `beffroi export`: everything that people define as a file."""

import json
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import tomlkit
import typer
import yaml
from tomlkit.exceptions import TOMLKitError

from beffroi.cli.client import call
from beffroi.cli.render import AsJson, fail, out, print_json

SECTIONS = ("targets", "schedules", "jobs")

Target = Annotated[
    Path, typer.Argument(help="A TOML (.toml) or YAML (.yaml, .yml) file.", show_default=False)
]


def apply(
    file: Target,
    prune: Annotated[bool, typer.Option(help="Delete what came from a file and is not in this one.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Say what would be done, and do nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make what a file says so: jobs, targets, schedules; all of it, or nothing."""
    document = {**_read(file), "prune": prune, "dry_run": dry_run}
    report = call("POST", "/apply", json=document)
    if as_json:
        print_json(report)
        return
    would = "would be " if dry_run else ""
    for what in ("taken_over", "created", "changed", "deleted"):
        for name in report[what]:
            out.print(f"{would}{what.replace('_', ' ')}: {name}", highlight=False, markup=False)
    for name in report["waiting"]:
        told = f"{would}deleted by the next one, when it is up again: {name}"
        out.print(told, highlight=False, markup=False)
    out.print(f"{len(report['unchanged'])} unchanged.", highlight=False)


def export(
    file: Annotated[Path | None, typer.Argument(help="Where to write; without: TOML to the screen.")] = None,
) -> None:
    """Write everything as a file that `apply` reads."""
    found = {name: things for name, things in call("GET", "/export").items() if things}
    if file is None:
        typer.echo(as_toml(found), nl=False)
        return
    text = yaml.safe_dump(found, sort_keys=False, allow_unicode=True) if _is_yaml(file) else as_toml(found)
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise fail(f"{str(file)!r} cannot be written: {error.strerror}.", 2) from None
    counts = ", ".join(f"{len(things)} {name}" for name, things in found.items()) or "nothing"
    out.print(f"{counts} written to {file}.", highlight=False, markup=False)


def as_toml(document: dict[str, Any]) -> str:
    try:
        return tomlkit.dumps(document)
    except TOMLKitError:
        raise fail("There is a null in it, which TOML cannot write; export to a .yaml file.", 2) from None


def _read(file: Path) -> dict[str, Any]:
    is_yaml = _is_yaml(file)
    try:
        text = file.read_text(encoding="utf-8")
        document = yaml.safe_load(text) if is_yaml else tomlkit.parse(text).unwrap()
    except OSError as error:
        raise fail(f"{str(file)!r} cannot be read: {error.strerror}.", 2) from None
    except (yaml.YAMLError, TOMLKitError, UnicodeDecodeError) as error:
        raise fail(f"{str(file)!r} is not {'YAML' if is_yaml else 'TOML'}: {error}", 2) from None
    if not isinstance(document, dict) or not document or set(document) - set(SECTIONS):
        raise fail(f"{str(file)!r} must hold lists named {', '.join(SECTIONS)}, and nothing else.", 2)
    plain: dict[str, Any] = json.loads(
        json.dumps({name: part or [] for name, part in document.items()}, default=_plain)
    )
    return plain


def _is_yaml(file: Path) -> bool:
    if file.suffix not in (".toml", ".yaml", ".yml"):
        raise fail(f"{str(file)!r}: the name must end in .toml, .yaml or .yml.", 2)
    return file.suffix != ".toml"


def _plain(value: Any) -> str:
    """Both formats have moments of their own; the API takes them as text."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise fail(f"{value!r} cannot stand in such a file.", 2)

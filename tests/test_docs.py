"""The docs know every setting, kind, field, state, route and command."""

import re
from pathlib import Path
from typing import get_args

import pytest
import typer.main
from fastapi.routing import APIRoute

from beffroi.actions import action_table
from beffroi.app import ROUTERS
from beffroi.cli.main import app as command_line
from beffroi.core.outcomes import Reason, State
from beffroi.core.policies import Policy, Retries
from beffroi.core.triggers import AnyTrigger
from beffroi.domains.jobs.action import CommandParams, HttpParams, PythonParams
from beffroi.engine.clock import SystemClock
from beffroi.engine.models import JobState
from beffroi.settings import Settings
from beffroi.store.db import Database

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"


def page(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("setting", list(Settings.model_fields))
def test_every_setting_is_documented_with_its_default(setting: str) -> None:
    assert f"| `{setting}` |" in page("settings")


def test_every_trigger_kind_and_field_is_documented() -> None:
    for trigger in get_args(get_args(AnyTrigger)[0]):
        assert f"## `{trigger.model_fields['kind'].default}`" in page("triggers")
        for field in set(trigger.model_fields) - {"kind"}:
            assert f"`{field}`" in page("triggers") or f'"{field}"' in page("triggers"), field


def test_every_action_kind_is_documented(database: Database) -> None:
    for kind in action_table(Settings(), database, SystemClock()):
        assert f"## `{kind}`" in page("actions")


@pytest.mark.parametrize("params", [HttpParams, CommandParams, PythonParams])
def test_every_field_of_an_action_is_documented(params: type[HttpParams]) -> None:
    for field in set(params.model_fields) - {"kind", "arguments"}:
        assert f"`{field}`" in page("actions"), field


@pytest.mark.parametrize("field", [*Policy.model_fields, *Retries.model_fields])
def test_every_policy_is_documented(field: str) -> None:
    assert f"`{field}`" in page("policies")


@pytest.mark.parametrize("word", [*State, *Reason, *JobState])
def test_every_state_and_reason_is_documented(word: str) -> None:
    assert f"`{word}`" in page("ledger")


def test_every_route_is_documented_and_no_other() -> None:
    routes = {
        f"{method} {route.path_format}"
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    documented = {line.split("`")[1] for line in page("api").splitlines() if line.startswith("| `")}
    assert documented == routes


def test_every_command_is_documented_and_no_other() -> None:
    group = typer.main.get_command(command_line)
    names = set()
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        names |= {f"beffroi {name} {verb}" for verb in inner} if inner else {f"beffroi {name}"}
    documented = {
        line.split("`")[1] for line in page("commands").splitlines() if line.startswith("| `beffroi")
    }
    assert documented == names


def test_links_between_pages_lead_somewhere() -> None:

    for source in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", source.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (source.parent / target).exists(), f"{source.name} -> {target}"

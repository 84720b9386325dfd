"""What is offered for running it elsewhere names commands, settings and routes that exist."""

import re
import subprocess
from pathlib import Path
from shutil import which
from typing import Any

import kubernetes_validate
import pytest
import typer.main
import yaml
from fastapi.routing import APIRoute

from beffroi.cli.main import app as command_line
from beffroi.settings import Settings, split_address
from beffroi.web import health

DEPLOY = Path(__file__).parent.parent / "deploy"
COMMANDS = typer.main.get_command(command_line).commands  # type: ignore[attr-defined]
VARIABLES = {f"BEFFROI_{name}".upper() for name in Settings.model_fields}


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8")))


def pods() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    found = []
    for name in ("kubernetes.yaml", "kubernetes-migrate.yaml"):
        for document in documents(name):
            if document["kind"] in ("Deployment", "Job"):
                pod = document["spec"]["template"]["spec"]
                found.append((pod, pod["containers"][0]))
    return found


def check_arguments(arguments: list[str]) -> None:
    command = COMMANDS[arguments[0]]
    options = {
        option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    for argument in arguments[1:]:
        if argument.startswith("--"):
            assert argument in options, arguments
        else:
            split_address(argument)


def check_variables(names: set[str]) -> None:
    assert {name.removesuffix("_FILE") for name in names} <= VARIABLES


def test_compose_names_what_exists() -> None:
    (compose,) = documents("compose.yaml")
    for name, service in compose["services"].items():
        if name != "database":
            check_arguments(service["command"])
            check_variables(set(service["environment"]))
        assert set(service.get("secrets", [])) <= set(compose["secrets"])
        assert set(service.get("depends_on", {})) <= set(compose["services"])


def test_kubernetes_names_what_exists() -> None:
    paths = {route.path for route in health.router.routes if isinstance(route, APIRoute)}
    for pod, container in pods():
        check_arguments(container["args"])
        check_variables({variable["name"] for variable in container["env"]})
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert pod["securityContext"]["runAsNonRoot"]
        for probe in ("readinessProbe", "startupProbe"):
            if probe in container:
                assert container[probe]["httpGet"]["path"] in paths
                assert container[probe]["httpGet"]["port"] == container["ports"][0]["name"]
        if "ports" in container:
            assert pod["terminationGracePeriodSeconds"] > Settings().drain.total_seconds()


@pytest.mark.parametrize("name", ["kubernetes.yaml", "kubernetes-migrate.yaml", "kubernetes-rbac.yaml"])
def test_kubernetes_knows_every_field(name: str) -> None:
    for document in documents(name):
        kubernetes_validate.validate(document, "1.30", strict=True)


def test_selectors_select_and_every_deployment_has_a_budget() -> None:
    found = documents("kubernetes.yaml")
    labels = {
        document["metadata"]["name"]: document["spec"]["template"]["metadata"]["labels"]
        for document in found
        if document["kind"] == "Deployment"
    }
    budgets = [
        document["spec"]["selector"]["matchLabels"]
        for document in found
        if document["kind"] == "PodDisruptionBudget"
    ]
    assert sorted(map(str, budgets)) == sorted(map(str, labels.values()))
    (service,) = [document for document in found if document["kind"] == "Service"]
    assert service["spec"]["selector"] == labels["beffroi-serve"]


@pytest.mark.parametrize("unit", ["beffroi.service", "beffroi-worker.service"])
def test_units_name_what_exists(unit: str) -> None:
    text = (DEPLOY / unit).read_text(encoding="utf-8")
    (started,) = re.findall(r"^ExecStart=/opt/beffroi/bin/beffroi (.*)$", text, re.MULTILINE)
    check_arguments(started.split())
    check_variables(set(re.findall(r"^Environment=(\w+)=", text, re.MULTILINE)))
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    assert int(seconds) > Settings().drain.total_seconds()


@pytest.mark.skipif(which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("unit", ["beffroi.service", "beffroi-worker.service"])
def test_systemd_understands_the_units(unit: str, tmp_path: Path) -> None:
    text = (DEPLOY / unit).read_text(encoding="utf-8").replace("/opt/beffroi/bin/beffroi", "/bin/true")
    (tmp_path / unit).write_text(
        text.replace("User=beffroi", "User=root").replace("Group=beffroi", "Group=root")
    )
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / unit],
        capture_output=True,
        text=True,
        check=False,
    )
    assert unit not in done.stderr, done.stderr

"""The table of action kinds: name -> parameters and function. A new kind is one line here."""

from beffroi.clients.clusters import Clusters
from beffroi.clients.hosts import HostList, HostRules
from beffroi.clients.http import HttpClient
from beffroi.domains.jobs.action import (
    CommandAction,
    CommandParams,
    HttpAction,
    HttpParams,
    PythonParams,
    call_python,
)
from beffroi.domains.workloads.action import DiscoverAction, TargetActions, WorkloadAction
from beffroi.domains.workloads.params import DiscoverParams, ResyncParams, TargetParams, WorkloadParams
from beffroi.engine.calls import ActionKind, ActionTable
from beffroi.engine.clock import Clock
from beffroi.settings import Settings
from beffroi.store.db import Database


def action_table(settings: Settings, database: Database, clock: Clock) -> ActionTable:
    """Build every action the program can do."""
    rules = HostRules(HostList.of(settings.http_allow), HostList.of(settings.http_deny))
    http = HttpClient(rules, settings.concurrency)
    clusters = Clusters()
    targets = TargetActions(database, clock, http, clusters)
    discovery = DiscoverAction(database, clock, clusters, settings.timezone, settings.resync)
    return {
        "http": ActionKind(HttpParams, HttpAction(http).call, http.close),
        "command": ActionKind(CommandParams, CommandAction(settings.commands).call),
        "python": ActionKind(PythonParams, call_python),
        "workload": ActionKind(WorkloadParams, WorkloadAction(database, clock).reconcile),
        "target": ActionKind(TargetParams, targets.bring, clusters.close),
        "resync": ActionKind(ResyncParams, targets.resync),
        "discover": ActionKind(DiscoverParams, discovery.discover),
    }

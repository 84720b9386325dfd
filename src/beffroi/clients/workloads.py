"""Workloads in clusters, as values; whoever only names them needs no client for Kubernetes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from beffroi.core.errors import BeffroiError

EVERYWHERE = "*"
"""In place of a namespace: all of them."""

Selector = Mapping[str, str | Sequence[str] | None]
"""Labels by name: a value, one of several, or (None) whatever it is."""


class Resource(StrEnum):
    """What can be brought up and down."""

    DEPLOYMENT = "deployment"
    STATEFUL_SET = "statefulset"
    CRON_JOB = "cronjob"


class ChangedMeanwhileError(BeffroiError):
    """Somebody changed it since it was read."""


class GoneError(BeffroiError):
    """It is not there any more."""


@dataclass(frozen=True, slots=True)
class Ref:
    """The name of a workload in a cluster."""

    resource: Resource
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.resource}/{self.name}"


@dataclass(frozen=True, slots=True)
class Writer:
    """Who wrote a workload's size, and when; `subresource` is `scale` for what scales."""

    manager: str
    subresource: str | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload as its cluster shows it. `size`: replicas; of a CronJob 0 when suspended, else 1.

    `version`: what a change of it must name, so that nobody's change is lost. `owner`: who controls it.
    """

    ref: Ref
    uid: str
    size: int
    version: str
    annotations: Mapping[str, str]
    labels: Mapping[str, str]
    owner: str | None = None
    writers: Sequence[Writer] = ()


def matches(labels: Mapping[str, str], selector: Selector) -> bool:
    """Whether labels are as a selector says."""
    return all(name in labels and _fits(labels[name], wanted) for name, wanted in selector.items())


def _fits(value: str, wanted: str | Sequence[str] | None) -> bool:
    if wanted is None:
        return True
    return value == wanted if isinstance(wanted, str) else value in wanted

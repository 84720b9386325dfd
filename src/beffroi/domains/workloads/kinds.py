"""What a target is made of: nothing but a name, requests over HTTP, or workloads in Kubernetes."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from beffroi.clients.requests import HttpRequest
from beffroi.clients.workloads import EVERYWHERE, Resource
from beffroi.core.errors import InvalidError

Name = Annotated[str, Field(max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
Namespace = Annotated[str, Field(max_length=63, pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?|\*)$")]
LabelName = Annotated[
    str, Field(max_length=317, pattern=r"^([a-z0-9.-]+/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$")
]
LabelValue = Annotated[str, Field(max_length=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")]


class _Kind(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NoWorkload(_Kind):
    """Nothing is done: what is wanted can be read, by whoever acts on it."""

    kind: Literal["none"] = "none"


class StateRequest(HttpRequest):
    """Asks whether it is up: when the status is expected, and the answer holds `up_if`, if that is given."""

    up_if: Annotated[str | None, Field(min_length=1, max_length=500)] = None


class HttpWorkload(_Kind):
    """Brought up and down by a request each. `state` reads back; without it, what was last done counts."""

    kind: Literal["http"] = "http"
    up: HttpRequest
    down: HttpRequest
    state: StateRequest | None = None


class KubernetesWorkload(_Kind):
    """Workloads of one kind, by name or by labels, in some namespaces of a cluster (`*`: in all)."""

    kind: Literal["kubernetes"] = "kubernetes"
    resource: Resource
    namespaces: Annotated[list[Namespace], Field(min_length=1, max_length=100)] = ["default"]
    name: Name | None = None
    selector: Annotated[
        dict[LabelName, LabelValue | Annotated[list[LabelValue], Field(min_length=1)] | None] | None,
        Field(
            min_length=1,
            max_length=50,
            description="Labels: a value, a list of which one must be, or null for any.",
        ),
    ] = None
    context: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=200,
            description="Of the kubeconfig; empty: the present one, or the cluster we run in.",
        ),
    ] = None
    insist: Annotated[
        bool,
        Field(description="Write the size even if an autoscaler or a GitOps tool manages it."),
    ] = False

    @model_validator(mode="after")
    def _is_one_way_of_naming(self) -> Self:
        if (self.name is None) == (self.selector is None):
            raise ValueError("give either 'name' or 'selector'")
        if EVERYWHERE in self.namespaces and len(self.namespaces) > 1:
            raise ValueError("'namespaces' holds '*', which is all of them, and others beside it")
        if EVERYWHERE in self.namespaces and self.name is not None:
            raise ValueError("'name' needs namespaces by name, not '*'; or use a 'selector'")
        return self


AnyWorkload = Annotated[NoWorkload | HttpWorkload | KubernetesWorkload, Field(discriminator="kind")]


def is_the_same_thing(one: AnyWorkload, other: AnyWorkload) -> bool:
    """Whether two are the same thing, however it is brought up.

    Behind HTTP it is what was told to go down, by its URL: everything else may have been a mistake, and
    must be possible to mend while it is down.
    """
    return _identity(one) == _identity(other)


def _identity(workload: AnyWorkload) -> dict[str, Any]:
    if isinstance(workload, HttpWorkload):
        return {"kind": workload.kind, "down": workload.down.url}
    return workload.model_dump(exclude={"insist"})


_adapter: TypeAdapter[NoWorkload | HttpWorkload | KubernetesWorkload] = TypeAdapter(AnyWorkload)


def read_workload(text: str) -> NoWorkload | HttpWorkload | KubernetesWorkload:
    """Read back what a target is made of from its stored JSON.

    Raises InvalidError when it cannot be read: another version may have written it.
    """
    try:
        return _adapter.validate_json(text)
    except ValidationError as error:
        raise InvalidError("workload", f"it cannot be read: {error.errors()[0]['msg']}") from None

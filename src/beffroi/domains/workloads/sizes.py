"""What size a workload is to get, and what must be remembered of it: a pure rule.

Its original size is what it had when it was last up. 0 is a size like others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from beffroi.clients.workloads import Workload, Writer
from beffroi.domains.workloads.rules import Wanted

ORIGINAL = "beffroi.dev/original-replicas"
"""The annotation that holds the original size, for when our database is gone."""

OURS = "beffroi"

SOON = timedelta(minutes=1)
"""Who undoes a write as soon as this does it on purpose, and would again."""

AUTOMATA: Sequence[tuple[str, str | None, str]] = (
    ("kube-controller-manager", "scale", "a HorizontalPodAutoscaler"),
    ("keda", None, "KEDA"),
    ("argocd", None, "Argo CD"),
    ("kustomize-controller", None, "Flux"),
    ("helm-controller", None, "Flux"),
)
"""By how the name of a field's manager begins, and the subresource: who manages sizes by itself."""


@dataclass(frozen=True, slots=True)
class Wish:
    """`replicas`: the size when up; None: the original one. `is_over`: nobody wants anything any more."""

    wanted: Wanted
    replicas: int | None = None
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class Memory:
    """What was last meant (up, down, nothing yet), when it was written, and the original size.

    `rival`: who undid what was meant; as long as the same is meant, it is left to them.
    """

    applied: Wanted | None = None
    original: int | None = None
    written_at: datetime | None = None
    rival: str | None = None


NOTHING = Memory()


@dataclass(frozen=True, slots=True)
class Step:
    """What to do: remember `before`, write `size` (None: write nothing), then remember `after`."""

    before: Memory
    size: int | None
    after: Memory
    trouble: str | None = None


def recalled(memory: Memory | None, workload: Workload) -> Memory:
    """Return what is remembered; when nothing is, what the annotation of one put to sleep tells."""
    if memory is not None:
        return memory
    noted = _number(workload.annotations)
    if noted is not None and workload.size == 0:
        return Memory(Wanted.DOWN, noted)
    return NOTHING


def step(memory: Memory, workload: Workload, wish: Wish) -> Step:
    """Say what is to be done so that the workload is as wished, and no more than that."""
    if wish.wanted is Wanted.DOWN:
        return _down(memory, workload.size)
    if wish.wanted is Wanted.UP or (wish.is_over and memory.applied is Wanted.DOWN):
        return _up(memory, workload.size, wish.replicas)
    return Step(memory, None, memory)


def rival_of(memory: Memory, workload: Workload, chosen: Step, now: datetime) -> str | None:
    """Say who else manages the size that is to be written; None when nobody does."""
    if chosen.size is None:
        return None
    if workload.owner is not None:
        return f"{workload.owner}, which controls it"
    for writer in workload.writers:
        for manager, subresource, name in AUTOMATA:
            if writer.manager.startswith(manager) and subresource in (None, writer.subresource):
                return f"{name} ({writer.manager})"
    is_repair = memory.applied is (Wanted.DOWN if chosen.size == 0 else Wanted.UP)
    if not is_repair:
        return None
    return memory.rival or _undone_by(memory, workload.writers, now)


def _down(memory: Memory, size: int) -> Step:
    if memory.applied is not Wanted.DOWN:
        asleep = Memory(Wanted.DOWN, size)
    elif size > 0 and not memory.original:
        # It was at 0 when it was put to sleep, and somebody has given it a size since.
        asleep = Memory(Wanted.DOWN, size, memory.written_at, memory.rival)
    else:
        asleep = memory
    return Step(asleep, 0 if size > 0 else None, asleep)


def _up(memory: Memory, size: int, replicas: int | None) -> Step:
    if memory.applied is Wanted.DOWN:
        aim = replicas if replicas is not None else memory.original
    else:
        aim = replicas if replicas is not None else size
        if aim == 0 and memory.applied is None:
            unknown = "It has 0 replicas, and nothing tells how many it should have; set `replicas`."
            return Step(memory, None, memory, unknown)
    aim = size if aim is None else aim
    if memory.applied is Wanted.UP and aim == size:
        return Step(memory, None, memory)
    awake = Memory(Wanted.UP, aim, memory.written_at if memory.applied is Wanted.UP else None)
    return Step(memory, None if aim == size else aim, awake)


def _undone_by(memory: Memory, writers: Sequence[Writer], now: datetime) -> str | None:
    """Say who wrote another size within a minute after us."""
    if memory.written_at is None:
        return None
    others = [writer for writer in writers if not writer.manager.startswith(OURS)]
    newest = max(others, key=lambda writer: writer.at or memory.written_at or now, default=None)
    at = newest.at if newest and newest.at else now
    if at - memory.written_at > SOON:
        return None
    return f"{newest.manager if newest else 'somebody'}, within a minute after us"


def _number(annotations: Mapping[str, str]) -> int | None:
    text = annotations.get(ORIGINAL, "")
    return int(text) if text.isdecimal() and len(text) < 10 else None

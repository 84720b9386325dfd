"""What size a workload is to get, and what must be remembered of it: a pure rule.

Its original size is what it had when it was last up. 0 is a size like others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from beffroi.clients.workloads import Resource, Workload, Writer
from beffroi.domains.workloads.rules import Wanted

ORIGINAL = "beffroi.dev/original-replicas"
"""The annotation that holds the original size, for when our database is gone."""

OURS = "beffroi"

SOON = timedelta(minutes=1)
"""Who undoes a write as soon as this does it on purpose, and would again."""

CLOCKS_APART = timedelta(seconds=5)

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
    """What was last meant (up, down, nothing yet), and the size it had by itself when it was last up.

    `size`: what we last wrote, or found as it was to be. `meant`: what we were about to write; empty when
    that is known to have succeeded. `written_at`: when it did. `rival`: who undid what was meant; as long
    as the same is meant, it is left to them.
    """

    applied: Wanted | None = None
    original: int | None = None
    size: int | None = None
    meant: int | None = None
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


def recalled(memory: Memory | None, workload: Workload, wish: Wish) -> Memory:
    """Return what is remembered; when nothing is, what the annotation of one put to sleep tells.

    A note that is left over tells nothing to somebody who wants nothing.
    """
    if memory is not None:
        return memory
    noted = _number(workload.annotations)
    if noted is not None and workload.size == 0 and not wish.is_over:
        return Memory(Wanted.DOWN, noted)
    return NOTHING


def step(memory: Memory, workload: Workload, wish: Wish) -> Step:
    """Say what is to be done so that the workload is as wished, and no more than that."""
    if workload.size == memory.meant:
        # It was written; who wrote it did not live to remember that.
        memory = replace(memory, size=memory.meant)
    if wish.wanted is Wanted.DOWN:
        return _down(memory, workload.size)
    if wish.wanted is Wanted.UP:
        return _up(memory, workload.size, _possible(wish.replicas, workload))
    if wish.is_over and memory.original is not None and _is_ours(memory, workload.size):
        return _up(memory, workload.size, None)
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
    is_meant_already = memory.applied is (Wanted.DOWN if chosen.size == 0 else Wanted.UP)
    if not is_meant_already or workload.size in (memory.size, memory.meant):
        return None
    return memory.rival or _undone_by(memory, workload.writers, now)


def _down(memory: Memory, size: int) -> Step:
    asleep = memory
    if not _sleeps(memory, size):
        asleep = Memory(Wanted.DOWN, _chosen(memory, size), memory.size)
    after = replace(asleep, size=0, meant=None)
    return Step(replace(asleep, meant=0), 0, after) if size > 0 else Step(after, None, after)


def _up(memory: Memory, size: int, replicas: int | None) -> Step:
    original = _original(memory, size)
    aim = original if replicas is None else replicas
    if aim is None:
        unknown = "It has 0 replicas, and nothing tells how many it should have; set `replicas`."
        return Step(memory, None, memory, unknown)
    if memory.applied is Wanted.UP and aim == size and memory.meant is None:
        return Step(memory, None, memory)
    since = memory.written_at if memory.applied is Wanted.UP else None
    awake = Memory(Wanted.UP, original, aim, None, since)
    # It is down by us until that is done.
    meaning = replace(memory, original=original, meant=aim)
    return Step(awake, None, awake) if aim == size else Step(meaning, aim, awake)


def _original(memory: Memory, size: int) -> int | None:
    """Return the size that it has by itself when it is up; None when that is not known."""
    if _sleeps(memory, size):
        return memory.original
    return None if memory.applied is None and size == 0 else _chosen(memory, size)


def _sleeps(memory: Memory, size: int) -> bool:
    """Whether we put it to sleep, and a size that it shows nevertheless is a drift, not a choice.

    One that had no size when it was put to sleep has chosen the one it was given since.
    """
    was_asleep = memory.size == 0 and bool(memory.original)
    return memory.applied is Wanted.DOWN and (size == 0 or was_asleep)


def _chosen(memory: Memory, size: int) -> int:
    """Return the size that somebody chose: what we wrote ourselves is nobody's choice."""
    return memory.original if _is_ours(memory, size) and memory.original is not None else size


def _is_ours(memory: Memory, size: int) -> bool:
    return size in (memory.size, memory.meant) or (memory.applied is Wanted.DOWN and size == 0)


def _possible(replicas: int | None, workload: Workload) -> int | None:
    is_switch = workload.ref.resource is Resource.CRON_JOB
    return 1 if replicas and is_switch else replicas


def _undone_by(memory: Memory, writers: Sequence[Writer], now: datetime) -> str | None:
    """Say who wrote another size within a minute after us."""
    if memory.written_at is None:
        return None
    others = [writer for writer in writers if not writer.manager.startswith(OURS)]
    newest = max(others, key=lambda writer: writer.at or memory.written_at or now, default=None)
    # A cluster tells whole seconds, and by its own clock.
    is_after_us = newest and newest.at and newest.at >= memory.written_at - CLOCKS_APART
    at = newest.at if newest and newest.at and is_after_us else now
    if at - memory.written_at > SOON:
        return None
    return f"{newest.manager if newest else 'somebody'}, within a minute after us"


def _number(annotations: Mapping[str, str]) -> int | None:
    text = annotations.get(ORIGINAL, "")
    return int(text) if text.isdecimal() and len(text) < 10 else None

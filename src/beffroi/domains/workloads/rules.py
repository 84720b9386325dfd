"""What a workload should be at a moment, and why: a pure function of windows and overrides.

Windows are half-open, and several are a union: adjacent ones do not bounce. An override speaks louder than
windows, and of several the one made last. Where nothing says anything, the workload is left alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from beffroi.core.triggers.edges import Edges

MOST_BOUNDARIES = 2_000
"""A look ahead ends after so many edges that change nothing: windows that touch each other for ever."""


class Wanted(StrEnum):
    """`leave`: nobody says anything, or somebody says that it is not to be touched."""

    UP = "up"
    DOWN = "down"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Window:
    """The windows of one schedule that takes part. `replicas`: the size in them; None: the original one."""

    schedule_id: int
    name: str
    edges: Edges
    replicas: int | None = None


@dataclass(frozen=True, slots=True)
class Override:
    """What somebody said by hand, in `[since, until)`; without an end until it is taken back."""

    id: int
    wanted: Wanted
    since: datetime
    until: datetime | None
    author: str
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """One voice at a moment: a window that holds, or an override, with the stretch it speaks for."""

    source: Window | Override
    wanted: Wanted
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`winner`: whose word counts; None when no window holds. `overruled`: who else spoke."""

    wanted: Wanted
    winner: Claim | None
    overruled: Sequence[Claim]


def wanted(moment: datetime, windows: Sequence[Window], overrides: Sequence[Override]) -> Verdict:
    """Say what is wanted at a moment, who says so, and who says otherwise or the same, less loudly."""
    said = sorted(
        _overriding(moment, overrides), key=lambda claim: (claim.since, _id_of(claim)), reverse=True
    )
    held = sorted(_holding(moment, windows), key=lambda claim: claim.until or moment, reverse=True)
    voices = [*said, *held]
    if voices:
        return Verdict(voices[0].wanted, voices[0], voices[1:])
    return Verdict(Wanted.DOWN if windows else Wanted.LEAVE, None, ())


def replicas_at(verdict: Verdict, windows: Sequence[Window]) -> int | None:
    """Return the size that is wanted when it is up: the largest that a window which holds asks for.

    When it is up by hand alone, the largest that any window would ask for; None: the original one.
    """
    voices = [verdict.winner, *verdict.overruled] if verdict.winner else []
    holding = [voice.source for voice in voices if isinstance(voice.source, Window)]
    asked = [window.replicas for window in holding or windows if window.replicas is not None]
    return max(asked, default=None)


def next_change(
    moment: datetime, windows: Sequence[Window], overrides: Sequence[Override]
) -> tuple[datetime, Wanted] | None:
    """Return when something else will be wanted, and what; None when nothing else ever is."""
    present = wanted(moment, windows, overrides).wanted
    for boundary, _ in zip(_boundaries(moment, windows, overrides), range(MOST_BOUNDARIES), strict=False):
        then = wanted(boundary, windows, overrides).wanted
        if then is not present:
            return boundary, then
    return None


def natural_end(said: Wanted, moment: datetime, windows: Sequence[Window]) -> datetime | None:
    """Return until when an override holds that names no end.

    "Up" runs to the end of the window it is in, or of the one that comes next; "down" and "leave alone" stay
    to the next boundary. None when no window lies ahead.
    """
    first = next_change(moment, windows, ())
    if first is None:
        return None
    boundary, then = first
    if said is not Wanted.UP or then is not Wanted.UP:
        return boundary
    after = next_change(boundary, windows, ())
    return after[0] if after else None


def _overriding(moment: datetime, overrides: Sequence[Override]) -> list[Claim]:
    return [
        Claim(each, each.wanted, each.since, each.until)
        for each in overrides
        if each.since <= moment and (each.until is None or moment < each.until)
    ]


def _holding(moment: datetime, windows: Sequence[Window]) -> list[Claim]:
    found = [(each, each.edges.window_at(moment)) for each in windows]
    return [Claim(each, Wanted.UP, *stretch) for each, stretch in found if stretch is not None]


def _boundaries(
    moment: datetime, windows: Sequence[Window], overrides: Sequence[Override]
) -> Iterator[datetime]:
    """Yield the moments after this one at which any voice begins or ends, in order."""
    by_hand = {at for each in overrides for at in (each.since, each.until) if at is not None}
    while True:
        ahead = [at for at in by_hand if at > moment]
        ahead += [at for each in windows if (at := each.edges.next_after(moment)) is not None]
        if not ahead:
            return
        moment = min(ahead)
        yield moment


def _id_of(claim: Claim) -> int:
    return claim.source.id if isinstance(claim.source, Override) else claim.source.schedule_id

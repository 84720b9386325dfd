"""What needs a person besides jobs: every domain says it of its own things, the overview shows it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlmodel import Session


@dataclass(frozen=True, slots=True)
class Concern:
    """One thing that needs a person: what it is called, where it is shown, what is wrong with it."""

    title: str
    path: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Concerns:
    """All of a kind: their number in words, where they are listed, and the first of them."""

    words: str
    path: str
    count: int
    first: Sequence[Concern]


Watcher = Callable[[Session, int], Concerns | None]
"""Says what needs a person, and of at most so many things why; None when nothing does."""

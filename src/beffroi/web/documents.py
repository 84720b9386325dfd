"""Everything that people define, as one document: what it says is made so, and what is can be written back.

Each domain brings its sections. They are made so in the order of the roof, and pruned in the opposite
one, so that nothing is named before it is there, nor gone while it is named.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, create_model
from sqlmodel import Session

from beffroi.core.errors import BeffroiError, InvalidError
from beffroi.web.access import OPERATOR, VIEWER
from beffroi.web.context import Context
from beffroi.web.deps import Ctx, Now, Reading, Writing
from beffroi.web.errors import PROBLEMS

MOST = 10_000
"""Things in a section."""

Deed = Literal["created", "changed", "unchanged", "taken_over"]


@dataclass(frozen=True)
class Pruned:
    """Names of what was deleted, and of what cannot be yet."""

    deleted: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Section:
    """A part of the document. `word`: what one thing in it is called.

    `apply_one` makes one thing so and says what that took; `prune` deletes what came from a document and
    is not among these names; `export` writes back what is. `hold` keeps others from changing such things
    meanwhile.
    """

    name: str
    word: str
    spec: type[BaseModel]
    apply_one: Callable[[Session, Any, Context, datetime], Collection[Deed]]
    prune: Callable[[Session, Collection[str], datetime], Pruned]
    export: Callable[[Session], Sequence[dict[str, Any]]]
    example: dict[str, Any]
    hold: Callable[[Session], object] = lambda _session: None


class ApplyReport(BaseModel):
    """What was done to what, such as `job nightly` or `schedule web by day`.

    `taken_over`: made by somebody else, they belong to a file from now on, and can be pruned. `waiting`:
    targets that are down by us; they come up now, and are deleted by the next document that prunes.
    """

    taken_over: list[str] = []
    created: list[str] = []
    changed: list[str] = []
    unchanged: list[str] = []
    deleted: list[str] = []
    waiting: list[str] = []


class _Document(BaseModel):
    """Everything by name. A section that is not given stays as it is.

    `prune`: what came from a document and is not in its section of this one is deleted.
    """

    model_config = ConfigDict(extra="forbid")

    prune: bool = False
    dry_run: bool = False


def router(sections: Sequence[Section]) -> APIRouter:
    """Return the routes of a document that has these sections."""
    made = APIRouter(tags=["documents"], responses=PROBLEMS, dependencies=[VIEWER])
    document_model = _model(sections)

    @made.post("/apply", dependencies=[OPERATOR])
    def apply_document(
        document: document_model,  # type: ignore[valid-type]
        session: Writing,
        context: Ctx,
        now: Now,
    ) -> ApplyReport:
        """Make what a document says so: create, change, with `prune` remove. All of it, or nothing."""
        report = _apply(session, sections, document, context, now)
        if document.dry_run:  # type: ignore[attr-defined]
            session.rollback()
        return report

    @made.get("/export", dependencies=[OPERATOR])
    def export_document(session: Reading) -> dict[str, list[dict[str, Any]]]:
        """Return everything as a document that `/apply` takes back."""
        return {section.name: list(section.export(session)) for section in sections}

    return made


def _model(sections: Sequence[Section]) -> type[BaseModel]:
    fields: Any = {
        section.name: (Annotated[list[section.spec], Field(max_length=MOST)] | None, None)  # type: ignore[name-defined]
        for section in sections
    }
    example: Any = {section.name: [section.example] for section in sections}
    model = create_model("Document", __base__=_Document, __doc__=_Document.__doc__, **fields)
    model.model_config["json_schema_extra"] = {"examples": [example]}
    model.model_rebuild(force=True)
    return model


def _apply(
    session: Session, sections: Sequence[Section], document: Any, context: Context, now: datetime
) -> ApplyReport:
    """Make the document so, in the session's transaction; a mistake names the thing."""
    report = ApplyReport()
    given = [(section, getattr(document, section.name)) for section in sections]
    for section, specs in given:
        if specs is not None:
            section.hold(session)
    for section, specs in given:
        _refuse_doubles(section, specs or [])
        for spec in specs or []:
            with _about(section, spec.name):
                for deed in section.apply_one(session, spec, context, now):
                    getattr(report, deed).append(f"{section.word} {spec.name}")
    for section, specs in reversed(given) if document.prune else ():
        if specs is not None:
            pruned = section.prune(session, {spec.name for spec in specs}, now)
            report.deleted += [f"{section.word} {name}" for name in pruned.deleted]
            report.waiting += [f"{section.word} {name}" for name in pruned.waiting]
    return report


def _refuse_doubles(section: Section, specs: Sequence[Any]) -> None:
    seen: set[str] = set()
    for spec in specs:
        if spec.name in seen:
            raise InvalidError(section.name, f"two {section.name} are named {spec.name!r}")
        seen.add(spec.name)


@contextmanager
def _about(section: Section, name: str) -> Iterator[None]:
    """Let an error say of which thing of the document it speaks."""
    try:
        yield
    except BeffroiError as error:
        field = f".{error.field}" if isinstance(error, InvalidError) else ""
        raise InvalidError(f"{section.name}[{name}]{field}", error.message) from None

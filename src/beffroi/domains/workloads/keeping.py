"""What is remembered of things, written down if it is still what was read: whoever was quicker has it."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col

from beffroi.domains.workloads.models import WorkloadObject
from beffroi.domains.workloads.orders import Kept
from beffroi.store.bulk import BulkUpdate
from beffroi.store.tables import table_of

_REMEMBERED = ("uid", "original", "size", "meant", "applied", "written_at", "rival", "version")
_objects = table_of(WorkloadObject)
_UPDATE = BulkUpdate(_objects, ["id"], ["id", *_REMEMBERED])


def keep(session: Session, asks: Sequence[tuple[int, Kept]]) -> Sequence[Kept | None]:
    """Write down what is to be remembered of things of targets; return None for what was touched since."""
    versions = _versions(session, [kept.id for _target_id, kept in asks if kept.id is not None])
    rows: list[Sequence[Any]] = []
    kept_now: list[Kept | None] = []
    for target_id, kept in asks:
        if kept.id is None:
            kept_now.append(_begin(session, target_id, kept))
        elif versions.get(kept.id) == kept.version:
            versions[kept.id] = kept.version + 1
            rows.append((kept.id, *_values(kept).values()))
            kept_now.append(replace(kept, version=kept.version + 1))
        else:
            kept_now.append(None)
    _UPDATE.execute(session, rows)
    return kept_now


def forget(session: Session, kept: Iterable[Kept]) -> None:
    """Forget things, unless somebody has touched them since."""
    for each in kept:
        is_it = (col(WorkloadObject.id) == each.id) & (col(WorkloadObject.version) == each.version)
        session.execute(delete(WorkloadObject).where(is_it))


def _versions(session: Session, ids: Sequence[int]) -> dict[int, int]:
    """Return the versions of what is remembered, and hold it until the session ends."""
    query = select(col(WorkloadObject.id), col(WorkloadObject.version)).where(col(WorkloadObject.id).in_(ids))
    found = session.execute(query.order_by(col(WorkloadObject.id)).with_for_update())
    return dict(iter(found))


def _begin(session: Session, target_id: int, kept: Kept) -> Kept | None:
    """Remember a thing for the first time; None when somebody else does already."""
    made = WorkloadObject(target_id=target_id, place=kept.place, **_values(kept))
    try:
        with session.begin_nested():
            session.add(made)
    except IntegrityError:
        return None
    return replace(kept, id=made.id, version=made.version)


def _values(kept: Kept) -> dict[str, Any]:
    memory = kept.memory
    values = (
        kept.uid,
        memory.original,
        memory.size,
        memory.meant,
        memory.applied,
        memory.written_at,
        memory.rival,
        kept.version + 1,
    )
    return dict(zip(_REMEMBERED, values, strict=True))

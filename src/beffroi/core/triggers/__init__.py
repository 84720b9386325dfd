"""When: a trigger is a frozen rule that enumerates the nominal moments of a job."""

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Annotated

from pydantic import Field, TypeAdapter

from beffroi.core.triggers.base import Trigger
from beffroi.core.triggers.boundaries import Boundaries
from beffroi.core.triggers.cron import Cron
from beffroi.core.triggers.edges import Edges
from beffroi.core.triggers.interval import Interval
from beffroi.core.triggers.once import Once

AnyTrigger = Annotated[Once | Interval | Cron | Edges | Boundaries, Field(discriminator="kind")]
"""Every trigger kind. A new kind is a module beside these and a name in this line."""

_adapter: TypeAdapter[Once | Interval | Cron | Edges | Boundaries] = TypeAdapter(AnyTrigger)


@lru_cache(maxsize=50_000)
def read_trigger(text: str) -> Once | Interval | Cron | Edges | Boundaries:
    """Read a trigger back from its stored JSON; the timer asks for the same ones over and over."""
    return _adapter.validate_json(text)


def enumerate_moments(trigger: Trigger, after: datetime, most: int) -> Iterator[datetime]:
    """Yield at most `most` nominal moments after `after`, in order."""
    moment: datetime | None = after
    for _ in range(most):
        moment = trigger.next_after(moment) if moment is not None else None
        if moment is None:
            return
        yield moment

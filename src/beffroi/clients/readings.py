"""Reads that are asked for together are made together: many by name become one list."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from beffroi.clients.workloads import Ref, Resource, Selector, Workload, matches

PAUSE = 0.02
"""Seconds in which asks come together; what is read is never older than the ask."""

LISTED_AT_ONCE = 25
"""One request for one workload costs about as much as this many in a list."""

GUESS = 80
"""Workloads in a namespace that was not listed yet."""

AT_ONCE = 100
"""So many askers go on at a time, so that what else waits in the event loop has its turn."""


class Reader(Protocol):
    async def read(self, ref: Ref) -> Workload | None: ...

    async def list(
        self, resource: Resource, namespace: str, selector: Selector | None = None
    ) -> Sequence[Workload]: ...


class _Ask(NamedTuple):
    name: str | None
    selector: Selector | None
    answer: "asyncio.Future[Sequence[Workload]]"


class Readings:
    """Reads workloads of one cluster."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._asks: dict[tuple[Resource, str], list[_Ask]] = {}
        self._sizes: dict[tuple[Resource, str], int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def find(
        self, resource: Resource, namespace: str, name: str | None, selector: Selector | None
    ) -> Sequence[Workload]:
        """Return the workload of a name, none if it is absent; or those that a selector names."""
        answer: asyncio.Future[Sequence[Workload]] = asyncio.get_running_loop().create_future()
        asks = self._asks.setdefault((resource, namespace), [])
        asks.append(_Ask(name, selector, answer))
        if len(asks) == 1:
            task = asyncio.create_task(self._answer(resource, namespace))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await answer

    async def _answer(self, resource: Resource, namespace: str) -> None:
        await asyncio.sleep(PAUSE)
        asks = self._asks.pop((resource, namespace))
        named = sum(1 for ask in asks if ask.name is not None)
        size = self._sizes.get((resource, namespace), GUESS)
        if named * LISTED_AT_ONCE > size or len(asks) - named > 1:
            await self._by_list(resource, namespace, asks)
        else:
            await asyncio.gather(*(self._one_by_one(resource, namespace, ask) for ask in asks))

    async def _by_list(self, resource: Resource, namespace: str, asks: Sequence[_Ask]) -> None:
        try:
            found = await self._reader.list(resource, namespace)
        except Exception as error:  # noqa: BLE001  whoever asked is told
            _fail(asks, error)
            return
        self._sizes[resource, namespace] = len(found)
        by_name = {each.ref.name: each for each in found}
        for number, ask in enumerate(asks):
            if ask.name is not None:
                _tell(ask, [by_name[ask.name]] if ask.name in by_name else [])
            else:
                _tell(ask, [each for each in found if matches(each.labels, ask.selector or {})])
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)

    async def _one_by_one(self, resource: Resource, namespace: str, ask: _Ask) -> None:
        try:
            if ask.name is not None:
                found = await self._reader.read(Ref(resource, namespace, ask.name))
                _tell(ask, [found] if found else [])
            else:
                _tell(ask, await self._reader.list(resource, namespace, ask.selector))
        except Exception as error:  # noqa: BLE001  whoever asked is told
            _fail([ask], error)


def _tell(ask: _Ask, found: Sequence[Workload]) -> None:
    if not ask.answer.done():  # who asked may have been cancelled
        ask.answer.set_result(found)


def _fail(asks: Sequence[_Ask], error: Exception) -> None:
    for ask in asks:
        if not ask.answer.done():
            ask.answer.set_exception(error)

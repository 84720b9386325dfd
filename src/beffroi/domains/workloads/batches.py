"""Many who want the same kind of thing from the database at once share a session.

An edge that a thousand targets have in common would else be thousands of transactions, one after another.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Ask = TypeVar("Ask")
Result = TypeVar("Result")

MOST = 100
"""Asks in a batch: nobody else writes for as long as one lasts."""


class Batches(Generic[Ask, Result]):
    """Does work in a thread; what is asked for meanwhile is done together next.

    `work` answers asks in their order. When it fails for a batch, each ask is tried by itself.
    """

    def __init__(self, work: Callable[[Sequence[Ask]], Sequence[Result]]) -> None:
        self._work = work
        self._waiting: list[tuple[Ask, asyncio.Future[Result]]] = []
        self._task: asyncio.Task[None] | None = None

    async def do(self, ask: Ask) -> Result:
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((ask, answer))
        if self._task is None:
            self._task = asyncio.create_task(self._work_off())
        return await answer

    async def _work_off(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            if not await self._try(batch):
                for each in batch:
                    await self._try([each])
        self._task = None

    async def _try(self, batch: Sequence[tuple[Ask, "asyncio.Future[Result]"]]) -> bool:
        try:
            results = await asyncio.to_thread(self._work, [ask for ask, _answer in batch])
        except Exception as error:  # noqa: BLE001  whoever asked is told
            if len(batch) > 1:
                return False
            _ask, answer = batch[0]
            if not answer.done():
                answer.set_exception(error)
            return True
        for (_ask, answer), result in zip(batch, results, strict=True):
            if not answer.done():  # who asked may have been cancelled
                answer.set_result(result)
        return True

"""Says that we live, and takes back what the dead held. Nothing slow is done here: silence is death."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from beffroi.engine import nodes
from beffroi.engine.clock import Clock, DatabaseClock
from beffroi.engine.held import HeldRun
from beffroi.store.db import Database

if TYPE_CHECKING:
    from beffroi.engine.shared import SharedQueue

HEARTBEAT = 4.0
SHARED_HEARTBEAT = 2.0
"""Seconds between signs of life: where others take over what a silent node held, more often."""


class Keeper:
    """`poll` answers how long to sleep.

    `on_lost` is told which runs other machines have taken over, `on_drain` whether the node is to drain.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        node_id: str,
        queue: "SharedQueue | None",
    ) -> None:
        self._database = database
        self._clock = clock
        self._node_id = node_id
        self._queue = queue
        self.on_lost: Callable[[Sequence[HeldRun]], None] = lambda lost: None
        self.on_drain: Callable[[bool], None] = lambda is_draining: None

    def poll(self) -> float:
        if isinstance(self._clock, DatabaseClock):
            self._clock.set()
        self._beat()
        return SHARED_HEARTBEAT if self._queue else HEARTBEAT

    def _beat(self) -> None:
        now = self._clock.now()
        lost: Sequence[HeldRun] = ()
        with self._database.write() as session:
            nodes.note_absence(session, now)
            is_draining = nodes.heartbeat(session, self._node_id, now)
            if self._queue is None:
                nodes.rescue(session, self._node_id, now)
            else:
                lost = self._queue.keep_alive(session)
        if lost:
            self.on_lost(lost)
        self.on_drain(is_draining)

"""A house with targets, moved by hand: its clock stands, and nothing fires by itself."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from beffroi.clients.clusters import Clusters
from beffroi.clients.hosts import HostRules
from beffroi.clients.http import HttpClient
from beffroi.core.errors import ActionError
from beffroi.domains.workloads import overrides, service, targets
from beffroi.domains.workloads.models import WorkloadObject, WorkloadTarget
from beffroi.domains.workloads.overrides import Said
from beffroi.domains.workloads.reconcile import Reconciler
from beffroi.domains.workloads.rules import Wanted
from beffroi.domains.workloads.shapes import WorkloadScheduleCreate
from beffroi.domains.workloads.target_shapes import TargetSpec
from beffroi.engine.queue import QUEUE, NoQueue
from beffroi.store.db import Database
from beffroi.store.migrate import migrate
from tests.helpers.clock import VirtualClock
from tests.helpers.cluster import Cluster, cluster
from tests.helpers.postgres import Postgres

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
NINE, SEVENTEEN = MONDAY + timedelta(hours=9), MONDAY + timedelta(hours=17)


class House:
    """Targets and schedules in a database, and a reconciler that is told when to look."""

    def __init__(self, database: Database, clock: VirtualClock) -> None:
        self.database = database
        self.clock = clock

    def target(self, name: str, workload: dict[str, Any], **options: Any) -> int:
        spec = TargetSpec.model_validate({"name": name, "workload": workload, **options})
        with self.database.write() as session:
            made = targets.create(session, spec, timedelta(minutes=5), self.clock.now())
            return made.id or 0

    def remake(self, target_id: int, name: str, workload: dict[str, Any], **options: Any) -> None:
        spec = TargetSpec.model_validate({"name": name, "workload": workload, **options})
        with self.database.write() as session:
            targets.replace(session, targets.lock(session, target_id), spec, self.clock.now())

    def schedule(self, target: str, *, start: datetime = NINE, end: datetime = SEVENTEEN, **more: Any) -> int:
        """Want a target up from nine to five, unless told otherwise."""
        body = WorkloadScheduleCreate(
            name=f"{target} by day", start_time=start, end_time=end, target=target, **more
        )
        with self.database.write() as session:
            return service.create(session, body, "UTC", self.clock.now()).id or 0

    def drop_schedule(self, schedule_id: int) -> None:
        with self.database.write() as session:
            service.delete(session, service.lock(session, schedule_id), self.clock.now())

    def say(self, schedule_id: int, wanted: Wanted, until: datetime | None = None) -> None:
        with self.database.write() as session:
            schedule = service.lock(session, schedule_id)
            overrides.override(session, schedule, Said(wanted, until), "ada", self.clock.now())

    def at(self, moment: datetime) -> "House":
        self.clock.advance(moment - self.clock.now())
        return self

    def bring(self, target_id: int) -> str:
        """Do what the target's job does; return its line, or the sentence of its failure."""
        return self._do(lambda reconciler: reconciler.bring(target_id, "run", self.clock.now()))

    def bring_twice(self, target_id: int) -> str:
        """Do it on two nodes at the same time; return the lines of both."""

        async def both(reconciler: Reconciler) -> str:
            now, http, clusters = self.clock.now(), HttpClient(HostRules(), 10), Clusters()
            other = Reconciler(self.database, self.clock, http, clusters)
            try:
                told = await asyncio.gather(
                    reconciler.bring(target_id, "one", now), other.bring(target_id, "two", now)
                )
            finally:
                await http.close()
                await clusters.close()
            return "\n".join(told)

        return self._do(both)

    def resync(self) -> str:
        return self._do(lambda reconciler: reconciler.resync("run", self.clock.now()))

    def _do(self, ask: Any) -> str:
        async def once() -> str:
            http, clusters = HttpClient(HostRules(), 10), Clusters()
            try:
                return str(await ask(Reconciler(self.database, self.clock, http, clusters)))
            except ActionError as error:
                return f"{type(error).__name__}: {error.message}"
            finally:
                await http.close()
                await clusters.close()

        return asyncio.run(once())

    def row(self, target_id: int) -> WorkloadTarget:
        with self.database.read() as session:
            return targets.get(session, target_id)

    def remembered(self) -> list[WorkloadObject]:
        with self.database.read() as session:
            return list(session.exec(select(WorkloadObject)).all())


@pytest.fixture(params=["sqlite", "postgresql"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """On both databases: locks and what two nodes see of each other differ most between them."""
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path}/scheduler.db", {QUEUE: NoQueue()})
        migrate(database)
        yield House(database, VirtualClock(MONDAY))
        database.close()
        return
    server: Postgres = request.getfixturevalue("postgres")
    with server.database() as url:
        database = Database(url, {QUEUE: NoQueue()})
        yield House(database, VirtualClock(MONDAY))
        database.close()


@pytest.fixture
def kube(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    with cluster(tmp_path) as made:
        monkeypatch.setenv("KUBECONFIG", str(made.kubeconfig))
        yield made

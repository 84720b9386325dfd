"""Windows that are written at the workloads themselves."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from beffroi.clients.clusters import Clusters
from beffroi.core.errors import ConflictError, TemporaryError
from beffroi.domains.workloads import service, targets
from beffroi.domains.workloads.action import DiscoverAction
from beffroi.domains.workloads.models import Origin, Status, WorkloadSchedule, WorkloadTarget
from beffroi.domains.workloads.params import DiscoverParams
from beffroi.domains.workloads.rules import Wanted
from beffroi.domains.workloads.service import ScheduleFilter
from beffroi.domains.workloads.targets import TargetFilter
from beffroi.engine.calls import Call
from tests.domains.conftest import MONDAY, House
from tests.helpers.cluster import Cluster, Fault

UPTIME = "beffroi.dev/uptime"
WORKDAYS = "Mon-Fri 07:30-20:30 Europe/Paris"
RBAC = Path(__file__).parent.parent.parent / "deploy" / "kubernetes-rbac.yaml"


class Discoverer:
    """Looks at the cluster when it is told to."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.clusters = Clusters()
        self.action = DiscoverAction(house.database, house.clock, self.clusters, "UTC", timedelta(minutes=5))

    def look(self) -> str:
        async def once() -> str:
            call = Call("run", 1, "discover", self.house.clock.now(), 1)
            try:
                return (await self.action.discover(DiscoverParams(), call)).output or ""
            finally:
                await self.clusters.close()

        self.house.clock.advance(timedelta(seconds=1))
        return asyncio.run(once())

    def targets(self) -> dict[str, WorkloadTarget]:
        with self.house.database.read() as session:
            return {each.name: each for each in targets.list_targets(session, TargetFilter(), None, 100)}

    def schedules(self) -> dict[str, WorkloadSchedule]:
        with self.house.database.read() as session:
            return {
                each.name.split(": ")[1]: each
                for each in service.list_schedules(session, ScheduleFilter(), None, 100)
            }


def test_an_annotated_workload_follows_its_annotation(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3, annotations={UPTIME: WORKDAYS})
    kube.api.add("deployment", "shop", "other", 3)
    discoverer = Discoverer(house)
    assert discoverer.look() == "1 annotated; made: shop/deployment/web"
    (target,) = discoverer.targets().values()
    assert (target.name, target.origin) == ("shop/deployment/web", Origin.CLUSTER)
    assert discoverer.look() == "1 annotated", "nothing new"
    house.resync()
    assert kube.api.size("deployment", "shop", "web") == 0
    house.at(MONDAY + timedelta(hours=6, minutes=30)).resync()
    assert kube.api.size("deployment", "shop", "web") == 3
    assert kube.api.size("deployment", "shop", "other") == 3


def test_another_annotation_is_another_schedule_and_none_gives_back(house: House, kube: Cluster) -> None:
    kube.api.add("cronjob", "shop", "report", 1, annotations={UPTIME: WORKDAYS})
    discoverer = Discoverer(house)
    discoverer.look()
    house.resync()
    assert kube.api.size("cronjob", "shop", "report") == 0
    raw = kube.api.look("cronjob", "shop", "report")
    raw["metadata"]["annotations"][UPTIME] = "Sat 08:00-09:00, 22:00-06:00"
    assert discoverer.look() == "1 annotated; changed: shop/cronjob/report"
    assert set(discoverer.schedules()) == {"Sat 08:00-09:00", "22:00-06:00"}
    raw = kube.api.look("cronjob", "shop", "report")
    del raw["metadata"]["annotations"][UPTIME]
    assert discoverer.look() == "0 annotated"
    assert list(discoverer.targets()) == ["shop/cronjob/report"], "not before it is up again"
    house.resync()
    assert kube.api.size("cronjob", "shop", "report") == 1
    assert discoverer.look() == "0 annotated; gone: shop/cronjob/report"
    assert discoverer.targets() == {}
    assert discoverer.schedules() == {}


def test_what_cannot_be_read_is_told_once_and_the_rest_goes_on(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3, annotations={UPTIME: WORKDAYS})
    discoverer = Discoverer(house)
    discoverer.look()
    raw = kube.api.look("deployment", "shop", "web")
    raw["metadata"]["annotations"][UPTIME] = "Mon-Fry 07:30-20:30"
    told = discoverer.look()
    assert "'Fry' is not a day" in told
    discoverer.look()
    assert kube.api.calls("POST") == ["/api/v1/namespaces/shop/events"]
    (event,) = [request.data for request in kube.requests() if "events" in request.url.path]
    assert (event["involvedObject"]["name"], event["type"]) == ("web", "Warning")
    assert "'Fry' is not a day" in event["message"]
    shown = discoverer.schedules()
    assert shown[WORKDAYS].active, "what was read before goes on"
    broken = shown["Mon-Fry 07:30-20:30"]
    assert (broken.status, broken.active) == (Status.FAILED, False)
    assert "'Fry' is not a day" in (broken.reason or "")
    raw["metadata"]["annotations"][UPTIME] = WORKDAYS
    kube.api.look("deployment", "shop", "web")["metadata"]["annotations"][UPTIME] = WORKDAYS
    discoverer.look()
    assert set(discoverer.schedules()) == {WORKDAYS}


def test_what_was_said_by_hand_outlives_another_annotation(house: House, kube: Cluster) -> None:
    text = "Mon-Fri 07:30-12:00, Mon-Fri 13:00-20:30"
    kube.api.add("deployment", "shop", "web", 3, annotations={UPTIME: text})
    discoverer = Discoverer(house)
    discoverer.look()
    last = discoverer.schedules()["Mon-Fri 13:00-20:30"]
    house.say(last.id or 0, Wanted.UP)
    house.resync()
    kube.api.look("deployment", "shop", "web")["metadata"]["annotations"][UPTIME] = "Mon-Fri 08:00-20:00"
    assert discoverer.look() == "1 annotated; changed: shop/deployment/web"
    (kept,) = discoverer.schedules().values()
    assert kept.recurrence == "0 8 * * MON,TUE,WED,THU,FRI"
    house.resync()
    assert kube.api.size("deployment", "shop", "web") == 3, "up, as was said"


def test_one_that_cannot_be_followed_does_not_stop_the_others(house: House, kube: Cluster) -> None:
    house.target("shop/deployment/api", {"kind": "none"})
    for name in ("api", "web"):
        kube.api.add("deployment", "shop", name, 3, annotations={UPTIME: WORKDAYS})
    told = Discoverer(house).look()
    assert "made: shop/deployment/web" in told
    assert "There is already a target named 'shop/deployment/api'" in told


def test_what_is_not_read_any_more_may_be_changed_here(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3, annotations={UPTIME: WORKDAYS})
    with house.database.write() as session:
        targets.see_to_discovery(session, ["default"], timedelta(minutes=5), house.clock.now())
    discoverer = Discoverer(house)
    discoverer.look()
    (target,), (schedule,) = discoverer.targets().values(), discoverer.schedules().values()
    with house.database.read() as session, pytest.raises(ConflictError, match="change it there"):
        service.refuse_foreign(session, schedule)
    with house.database.write() as session:
        targets.see_to_discovery(session, [], timedelta(minutes=5), house.clock.now())
    with house.database.write() as session:
        service.refuse_foreign(session, schedule)
        service.refuse_foreign(session, target)
        service.lock(session, schedule.id or 0).recurrence = "0 9 * * *"
        targets.lock(session, target.id or 0).params = '{"kind": "none"}'
    assert discoverer.look() == "1 annotated; changed: shop/deployment/web"
    assert discoverer.schedules()[WORKDAYS].recurrence == schedule.recurrence
    assert discoverer.targets()[target.name].params == target.params


def test_schedules_that_people_made_outlive_the_annotation(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3, annotations={UPTIME: WORKDAYS})
    discoverer = Discoverer(house)
    discoverer.look()
    ours = house.schedule("shop/deployment/web")
    raw = kube.api.look("deployment", "shop", "web")
    del raw["metadata"]["annotations"][UPTIME]
    discoverer.look()
    discoverer.look()
    assert list(discoverer.targets()) == ["shop/deployment/web"]
    with house.database.read() as session:
        assert service.get(session, ours).active
    house.drop_schedule(ours)
    assert "gone: shop/deployment/web" in discoverer.look()


def test_one_made_dry_while_it_was_down_comes_up_when_it_is_let_go(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3, annotations={UPTIME: WORKDAYS})
    discoverer = Discoverer(house)
    discoverer.look()
    house.resync()
    noted = kube.api.look("deployment", "shop", "web")["metadata"]["annotations"]
    noted["beffroi.dev/dry-run"] = "true"
    discoverer.look()
    noted = kube.api.look("deployment", "shop", "web")["metadata"]["annotations"]
    del noted[UPTIME], noted["beffroi.dev/dry-run"]
    discoverer.look()
    house.resync()
    assert kube.api.size("deployment", "shop", "web") == 3
    assert "gone: shop/deployment/web" in discoverer.look()


def test_a_cluster_that_forgot_us_is_connected_to_anew(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3, annotations={UPTIME: WORKDAYS})
    discoverer = Discoverer(house)
    kube.api.faults.append(Fault(401))

    async def twice() -> str:
        params, call = DiscoverParams(), Call("run", 1, "discover", house.clock.now(), 1)
        try:
            with pytest.raises(TemporaryError, match="does not know us"):
                await discoverer.action.discover(params, call)
            before = discoverer.clusters.of(None)
            found = (await discoverer.action.discover(params, call)).output or ""
            assert before is discoverer.clusters.of(None)
            return found
        finally:
            await discoverer.clusters.close()

    assert "made: shop/deployment/web" in asyncio.run(twice())


def test_one_that_is_gone_with_its_annotation_is_forgotten(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3, annotations={UPTIME: WORKDAYS})
    discoverer = Discoverer(house)
    discoverer.look()
    house.resync()
    kube.api.remove("deployment", "shop", "web")
    discoverer.look()
    house.resync()
    assert "gone: shop/deployment/web" in discoverer.look()


def test_the_least_rights_are_enough_and_no_more_than_needed(house: House, kube: Cluster) -> None:
    for kind in ("deployment", "statefulset", "cronjob"):
        kube.api.add(kind, "shop", "web", 1, annotations={UPTIME: WORKDAYS})
    kube.api.add("deployment", "shop", "bad", 1, annotations={UPTIME: "?"})
    discoverer = Discoverer(house)
    discoverer.look()
    house.resync()
    house.at(MONDAY + timedelta(hours=8)).resync()
    used = set()
    for request in kube.requests():
        assert request.resource is not None
        verb = {"GET": "get" if request.name else "list", "PATCH": "patch", "POST": "create"}
        name = f"{request.resource.plural}/{request.subresource or ''}".rstrip("/")
        used.add((request.resource.group, name, verb[str(request.method.value)]))
    (role,) = [each for each in yaml.safe_load_all(RBAC.read_text()) if each["kind"] == "ClusterRole"]
    allowed = {
        (group, name, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for name in rule["resources"]
        for verb in rule["verbs"]
    }
    assert used == allowed

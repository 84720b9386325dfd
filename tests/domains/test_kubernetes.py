"""Workloads in a cluster, over real HTTP: brought up and down, and everything that can go wrong."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from beffroi.core.errors import ConflictError
from beffroi.domains.workloads import service, targets
from beffroi.domains.workloads.models import Observed, Status
from beffroi.domains.workloads.rules import Wanted
from beffroi.domains.workloads.sizes import ORIGINAL
from beffroi.domains.workloads.targets_pages import watch
from beffroi.domains.workloads.visit import Visit
from beffroi.web.viewer import Viewer, made_for
from tests.domains.conftest import MONDAY, NINE, SEVENTEEN, House
from tests.helpers.cluster import Cluster, Fault

HOUR = timedelta(hours=1)
WEB = {"kind": "kubernetes", "resource": "deployment", "namespaces": ["shop"], "name": "web"}


def of_kind(resource: str, **more: Any) -> dict[str, Any]:
    return {**WEB, "resource": resource, **more}


@pytest.mark.parametrize("kind", ["deployment", "statefulset", "cronjob"])
def test_it_is_up_in_its_window_and_down_outside(house: House, kube: Cluster, kind: str) -> None:
    kube.api.add(kind, "shop", "web", 1 if kind == "cronjob" else 3)
    target = house.target("web", of_kind(kind))
    house.schedule("web")
    assert "to 0" in house.bring(target)
    assert kube.api.size(kind, "shop", "web") == 0
    house.at(NINE).bring(target)
    assert kube.api.size(kind, "shop", "web") == (1 if kind == "cronjob" else 3)
    house.at(SEVENTEEN).bring(target)
    assert kube.api.size(kind, "shop", "web") == 0
    row = house.row(target)
    assert (row.wanted, row.observed, row.why) == (Wanted.DOWN, Observed.DOWN, "No window holds.")


def test_nothing_is_written_when_nothing_differs(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web")
    target = house.target("web", WEB)
    house.schedule("web")
    house.bring(target)
    writes = len(kube.api.calls("PATCH"))
    remembered = house.remembered()[0].version
    assert house.bring(target) == "wanted down, found down: nothing to do"
    house.resync()
    assert len(kube.api.calls("PATCH")) == writes
    assert house.remembered()[0].version == remembered


def test_a_manual_change_while_up_is_the_new_original(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3)
    target = house.target("web", WEB)
    house.schedule("web")
    house.at(NINE).bring(target)
    kube.api.scale("deployment", "shop", "web", 7)
    assert "nothing" in house.at(NINE + HOUR).bring(target), "a number chosen by hand is not fought"
    house.at(SEVENTEEN).bring(target)
    assert kube.api.look("deployment", "shop", "web")["metadata"]["annotations"][ORIGINAL] == "7"
    house.at(NINE + timedelta(days=1))
    house.schedule("web", start=NINE + timedelta(days=1), end=SEVENTEEN + timedelta(days=1))
    house.bring(target)
    assert kube.api.size("deployment", "shop", "web") == 7


def test_zero_is_a_size_like_others(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3)
    target = house.target("web", WEB)
    house.schedule("web")
    house.at(NINE).bring(target)
    kube.api.scale("deployment", "shop", "web", 0)
    house.at(SEVENTEEN).bring(target)
    assert house.remembered()[0].original == 0
    house.schedule("web", start=SEVENTEEN + HOUR, end=SEVENTEEN + 2 * HOUR)
    house.at(SEVENTEEN + HOUR).bring(target)
    assert kube.api.size("deployment", "shop", "web") == 0, "as it was, exactly"


def test_what_drifts_while_down_is_set_right_and_the_original_kept(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3)
    target = house.target("web", WEB)
    house.schedule("web")
    house.bring(target)
    kube.api.scale("deployment", "shop", "web", 5)
    house.at(MONDAY + HOUR).resync()
    assert kube.api.size("deployment", "shop", "web") == 0
    house.at(NINE).bring(target)
    assert kube.api.size("deployment", "shop", "web") == 3


def test_the_annotation_is_enough_when_our_memory_is_gone(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 0, annotations={ORIGINAL: "4"})
    target = house.target("web", WEB)
    house.schedule("web")
    house.at(NINE).bring(target)
    assert kube.api.size("deployment", "shop", "web") == 4


def test_one_made_anew_is_not_taken_for_the_one_before(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3)
    target = house.target("web", WEB)
    house.schedule("web")
    house.bring(target)
    kube.api.add("deployment", "shop", "web", 9)
    house.bring(target)
    house.at(NINE).bring(target)
    assert kube.api.size("deployment", "shop", "web") == 9


def test_a_schedule_may_say_how_many(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3)
    target = house.target("web", WEB)
    house.schedule("web", replicas=5)
    house.schedule("web", start=NINE + HOUR, end=NINE + 2 * HOUR, replicas=8)
    house.at(NINE).bring(target)
    assert kube.api.size("deployment", "shop", "web") == 5
    house.at(NINE + HOUR).bring(target)
    assert kube.api.size("deployment", "shop", "web") == 8, "of several the largest"
    house.at(NINE + 2 * HOUR).bring(target)
    assert kube.api.size("deployment", "shop", "web") == 5


def test_zero_without_a_number_to_go_to_is_told(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 0)
    target = house.target("web", WEB)
    house.schedule("web")
    told = house.at(NINE).bring(target)
    assert told.startswith("PermanentError: shop/deployment/web: It has 0 replicas")
    assert house.row(target).trouble is not None


def test_the_last_schedule_gone_it_comes_up_and_is_forgotten(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3)
    target = house.target("web", WEB)
    schedule = house.schedule("web")
    house.bring(target)
    house.drop_schedule(schedule)
    house.bring(target)
    assert kube.api.size("deployment", "shop", "web") == 3
    assert ORIGINAL not in kube.api.look("deployment", "shop", "web")["metadata"]["annotations"]
    assert house.remembered() == []


def test_left_alone_means_untouched(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3)
    target = house.target("web", WEB)
    schedule = house.schedule("web")
    house.say(schedule, Wanted.LEAVE)
    house.at(MONDAY + HOUR).bring(target)
    assert kube.api.calls("PATCH") == []
    house.say(schedule, Wanted.UP, MONDAY + 3 * HOUR)
    house.bring(target)
    house.at(MONDAY + 3 * HOUR).bring(target)
    assert kube.api.size("deployment", "shop", "web") == 3, "the older override holds to the boundary"
    house.at(NINE).bring(target)
    house.at(SEVENTEEN).bring(target)
    assert kube.api.size("deployment", "shop", "web") == 0


def test_a_dry_run_says_what_it_would_do(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3)
    target = house.target("web", WEB, dry_run=True)
    house.schedule("web")
    assert "would set shop/deployment/web from 3 to 0" in house.bring(target)
    first = house.row(target).done_at
    house.at(MONDAY + HOUR).bring(target)
    assert kube.api.calls("PATCH") == []
    assert house.row(target).done_at == first, "the same again is not news"


def test_five_hundred_by_label_in_pages(house: House, kube: Cluster) -> None:
    for number in range(600):
        kube.api.add("deployment", "shop", f"w{number:03}", 2, labels={"tier": "a" if number < 510 else "b"})
    selector = {"tier": ["a", "c"]}
    target = house.target("all", of_kind("deployment", name=None, selector=selector))
    house.schedule("all")
    house.bring(target)
    sizes = [kube.api.size("deployment", "shop", f"w{number:03}") for number in range(600)]
    assert sizes == [0] * 510 + [2] * 90
    assert len(kube.api.calls("GET")) == 2, "two pages"
    assert house.row(target).observed is Observed.DOWN


def test_every_namespace_by_a_star(house: House, kube: Cluster) -> None:
    for namespace in ("a", "b"):
        kube.api.add("deployment", namespace, "web", 2, labels={"app": "web"})
    workload = of_kind("deployment", name=None, namespaces=["*"], selector={"app": None})
    target = house.target("all", workload)
    house.schedule("all")
    house.bring(target)
    assert [kube.api.size("deployment", namespace, "web") for namespace in ("a", "b")] == [0, 0]


def test_two_targets_do_not_share_a_workload(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3, labels={"app": "web"})
    first = house.target("first", WEB)
    second = house.target("second", of_kind("deployment", name=None, selector={"app": "web"}))
    house.schedule("first")
    house.schedule("second")
    house.bring(first)
    kube.api.scale("deployment", "shop", "web", 3)
    assert "belongs to another target" in house.bring(second)


def test_two_targets_of_one_workload_are_told_before_they_disagree(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3, labels={"app": "web"})
    first = house.target("first", WEB)
    second = house.target("second", of_kind("deployment", name=None, selector={"app": "web"}))
    house.schedule("first")
    house.schedule("second")
    house.bring(first)
    assert "belongs to another target" in house.bring(second)


def test_a_change_by_others_in_between_is_not_lost(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3)
    target = house.target("web", WEB)
    house.schedule("web")
    kube.api.faults.append(Fault(409, "PATCH", times=2))
    assert "to 0" in house.bring(target)
    kube.api.faults.append(Fault(409, "PATCH", times=50))
    house.at(NINE)
    assert "over and over" in house.bring(target)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault(401), "TemporaryError: The cluster does not know us (401): as the test wanted it"),
        (Fault(403), "PermanentError: The cluster does not allow it (403): as the test wanted it"),
        (Fault(429, headers={"Retry-After": "7"}), "TemporaryError: The cluster answered 429"),
        (Fault(500), "TemporaryError: The cluster answered 500"),
        (Fault(503), "TemporaryError: The cluster answered 503"),
        (Fault(-1), "TemporaryError: The cluster cannot be reached"),
    ],
)
def test_what_the_cluster_refuses_is_told_and_tried_again(
    house: House, kube: Cluster, fault: Fault, told: str
) -> None:
    kube.api.add("deployment", "shop", "web", 3)
    target = house.target("web", WEB)
    house.schedule("web")
    kube.api.faults.append(replace(fault))
    assert house.bring(target).startswith(told)
    row = house.row(target)
    assert row.trouble is not None
    assert told.split(": ", 1)[1] in row.trouble
    assert "to 0" in house.bring(target), "the next pass is right"
    assert house.row(target).trouble is None


def test_a_server_that_hangs_is_given_up(
    house: House, kube: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beffroi.clients.kubernetes.STEP_SECONDS", 0.3)
    kube.api.add("deployment", "shop", "web", 3)
    target = house.target("web", WEB)
    house.schedule("web")
    kube.api.faults.append(Fault(0))
    assert house.bring(target).startswith("TemporaryError: The cluster did not answer within")


def test_a_list_that_ends_early_is_no_list(house: House, kube: Cluster) -> None:
    for number in range(600):
        kube.api.add("deployment", "shop", f"w{number}", 2, labels={"app": "x"})
    target = house.target("all", of_kind("deployment", name=None, selector={"app": "x"}))
    house.schedule("all")
    house.bring(target)
    house.at(NINE)
    kube.api.faults.append(Fault(-1, "GET"))
    assert house.bring(target).startswith("TemporaryError")
    assert len(house.remembered()) == 600, "who is not in half a list is not gone"


def test_one_deleted_in_between_is_passed_over(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3, labels={"app": "x"})
    kube.api.add("deployment", "shop", "api", 3, labels={"app": "x"})
    target = house.target("all", of_kind("deployment", name=None, selector={"app": "x"}))
    house.schedule("all")
    kube.api.faults.append(Fault(404, "PATCH", path="deployments/api"))
    assert "set shop/deployment/web from 3 to 0" in house.bring(target)


def test_one_that_is_not_there_is_told_once(house: House, kube: Cluster) -> None:
    target = house.target("web", WEB)
    house.schedule("web")
    assert house.bring(target) == "PermanentError: There is no deployment shop/web."
    assert house.bring(target).startswith("wanted down, found absent: nothing to do")
    kube.api.add("deployment", "shop", "web", 3)
    assert "to 0" in house.bring(target)


@pytest.mark.parametrize(
    ("metadata", "rival"),
    [
        (
            {
                "ownerReferences": [
                    {"apiVersion": "a/v1", "kind": "Rollout", "name": "r", "uid": "u", "controller": True}
                ]
            },
            "Rollout r",
        ),
        (
            {"managedFields": [{"manager": "kube-controller-manager", "subresource": "scale"}]},
            "HorizontalPodAutoscaler",
        ),
        ({"managedFields": [{"manager": "keda-operator"}]}, "KEDA"),
        ({"managedFields": [{"manager": "argocd-controller"}]}, "Argo CD"),
    ],
)
def test_another_that_manages_the_size_is_told_once_and_not_fought(
    house: House, kube: Cluster, metadata: dict[str, Any], rival: str
) -> None:
    for entry in metadata.get("managedFields", []):
        entry |= {"operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    kube.api.add("deployment", "shop", "web", 3, **metadata)
    target = house.target("web", WEB)
    house.schedule("web")
    told = house.bring(target)
    assert told.startswith("PermanentError")
    assert rival in told
    assert house.bring(target).startswith("wanted down, found up: nothing to do"), "not a second time"
    assert kube.api.calls("PATCH") == []


def test_one_who_undoes_it_within_a_minute_is_left_to_it(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3)
    target = house.target("web", WEB)
    house.schedule("web")
    house.bring(target)
    house.clock.advance(timedelta(seconds=20))
    raw = kube.api.look("deployment", "shop", "web")
    kube.api.scale("deployment", "shop", "web", 3, manager="some-operator")
    raw = kube.api.look("deployment", "shop", "web")
    raw["metadata"]["managedFields"][0]["time"] = house.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    told = house.bring(target)
    assert "some-operator, within a minute after us" in told
    house.at(MONDAY + 5 * HOUR).resync()
    assert kube.api.size("deployment", "shop", "web") == 3
    house.at(NINE).bring(target)
    assert house.row(target).trouble is None
    house.at(SEVENTEEN).bring(target)
    assert kube.api.size("deployment", "shop", "web") == 0, "the next edge is tried again"


def test_who_insists_writes(house: House, kube: Cluster) -> None:
    entry = {"manager": "keda-operator", "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    kube.api.add("deployment", "shop", "web", 3, managedFields=[entry])
    target = house.target("web", {**WEB, "insist": True})
    house.schedule("web")
    assert "to 0" in house.bring(target)


def test_an_unusable_configuration_is_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere/at/all")
    target = house.target("web", WEB)
    house.schedule("web")
    assert "configuration of Kubernetes cannot be used" in house.bring(target)
    elsewhere = house.target("other", {**WEB, "context": "moon"})
    house.schedule("other")
    assert "context moon" in house.bring(elsewhere)


def test_a_resync_of_many_lists_once_a_namespace(house: House, kube: Cluster) -> None:
    for number in range(60):
        kube.api.add("deployment", f"n{number % 2}", f"w{number}", 2)
        workload = of_kind("deployment", name=f"w{number}", namespaces=[f"n{number % 2}"])
        house.target(f"t{number}", workload)
        house.schedule(f"t{number}")
    house.resync()
    assert sum(kube.api.size("deployment", f"n{n % 2}", f"w{n}") for n in range(60)) == 0
    reads, writes = len(kube.api.calls("GET")), len(kube.api.calls("PATCH"))
    assert reads == 2
    assert house.resync() == "60 wanted down, found down: nothing to do"
    assert len(kube.api.calls("GET")) - reads == 2
    assert len(kube.api.calls("PATCH")) == writes


def test_what_is_said_while_a_cluster_is_slow_counts(house: House, kube: Cluster) -> None:
    """Read at eight: down. While the answer is awaited somebody says up: it must not even flicker."""
    kube.api.add("deployment", "shop", "web", 3)
    target = house.target("web", WEB)
    schedule = house.schedule("web")
    kube.api.meanwhile.append(("GET", lambda: house.say(schedule, Wanted.UP)))
    assert house.bring(target) == "wanted up, found up: nothing to do"
    assert kube.api.calls("PATCH") == []


def test_what_is_said_while_it_is_written_is_done_next(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3)
    target = house.target("web", WEB)
    schedule = house.schedule("web")
    kube.api.meanwhile.append(("PATCH", lambda: house.say(schedule, Wanted.UP)))
    told = house.bring(target)
    assert told.endswith("set shop/deployment/web from 3 to 0; set shop/deployment/web from 0 to 3")
    assert house.row(target).observed is Observed.UP


def test_an_edge_that_comes_while_a_cluster_is_slow_counts(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3)
    target = house.target("web", WEB)
    house.schedule("web")
    kube.api.meanwhile.append(("GET", lambda: house.at(NINE)))
    assert house.resync() == "1 wanted up, found up: nothing to do"
    assert house.row(target).why is not None
    assert kube.api.calls("PATCH") == []


def test_a_target_made_into_another_meanwhile_is_not_touched(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3)
    kube.api.add("deployment", "shop", "api", 2)
    target = house.target("web", WEB)
    house.schedule("web")
    kube.api.meanwhile.append(("GET", lambda: house.remake(target, "web", {**WEB, "name": "api"})))
    assert house.bring(target).endswith("set shop/deployment/api from 2 to 0")
    assert kube.api.size("deployment", "shop", "web") == 3


def test_a_target_made_dry_meanwhile_is_not_touched(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3)
    target = house.target("web", WEB)
    house.schedule("web")
    kube.api.meanwhile.append(("GET", lambda: house.remake(target, "web", WEB, dry_run=True)))
    assert "would set" in house.bring(target)
    assert kube.api.size("deployment", "shop", "web") == 3


def test_one_that_lost_its_labels_is_let_go(house: House, kube: Cluster) -> None:
    for name in ("web", "api"):
        kube.api.add("deployment", "shop", name, 3, labels={"tier": "a"})
    target = house.target("all", of_kind("deployment", name=None, selector={"tier": "a"}))
    house.schedule("all")
    house.bring(target)
    kube.api.look("deployment", "shop", "web")["metadata"]["labels"] = {"tier": "b"}
    kube.api.remove("deployment", "shop", "api")
    assert "set shop/deployment/web from 0 to 3" in house.bring(target)
    assert house.remembered() == []
    assert house.row(target).observed is Observed.ABSENT


def test_what_is_up_when_the_last_schedule_goes_is_forgotten(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3)
    target = house.target("web", WEB)
    schedule = house.schedule("web")
    house.bring(target)
    house.at(NINE).bring(target)
    house.drop_schedule(schedule)
    house.bring(target)
    assert house.remembered() == []
    assert ORIGINAL not in kube.api.look("deployment", "shop", "web")["metadata"]["annotations"]
    kube.api.scale("deployment", "shop", "web", 0)
    house.schedule("web", start=SEVENTEEN, end=SEVENTEEN + HOUR)
    house.bring(target)
    assert house.remembered()[0].original == 0, "the zero is new, and somebody's choice"


def test_gone_in_one_namespace_is_not_gone_in_another(house: House, kube: Cluster) -> None:
    for namespace in ("a", "b"):
        kube.api.add("deployment", namespace, "web", 3)
    target = house.target("web", {**WEB, "namespaces": ["a", "b"]})
    schedule = house.schedule("web")
    house.bring(target)
    kube.api.remove("deployment", "a", "web")
    house.drop_schedule(schedule)
    kube.api.faults.append(Fault(500, "PATCH", path="scale"))
    assert house.bring(target).startswith("TemporaryError")
    assert [each.place for each in house.remembered()] == ["|b/deployment/web"]
    noted = kube.api.look("deployment", "b", "web")["metadata"]["annotations"]
    assert noted[ORIGINAL] == "3", "as long as it is down, the note says what it was"
    house.bring(target)
    assert kube.api.size("deployment", "b", "web") == 3
    assert house.remembered() == []


def test_one_that_cannot_be_written_keeps_no_other_namespace_waiting(house: House, kube: Cluster) -> None:
    for namespace in ("a", "b"):
        kube.api.add("deployment", namespace, "web", 3)
    target = house.target("web", {**WEB, "namespaces": ["a", "b"]})
    house.schedule("web")
    kube.api.faults.append(Fault(403, "PATCH", path="/a/deployments/web/scale"))
    assert house.bring(target).startswith("PermanentError: The cluster does not allow it (403)")
    assert kube.api.size("deployment", "b", "web") == 0
    kube.api.faults.append(Fault(403, "GET", path="/a/deployments/web"))
    house.at(NINE).bring(target)
    assert kube.api.size("deployment", "b", "web") == 3


def test_a_conflict_is_told_once_however_the_size_moves(house: House, kube: Cluster) -> None:
    entry = {"manager": "keda-operator", "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    kube.api.add("deployment", "shop", "web", 3, managedFields=[entry])
    target = house.target("web", WEB)
    house.schedule("web")
    assert house.bring(target).startswith("PermanentError")
    for size in (4, 5, 3):
        kube.api.scale("deployment", "shop", "web", size, manager="keda-operator")
        assert house.resync().startswith("1 wanted down, found up: nothing to do")


def test_a_size_that_a_schedule_asked_for_goes_with_it(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 10)
    target = house.target("web", WEB)
    schedule = house.schedule("web", replicas=1)
    house.at(NINE).bring(target)
    assert kube.api.size("deployment", "shop", "web") == 1
    house.drop_schedule(schedule)
    house.bring(target)
    assert kube.api.size("deployment", "shop", "web") == 10
    assert house.remembered() == []


def test_a_dry_run_lets_go_of_what_others_brought_up(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3)
    target = house.target("web", WEB)
    schedule = house.schedule("web")
    house.bring(target)
    house.remake(target, "web", WEB, dry_run=True)
    house.drop_schedule(schedule)
    assert "would set shop/deployment/web from 0 to 3" in house.bring(target)
    kube.api.scale("deployment", "shop", "web", 3)
    house.bring(target)
    assert house.remembered() == []


def test_a_rival_that_has_it_up_is_no_trouble_when_all_is_over(house: House, kube: Cluster) -> None:
    entry = {"manager": "keda-operator", "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    kube.api.add("deployment", "shop", "web", 3)
    target = house.target("web", WEB)
    schedule = house.schedule("web")
    house.bring(target)
    kube.api.scale("deployment", "shop", "web", 2)
    kube.api.look("deployment", "shop", "web")["metadata"]["managedFields"] = [entry]
    house.drop_schedule(schedule)
    assert house.bring(target) == "wanted leave, found up: nothing to do"
    assert kube.api.size("deployment", "shop", "web") == 2
    assert house.remembered() == []


def test_one_target_in_error_does_not_keep_others_from_their_turn(
    house: House, kube: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    kube.api.add("deployment", "shop", "web", 3)
    house.target("broken", {**WEB, "name": "broken"})
    well = house.target("well", WEB)
    for name in ("broken", "well"):
        house.schedule(name)
    look = Visit.make

    async def stumble(visit: Visit) -> None:
        if visit.order.name == "broken":
            raise ZeroDivisionError
        await look(visit)

    monkeypatch.setattr(Visit, "make", stumble)
    assert house.resync() == "TemporaryError: 1 of 2 targets could not be seen to."
    assert house.row(well).observed is Observed.DOWN


def test_one_that_cannot_be_read_is_told_and_others_go_on(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3)
    strange, well = house.target("strange", {"kind": "none"}), house.target("web", WEB)
    for name in ("strange", "web"):
        house.schedule(name)
    with house.database.write() as session:
        targets.lock(session, strange).params = '{"kind": "teleport"}'
    assert house.resync() == "TemporaryError: 1 of 2 targets could not be seen to."
    assert "cannot be read" in (house.row(strange).trouble or "")
    assert house.row(well).observed is Observed.DOWN
    house.remake(strange, "strange", {"kind": "none"})
    house.resync()
    assert house.row(strange).trouble is None


def test_a_schedule_that_cannot_be_read_is_told(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3)
    target = house.target("web", WEB)
    schedule = house.schedule("web")
    with house.database.write() as session:
        service.lock(session, schedule).recurrence = "whenever"
    assert "The schedule 'web by day' cannot be read" in house.bring(target)
    assert kube.api.calls("PATCH") == [], "without its window it would go down by day"


def test_how_a_thing_is_brought_up_may_change_while_it_is_down(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3)
    target = house.target("web", WEB)
    house.schedule("web")
    house.bring(target)
    house.remake(target, "shop", {**WEB, "insist": True})
    with pytest.raises(ConflictError, match="down by us"):
        house.remake(target, "shop", {**WEB, "name": "api"})
    house.at(NINE).bring(target)
    assert kube.api.size("deployment", "shop", "web") == 3


def test_a_schedule_made_in_trouble_shows_it_too(house: House, kube: Cluster) -> None:
    target = house.target("web", WEB)
    house.schedule("web")
    house.bring(target)
    late = house.schedule("web", start=SEVENTEEN, end=SEVENTEEN + HOUR)
    house.bring(target)
    with house.database.read() as session:
        assert service.get(session, late).status is Status.FAILED


def test_a_trouble_is_new_also_when_somebody_speaks_meanwhile(house: House, kube: Cluster) -> None:
    target = house.target("web", WEB)
    schedule = house.schedule("web")
    kube.api.meanwhile.append(("GET", lambda: house.say(schedule, Wanted.UP)))
    assert house.bring(target) == "PermanentError: There is no deployment shop/web."


def test_a_note_left_by_a_dry_run_is_taken_away_later(house: House, kube: Cluster) -> None:
    kube.api.add("deployment", "shop", "web", 3)
    target = house.target("web", WEB)
    schedule = house.schedule("web")
    house.bring(target)
    kube.api.scale("deployment", "shop", "web", 3)
    house.remake(target, "web", WEB, dry_run=True)
    house.drop_schedule(schedule)
    house.bring(target)
    assert house.remembered() == []
    house.remake(target, "web", WEB)
    house.bring(target)
    assert ORIGINAL not in kube.api.look("deployment", "shop", "web")["metadata"]["annotations"]


def test_trouble_is_told_on_the_overview(house: House, kube: Cluster) -> None:
    for name in ("gone", "lost"):
        target = house.target(name, {**WEB, "name": name})
        house.schedule(name)
        house.bring(target)
    with house.database.read() as session, made_for(Viewer("en", "UTC", MONDAY, None)):
        told = watch(session, 1)
    assert told is not None
    assert (told.words, told.count) == ("2 targets in trouble", 2)
    assert [each.sentence for each in told.first] == ["There is no deployment shop/gone."]
    kube.api.add("deployment", "shop", "gone", 1)
    kube.api.add("deployment", "shop", "lost", 1)
    house.resync()
    with house.database.read() as session:
        assert watch(session, 1) is None


def test_two_nodes_at_once_write_once(house: House, kube: Cluster) -> None:
    for number in range(30):
        kube.api.add("deployment", "shop", f"w{number}", 3, labels={"app": "x"})
    target = house.target("all", of_kind("deployment", name=None, selector={"app": "x"}))
    house.schedule("all")
    assert house.bring_twice(target).count("to 0") == 30
    assert kube.api.written.count("scale") == 30
    assert {each.original for each in house.remembered()} == {3}
    house.at(NINE).bring_twice(target)
    assert kube.api.written.count("scale") == 60
    assert all(kube.api.size("deployment", "shop", f"w{number}") == 3 for number in range(30))

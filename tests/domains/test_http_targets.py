"""Things behind HTTP, brought up and down by requests to a real server."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from beffroi.core.errors import ConflictError
from beffroi.domains.workloads.models import Observed
from beffroi.domains.workloads.rules import Wanted
from tests.domains.conftest import MONDAY, NINE, SEVENTEEN, House
from tests.helpers.receiver import Receiver, receiver


@pytest.fixture
def service() -> Iterator[Receiver]:
    with receiver() as told:
        yield told


def workload(url: str, **more: Any) -> dict[str, Any]:
    up, down = {"url": f"{url}/up", "method": "POST"}, {"url": f"{url}/down", "method": "POST"}
    return {"kind": "http", "up": up, "down": down, **more}


def test_each_edge_is_one_request(house: House, service: Receiver) -> None:
    target = house.target("crm", workload(service.url))
    house.schedule("crm")
    for moment in (MONDAY, MONDAY + timedelta(hours=1), NINE, NINE, SEVENTEEN):
        house.at(moment).bring(target)
    assert [request.path for request in service.requests] == ["/down", "/up", "/down"]
    assert house.row(target).observed is Observed.DOWN
    assert service.requests[0].headers["Idempotency-Key"]


def test_the_state_is_read_back_and_drift_set_right(house: House, service: Receiver) -> None:
    target = house.target(
        "crm", workload(service.url, state={"url": f"{service.url}/state", "up_if": "running"})
    )
    house.schedule("crm")
    service.body = b"running"
    house.bring(target)
    service.body = b"stopped"
    house.bring(target)
    service.body = b"it is running"
    house.at(MONDAY + timedelta(hours=1)).resync()
    asked = [request.path for request in service.requests if request.path != "/state"]
    assert asked == ["/down", "/down"], "the second for what was started by somebody else"


@pytest.mark.parametrize(("status", "seen"), [(503, "down"), (404, "down"), (200, "up")])
def test_a_status_tells_too(house: House, service: Receiver, status: int, seen: str) -> None:
    target = house.target("crm", workload(service.url, state={"url": f"{service.url}/state"}), dry_run=True)
    house.schedule("crm")
    service.answers = [status]
    house.bring(target)
    assert house.row(target).observed == seen
    assert [request.path for request in service.requests] == ["/state"]


def test_what_fails_is_told_and_tried_again(house: House, service: Receiver) -> None:
    target = house.target("crm", workload(service.url))
    house.schedule("crm")
    service.answers = [500, 200]
    assert house.bring(target) == "TemporaryError: The answer was 500, expected 200 to 299."
    assert house.row(target).trouble is not None
    house.bring(target)
    assert house.row(target).trouble is None
    assert house.row(target).done == f"called POST {service.url}/down"


def test_it_comes_up_when_the_last_schedule_is_gone(house: House, service: Receiver) -> None:
    target = house.target("crm", workload(service.url))
    schedule = house.schedule("crm")
    house.bring(target)
    house.drop_schedule(schedule)
    house.bring(target)
    house.bring(target)
    assert [request.path for request in service.requests] == ["/down", "/up"]


def test_what_was_meant_and_perhaps_not_done_is_done_again(house: House, service: Receiver) -> None:
    """The request may have come through although no answer came back: it must come up in the end."""
    target = house.target("crm", workload(service.url))
    schedule = house.schedule("crm")
    service.answers = [500]
    house.bring(target)
    house.drop_schedule(schedule)
    service.answers = [200]
    house.bring(target)
    assert [request.path for request in service.requests] == ["/down", "/up"]
    assert house.remembered() == []


def test_what_others_brought_up_is_not_brought_up_once_more(house: House, service: Receiver) -> None:
    target = house.target(
        "crm", workload(service.url, state={"url": f"{service.url}/state", "up_if": "running"})
    )
    schedule = house.schedule("crm")
    service.body = b"running"
    house.bring(target)
    house.at(NINE).bring(target)
    service.body = b"stopped"
    house.drop_schedule(schedule)
    house.bring(target)
    asked = [request.path for request in service.requests if request.path != "/state"]
    assert asked == ["/down"], "it was up, by whomever, and is nobody's business any more"
    assert house.remembered() == []


def test_a_mistake_in_how_it_comes_up_can_be_mended_while_it_is_down(house: House, service: Receiver) -> None:
    wrong = {**workload(service.url), "up": {"url": f"{service.url}/typo", "method": "POST"}}
    target = house.target("crm", wrong)
    house.schedule("crm")
    house.bring(target)
    elsewhere = {"url": f"{service.url}/other", "method": "POST"}
    with pytest.raises(ConflictError, match="down by us"):
        house.remake(target, "crm", {**wrong, "down": elsewhere})
    house.remake(target, "crm", workload(service.url))
    house.at(NINE).bring(target)
    assert [request.path for request in service.requests] == ["/down", "/up"]


def test_a_run_that_changes_its_mind_does_another_deed(house: House, service: Receiver) -> None:
    target = house.target("crm", workload(service.url))
    schedule = house.schedule("crm")
    service.meanwhile = lambda: house.say(schedule, Wanted.UP)
    house.bring(target)
    assert [request.path for request in service.requests] == ["/down", "/up"]
    assert len(set(service.keys())) == 2


def test_another_that_is_at_it_is_left_to_it(house: House, service: Receiver) -> None:
    target = house.target("crm", workload(service.url))
    house.schedule("crm")
    service.delay = 0.5
    house.bring_twice(target)
    assert [request.path for request in service.requests] == ["/down"]


def test_a_long_answer_is_read_to_its_beginning(house: House, service: Receiver) -> None:
    state = {"url": f"{service.url}/state", "up_if": "running"}
    target = house.target("crm", workload(service.url, state=state), dry_run=True)
    house.schedule("crm")
    service.body = b"running" + b"." * 100_000
    house.bring(target)
    assert house.row(target).observed is Observed.UP
    service.body = b"running" + b"." * 2_000_000
    assert "longer than" in house.bring(target)


def test_what_is_said_while_the_state_is_asked_counts(house: House, service: Receiver) -> None:
    target = house.target("crm", workload(service.url, state={"url": f"{service.url}/state"}))
    schedule = house.schedule("crm")
    service.meanwhile = lambda: house.say(schedule, Wanted.UP)
    assert house.bring(target) == "wanted up, found up: nothing to do"
    assert {request.path for request in service.requests} == {"/state"}


def test_a_target_of_no_kind_shows_what_is_wanted(house: House) -> None:
    target = house.target("watched", {"kind": "none"})
    house.schedule("watched")
    house.at(NINE).bring(target)
    row = house.row(target)
    assert (row.wanted, row.observed) == (Wanted.UP, Observed.UP)


def test_one_that_fails_does_not_keep_others_from_their_turn(house: House, service: Receiver) -> None:
    broken = house.target("broken", workload("http://127.0.0.1:1"))
    well = house.target("well", workload(service.url))
    house.schedule("broken")
    house.schedule("well")
    assert house.resync().startswith("TemporaryError: 1 of 2 targets could not be seen to.")
    assert house.row(well).observed is Observed.DOWN
    assert house.row(broken).trouble is not None

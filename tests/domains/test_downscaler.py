"""What py-kube-downscaler's annotations would be here."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from beffroi.domains.workloads.downscaler import complement, read_manifests
from beffroi.domains.workloads.shapes import WorkloadScheduleCreate
from beffroi.domains.workloads.target_shapes import TargetSpec
from beffroi.domains.workloads.uptime import DAYS, read_uptime
from beffroi.domains.workloads.windows import window_of

MONDAY = datetime(2026, 2, 2, tzinfo=UTC)


def deployment(**annotations: str) -> dict[str, Any]:
    noted = {f"downscaler/{name.replace('_', '-')}": value for name, value in annotations.items()}
    metadata = {"name": "web", "namespace": "shop", "annotations": noted}
    return {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": metadata}


def test_an_uptime_is_a_schedule() -> None:
    imported = read_manifests(
        [deployment(uptime="Mon-Fri 07:30-20:30 Europe/Berlin", original_replicas="4")], "UTC"
    )
    assert imported.remarks == []
    assert TargetSpec.model_validate(imported.targets[0]).name == "shop/deployment/web"
    (schedule,) = imported.schedules
    assert WorkloadScheduleCreate.model_validate(schedule).replicas == 4
    assert (schedule["start_time"], schedule["recurrence"]) == (
        "2001-01-01T07:30:00",
        "30 7 * * MON,TUE,WED,THU,FRI",
    )


@pytest.mark.parametrize(
    ("written", "where"),
    [
        ("just text", "Manifest"),
        ([1, 2], "Manifest"),
        ({"kind": "List", "items": "x"}, "items"),
        ({"kind": "List", "items": ["x"]}, "items.0"),
        ({"kind": "Deployment", "metadata": "x"}, "metadata"),
        ({"kind": "Deployment", "metadata": {"annotations": ["x"]}}, "metadata.annotations"),
    ],
)
def test_what_is_no_manifest_is_told_by_its_place(written: Any, where: str) -> None:
    with pytest.raises(ValidationError, match=where):
        read_manifests([written], "UTC")


def test_a_list_is_read_item_by_item() -> None:
    found = read_manifests([{"kind": "List", "items": [deployment(uptime="always"), {"kind": "Pod"}]}], "UTC")
    assert len(found.targets) == 1


def test_what_has_no_counterpart_is_remarked() -> None:
    objects = [
        deployment(uptime="whenever"),
        deployment(uptime="always", downtime="always"),
        deployment(uptime="never"),
        deployment(downtime="always"),
        deployment(downtime="Sat 00:00-24:00 UTC, Sun 00:00-24:00 Europe/Paris"),
        deployment(exclude="true", uptime="always"),
        {**deployment(uptime="always"), "kind": "Namespace"},
    ]
    imported = read_manifests(objects, "UTC")
    assert len(imported.remarks) == 7
    assert all(
        remark.startswith(("Deployment shop/web: ", "Namespace shop/web: ")) for remark in imported.remarks
    )
    assert imported.targets == []


def test_nothing_said_nothing_made() -> None:
    assert read_manifests([deployment(), {"kind": "Deployment"}, {}], "UTC").document == {
        "targets": [],
        "schedules": [],
    }


spans = st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 23), st.integers(1, 24))


@settings(deadline=None, max_examples=40)
@given(
    st.lists(spans, min_size=1, max_size=3),
    st.lists(st.integers(0, 7 * 24 * 60 - 1), min_size=1, max_size=20),
)
def test_it_is_up_exactly_when_it_is_not_down(
    made: list[tuple[int, int, int, int]], minutes: list[int]
) -> None:
    text = ", ".join(f"{DAYS[a]}-{DAYS[b]} {start:02}:00-{end:02}:00 UTC" for a, b, start, end in made)
    down = read_uptime(text, "UTC")
    try:
        up = complement(down)
    except ValueError as error:
        assert "always down" in str(error)  # noqa: PT017  either it is, or it has a counterpart
        up = []
    for minute in minutes:
        moment = MONDAY + timedelta(minutes=minute)
        held = [
            any(
                window_of(
                    each.start.replace(tzinfo=UTC), each.end.replace(tzinfo=UTC), each.recurrence, "UTC"
                ).window_at(moment)
                for each in windows
            )
            for windows in (up, down)
        ]
        assert held[0] != held[1]

"""What a form shows of a job is what it gives back: nothing is lost by looking at it and saving."""

import string
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from beffroi.domains.jobs.forms import fields_of, parts_of_form, spec_of_form
from beffroi.domains.jobs.shapes import JobSpec

names = (
    st.text(string.ascii_letters + string.digits + "éß -_.", min_size=1, max_size=30)
    .map(str.strip)
    .filter(bool)
)
spans = st.sampled_from(["1s", "90s", "5m", "1h30m", "2d"])
words = st.text(string.ascii_letters + " ü", max_size=20).map(str.strip)

triggers = st.one_of(
    st.fixed_dictionaries(
        {
            "kind": st.just("cron"),
            "line": st.sampled_from(["30 2 * * 1-5", "*/5 * * * *"]),
            "zone": st.just("Europe/Paris"),
        },
        optional={
            "gap": st.sampled_from(["first_valid", "shift", "skip"]),
            "fold": st.sampled_from(["first", "both"]),
        },
    ),
    st.just({"kind": "cron", "line": "15 30 2 * * *", "dialect": "seconds"}),
    st.fixed_dictionaries(
        {"kind": st.just("interval"), "every": spans}, optional={"anchor": st.just("2026-01-01T00:00:00Z")}
    ),
    st.just({"kind": "once", "at": "2026-12-01T08:00:00Z"}),
)
bodies = st.one_of(
    st.none(),
    words.filter(bool),
    st.just('{"looks": "like JSON"}'),
    st.dictionaries(st.sampled_from("abc"), st.one_of(st.integers(0, 9), words), min_size=1),
    st.lists(st.integers(0, 9), min_size=1),
)
actions = st.one_of(
    st.fixed_dictionaries(
        {
            "kind": st.just("http"),
            "url": st.just("https://example.org/x?a=1"),
            "method": st.sampled_from(["GET", "POST"]),
        },
        optional={
            "headers": st.dictionaries(st.sampled_from(["X-A", "Accept"]), words.filter(str.isascii)),
            "body": bodies,
            "expected_status": st.lists(st.integers(100, 599), max_size=3),
            "timeout": spans,
        },
    ),
    st.just({"kind": "command", "command": "backup"}),
    st.fixed_dictionaries(
        {"kind": st.just("python"), "entry_point": st.just("noop")},
        optional={"arguments": st.dictionaries(st.sampled_from("xy"), st.one_of(st.booleans(), words))},
    ),
)
policies = st.fixed_dictionaries(
    {},
    optional={
        "timeout": st.one_of(spans, st.just("never")),
        "misfire_grace": spans,
        "catch_up": st.sampled_from(["none", "last", "all"]),
        "overlap": st.sampled_from(["skip", "queue", "replace", "allow"]),
        "retries": st.fixed_dictionaries(
            {"max": st.integers(0, 9)}, optional={"factor": st.just(1.5), "jitter": st.just(0.25)}
        ),
        "priority": st.integers(-100, 100),
        "jitter": spans,
    },
)


@given(names, triggers, actions, policies)
def test_a_job_survives_its_form(name: str, trigger: Any, action: Any, policy: Any) -> None:
    spec = JobSpec.model_validate({"name": name, "trigger": trigger, "action": action, "policy": policy})
    written = {
        "name": spec.name,
        "trigger": spec.trigger.model_dump(mode="json", exclude_none=True),
        "action": spec.action.model_dump(mode="json", exclude_none=True),
        "policy": spec.policy.model_dump(mode="json"),
    }
    assert spec_of_form(fields_of(written), "Europe/Paris") == spec


@given(triggers)
def test_one_section_says_nothing_of_the_others(trigger: Any) -> None:
    fields = fields_of({"name": "x", "trigger": trigger})
    sent = {name: text for name, text in fields.items() if name.startswith("trigger")}
    assert set(parts_of_form(sent, "UTC")) == {"trigger"}


def test_a_wall_time_is_read_in_the_viewers_zone() -> None:
    given = parts_of_form({"trigger": "once", "trigger.once.at": "2026-07-01T10:00"}, "Europe/Paris")
    assert given["trigger"]["at"] == "2026-07-01T08:00:00+00:00"

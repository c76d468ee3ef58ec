"""Metrics: the names that dashboards depend on."""

import re
from importlib.metadata import version

import pytest
from prometheus_client import Counter, Gauge, Histogram

from responder.adapters.metrics import Metrics
from responder.adapters.package_texts import DOCS
from responder.bitrix24.client.answer_labels import answer_label


def test_the_names_are_the_documented_ones() -> None:
    metrics = Metrics()
    metrics.events_received.labels("200").inc()
    metrics.decided("kill", "killed", "lost-deal")
    metrics.decided("none", "none", None)
    metrics.inbox_waiting.set(2)
    metrics.inbox_oldest_age.set(1.5)
    metrics.event_to_outcome.observe(0.04)
    metrics.portal_calls.labels("main", "batch", "ok").inc(3)
    metrics.portal_limited.inc()
    metrics.breaker_open.labels("main", "").set(1)
    metrics.rules_load_failed.set(1)
    samples = {
        line
        for line in metrics.render().decode().splitlines()
        if line.startswith("responder_") and "_bucket" not in line
    }
    assert samples >= {
        'responder_events_received_total{answer="200"} 1.0',
        'responder_decisions_total{action="kill",outcome="killed"} 1.0',
        'responder_decisions_total{action="none",outcome="none"} 1.0',
        'responder_rule_decisions_total{outcome="killed",rule="lost-deal"} 1.0',
        "responder_inbox_waiting 2.0",
        "responder_inbox_oldest_age_seconds 1.5",
        "responder_event_to_outcome_seconds_count 1.0",
        "responder_event_to_outcome_seconds_sum 0.04",
        'responder_portal_calls_total{answer="ok",method="batch",portal="main"} 3.0',
        "responder_portal_limited_total 1.0",
        'responder_breaker_open{method="",portal="main"} 1.0',
        "responder_rules_load_failed 1.0",
        "responder_found_by_sweep_total 0.0",
    }


def test_their_page_names_every_metric_and_its_labels_and_no_other() -> None:
    table = DOCS.text("metrics").partition("\n| metric | what |\n")[2].partition("\n\n")[0]
    told = dict(re.findall(r"`(responder_\w+)(?:\{([a-z,]+)\})?`", table))
    metrics = vars(Metrics()).values()
    measured = {
        f"{one._name}_total" if isinstance(one, Counter) else one._name: ",".join(one._labelnames)
        for one in metrics
        if isinstance(one, Counter | Gauge | Histogram)
    }
    assert told == measured | {"responder_build_info": "version"}


def test_two_services_in_one_process_count_apart() -> None:
    first, second = Metrics(), Metrics()
    first.portal_limited.inc()
    assert b"responder_portal_limited_total 0.0" in second.render()


def test_every_metric_says_what_it_is() -> None:
    text = Metrics().render().decode()
    named = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    assert named <= set(re.findall(r"^# HELP (\w+) \S", text, re.MULTILINE))


@pytest.mark.parametrize(
    ("code", "label"),
    [
        (None, "ok"),
        ("", "empty_code"),
        ("NO_AUTH_FOUND", "NO_AUTH_FOUND"),
        ("no_connection", "no_connection"),
        ("http_502", "http_502"),
        ("http_5021", "other"),
        ("http_", "other"),
        ("Deal 759 of Ivan is locked", "other"),
    ],
)
def test_an_answer_has_a_name_of_a_known_few(code: str | None, label: str) -> None:
    assert answer_label(code) == label


def test_the_version_is_told() -> None:
    assert f'responder_build_info{{version="{version("responder")}"}} 1.0' in (
        Metrics().render().decode()
    )

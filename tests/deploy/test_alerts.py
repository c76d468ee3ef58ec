"""The alerts, by Prometheus's own tools: each fires when it should, else none does.

They need `promtool` (Debian packages it), and are skipped, saying so, where there is none.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from responder.adapters.package_texts import DEPLOY
from tests.deploy.conftest import FOUND
from tests.deploy.promtool import needs_promtool, promtool

TEXT = DEPLOY.text("alerts")
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for rule in yaml.safe_load(TEXT)["groups"][0]["rules"]
}
# What a healthy service says for three hours, once a minute; two replicas, one of which drives.
QUIET = {
    'responder_build_info{version="0.1.0"}': "1x180",
    "responder_store_available": "1x180",
    'responder_events_received_total{answer="200"}': "0+60x180",
    'responder_events_received_total{answer="403"}': "0x60 1x120",
    'responder_events_received_total{answer="503"}': "0x180",
    "responder_connections_closed_total": "0x180",
    "responder_inbox_oldest_age_seconds": "2x180",
    "responder_inbox_waiting": "3x180",
    'responder_driving{portal="main",instance="a"}': "1x180",
    'responder_driving{portal="main",instance="b"}': "0x180",
    'responder_breaker_open{portal="main",method=""}': "0x50 1 1 0x128",
    "responder_portal_limited_total": "0x100 1x80",
    'responder_operating_seconds{portal="main",method="batch"}': "30x180",
    "responder_rules_load_failed": "0x180",
    'responder_ruleset_info{revision="aa",instance="a"}': "1x180",
    'responder_ruleset_info{revision="aa",instance="b"}': "1x180",
    'responder_rule_tripped{rule="lost-deal"}': "0x180",
    'responder_decisions_total{action="kill",outcome="killed"}': "0+1x180",
    'responder_decisions_total{action="kill",outcome="refused"}': "0x180",
    "responder_paused": "0x50 1x20 0x110",
    'responder_waiting_for_approval{portal="main"}': "0x20 3x60 0x100",
    'responder_webhook_silent{portal="main"}': "0x180",
    'responder_portal_withheld{portal="main",question="clock-agrees"}': "0x180",
    'responder_alarm{kind="approval",severity="needs_you",portal="main"}': "1x180",
    'responder_last_sweep_timestamp_seconds{portal="main"}': "0+60x180",
    'responder_runs_total{trigger="sweep",result="complete"}': "0+1x180",
    'responder_runs_total{trigger="sweep",result="failed"}': "0x90 1x90",
    'responder_chain_sequence{portal="main",instance="a"}': "10+5x180",
    'responder_chain_sequence{portal="main",instance="b"}': "10+5x180",
    "responder_notifications_waiting": "0x20 4x10 0x150",
    'responder_notifications_total{result="given_up"}': "0x180",
}
GONE = "_x180"

# What changes, and the labels that the alert then has beside its severity.
LOUD: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "ResponderAbsent": ({'responder_build_info{version="0.1.0"}': GONE}, {}),
    "ResponderStoreUnavailable": ({"responder_store_available": "0x180"}, {}),
    "ResponderTokenRefused": (
        {'responder_events_received_total{answer="403"}': "0+2x180"},
        {},
    ),
    "ResponderConnectionsFull": ({"responder_connections_closed_total": "0+1x180"}, {}),
    "ResponderInboxOld": ({"responder_inbox_oldest_age_seconds": "0+60x180"}, {}),
    "ResponderNoDriver": (
        {'responder_driving{portal="main",instance="a"}': "0x180"},
        {"portal": "main"},
    ),
    "ResponderBreakerOpen": (
        {'responder_breaker_open{portal="main",method=""}': "1x180"},
        {"portal": "main"},
    ),
    "ResponderLimited": ({"responder_portal_limited_total": "0+1x180"}, {}),
    "ResponderOperatingTime": (
        {'responder_operating_seconds{portal="main",method="batch"}': "400x180"},
        {"portal": "main", "method": "batch"},
    ),
    "ResponderRulesBroken": ({"responder_rules_load_failed": "1x180"}, {}),
    "ResponderRulesDiffer": (
        {'responder_ruleset_info{revision="bb",instance="b"}': "1x180"},
        {},
    ),
    "ResponderRuleTripped": (
        {'responder_rule_tripped{rule="lost-deal"}': "0x100 1x80"},
        {"rule": "lost-deal"},
    ),
    "ResponderStopFailed": (
        {'responder_decisions_total{action="kill",outcome="refused"}': "0x175 1x5"},
        {},
    ),
    "ResponderPaused": ({"responder_paused": "1x180"}, {}),
    "ResponderApprovalWaits": (
        {'responder_waiting_for_approval{portal="main"}': "2x180"},
        {"portal": "main"},
    ),
    "ResponderWebhookSilent": (
        {'responder_webhook_silent{portal="main"}': "1x180"},
        {"portal": "main"},
    ),
    "ResponderAlarm": (
        {'responder_alarm{kind="disk_low",severity="needs_you",portal=""}': "1x180"},
        {"kind": "disk_low"},
    ),
    "ResponderPortalWithheld": (
        {'responder_portal_withheld{portal="main",question="clock-agrees"}': "1x180"},
        {"portal": "main", "question": "clock-agrees"},
    ),
    "ResponderSweepLate": (
        {'responder_last_sweep_timestamp_seconds{portal="main"}': "0x180"},
        {"portal": "main"},
    ),
    "ResponderSweepFails": (
        {'responder_runs_total{trigger="sweep",result="failed"}': "0+1x180"},
        {},
    ),
    "ResponderEventsUnregistered": (
        {'responder_events_unregistered{portal="main",way="offline"}': "1x180"},
        {"portal": "main"},
    ),
    "ResponderLogStandsStill": (
        {
            'responder_chain_sequence{portal="main",instance="a"}': "10x180",
            'responder_chain_sequence{portal="main",instance="b"}': "10x180",
        },
        {},
    ),
    "ResponderLogCut": (
        {'responder_chain_sequence{portal="main",instance="a"}': "10+5x150 300+5x30"},
        {"portal": "main"},
    ),
    "ResponderNotificationsWait": ({"responder_notifications_waiting": "1x180"}, {}),
    "ResponderNotificationsLost": (
        {'responder_notifications_total{result="given_up"}': "0x170 1x10"},
        {},
    ),
}


def case(name: str, changed: dict[str, str], fires: str | None, labels: dict[str, str]) -> object:
    """Write one test for promtool: what is measured, and which alert alone then fires."""

    def expected(alert: str) -> list[object]:
        if alert != fires:
            return []
        rule = ALERTS[alert]
        return [{"exp_labels": rule["labels"] | labels, "exp_annotations": rule["annotations"]}]

    series = QUIET | changed
    return {
        "name": name,
        "interval": "1m",
        "input_series": [{"series": key, "values": values} for key, values in series.items()],
        "alert_rule_test": [
            {"eval_time": "3h", "alertname": alert, "exp_alerts": expected(alert)}
            for alert in ALERTS
        ],
    }


def test_every_alert_has_a_case_and_says_what_to_do() -> None:
    assert set(LOUD) == set(ALERTS)
    for rule in ALERTS.values():
        assert set(rule["annotations"]) == {"summary", "action"}
        assert rule["labels"]["severity"] in ("page", "ticket")


@needs_promtool
def test_each_alert_fires_alone_and_none_fires_when_all_is_well(tmp_path: Path) -> None:
    (tmp_path / "alerts.yaml").write_text(TEXT)
    checked = promtool("check", "rules", str(tmp_path / "alerts.yaml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    cases = [case("all is well", {}, None, {})]
    cases += [case(name, changed, name, labels) for name, (changed, labels) in LOUD.items()]
    file = tmp_path / "alerts_test.yaml"
    file.write_text(
        yaml.safe_dump({"rule_files": ["alerts.yaml"], "evaluation_interval": "5m", "tests": cases})
    )
    done = promtool("test", "rules", str(file))
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


def test_what_a_sweep_decides_is_counted_like_the_rest(measured: bytes) -> None:
    assert FOUND in measured
    assert b'responder_decisions_total{action="kill",outcome="would_kill"} 1.0' in measured
    runs = re.findall(rb'responder_runs_total{result="complete",trigger="sweep"} (\S+)', measured)
    assert float(runs[0]) >= 1
    assert b'responder_run_seconds_count{trigger="sweep"}' in measured
    assert b'responder_rule_decisions_total{outcome="killed",rule="lost-deal"} 1.0' in measured


def test_every_metric_of_the_alerts_is_measured(measured: bytes) -> None:
    there = set(re.findall(r"^# TYPE (\w+)", measured.decode(), re.MULTILINE))
    asked = {
        name for rule in ALERTS.values() for name in re.findall(r"\bresponder_\w+", rule["expr"])
    }
    assert asked <= there


@needs_promtool
def test_promtool_finds_nothing_to_say_of_the_metrics(measured: bytes) -> None:
    checked = promtool("check", "metrics", given=measured)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")

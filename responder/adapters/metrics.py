"""Defines the metrics of the process, for Prometheus.

Labels have few values: answers, actions, methods, the names of portals, and of the rules in the
file. Never an id from an event, nor a text that a portal made up.
"""

from collections.abc import Collection
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

_SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)


class Metrics:
    """All metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nobody uses
        self.registry = CollectorRegistry()
        self._receiving()
        self._deciding()
        self._ruling()
        self._calling()
        self._running()
        self._sweeping()
        self._notifying()
        self._rules: set[str] = set()
        ProcessCollector(registry=self.registry)

    def _receiving(self) -> None:
        self.events_received = self._counter(
            "responder_events_received",
            "Answers given to POST /events, by status.",
            "answer",
        )
        self.offline_events = self._counter(
            "responder_offline_events",
            "Events that a portal kept for its application, and that were read from it.",
            "portal",
        )
        self.events_unregistered = self._gauge(
            "responder_events_unregistered",
            "Events of the rules that could not be registered in a portal, by the way they come.",
            "portal",
            "way",
        )
        self.requests_refused = self._counter(
            "responder_requests_refused",
            "Requests that were refused for how they came, wherever they were for, by kind.",
            "kind",
        )
        self.connections = self._gauge(
            "responder_connections",
            "Connections of callers that are open.",
        )
        self.connections_limit = self._gauge(
            "responder_connections_limit",
            "Connections that may be open; past that the one that was idle longest is closed.",
        )
        self.connections_closed = self._counter(
            "responder_connections_closed",
            "Idle connections that were closed to make room for others.",
        )
        self.inbox_waiting = self._gauge(
            "responder_inbox_waiting",
            "Deliveries that are stored and not concluded yet.",
        )
        self.inbox_oldest_age = self._gauge(
            "responder_inbox_oldest_age_seconds",
            "Age of the oldest delivery that is not concluded, 0 if there is none.",
        )

    def _deciding(self) -> None:
        self.decisions = self._counter(
            "responder_decisions",
            "Decisions, by action and outcome; counted when the outcome is final.",
            "action",
            "outcome",
        )
        for action in ("kill", "terminate"):
            for outcome in ("refused", "gave_up"):
                self.decisions.labels(
                    action, outcome
                )  # so that an alert on these has a 0 to begin with
        self.rule_decisions = self._counter(
            "responder_rule_decisions",
            "Decisions about a workflow, by rule and outcome; counted when the outcome is final.",
            "rule",
            "outcome",
        )
        self.event_to_outcome = self._histogram(
            "responder_event_to_outcome_seconds",
            "From the receipt of the oldest event to the final outcome.",
        )
        self.open_stops = self._gauge(
            "responder_open_stops",
            "Stops that are decided and not concluded: waiting, held or in doubt.",
            "portal",
            "outcome",
        )
        self.waiting_for_approval = self._gauge(
            "responder_waiting_for_approval",
            "Decisions of rules that ask first, held until somebody approves them or they lapse.",
            "portal",
        )
        self.paused = self._gauge(
            "responder_paused",
            "1 while everything is paused and nothing is stopped.",
        )

    def _ruling(self) -> None:
        self.ruleset_info = self._gauge(
            "responder_ruleset_info",
            "Always 1; the label is the revision of the rules in force.",
            "revision",
        )
        self.rules_loaded_at = self._gauge(
            "responder_rules_loaded_timestamp_seconds",
            "When the rules in force were loaded.",
        )
        self.rules_load_failed = self._gauge(
            "responder_rules_load_failed",
            "1 while the rules file cannot be loaded and the last good one stays in force.",
        )
        self.rule_tripped = self._gauge(
            "responder_rule_tripped",
            "1 while a rule has tripped over its limit and does nothing until it is rearmed.",
            "rule",
        )

    def _calling(self) -> None:
        self.portal_calls = self._counter(
            "responder_portal_calls",
            "Calls of a portal's methods, each part of a batch counted; by answer.",
            "portal",
            "method",
            "answer",
        )
        self.portal_limited = self._counter(
            "responder_portal_limited",
            "Calls that a portal refused because its request limit was reached.",
        )
        self.bucket_level = self._gauge(
            "responder_bucket_level",
            "Requests that the portal's bucket holds now, by our copy of it.",
            "portal",
        )
        self.operating_seconds = self._gauge(
            "responder_operating_seconds",
            "Operating time of a method within the last ten minutes, as the portal told it.",
            "portal",
            "method",
        )
        self.breaker_open = self._gauge(
            "responder_breaker_open",
            "1 while calls are withheld; the method is empty where the whole portal is concerned.",
            "portal",
            "method",
        )

        self.portal_withheld = self._gauge(
            "responder_portal_withheld",
            "1 while a portal is only observed, because it answers a crucial question otherwise.",
            "portal",
            "question",
        )

    def _running(self) -> None:
        info = self._gauge(
            "responder_build_info",
            "Always 1; the label is the version of the program.",
            "version",
        )
        info.labels(_version()).set(1)
        self.store_available = self._gauge(
            "responder_store_available",
            "1 while the database answers, 0 while it does not.",
        )
        self.driving = self._gauge(
            "responder_driving",
            "1 where this process drives the portal. The sum over all processes is 1.",
            "portal",
        )
        self.chain_sequence = self._gauge(
            "responder_chain_sequence",
            "Number of the last entry of the portal's decision log. It never goes down.",
            "portal",
        )

    def _sweeping(self) -> None:
        self.runs = self._counter(
            "responder_runs",
            "Sweeps and schedules that this process ran, by result (complete, incomplete, failed).",
            "trigger",
            "result",
        )
        for trigger in ("sweep", "schedule"):
            for result in ("complete", "incomplete", "failed"):
                self.runs.labels(trigger, result)
        self.run_seconds = self._histogram(
            "responder_run_seconds",
            "How long complete sweeps and schedules took.",
            "trigger",
        )
        self.last_sweep_at = self._gauge(
            "responder_last_sweep_timestamp_seconds",
            "When the portal's last sweep was due that was made, or tried.",
            "portal",
        )
        self.found_by_sweep = self._counter(
            "responder_found_by_sweep",
            "Workflows that the reconciling sweep condemned; some is normal: they started later.",
        )
        self.alarm = self._gauge(
            "responder_alarm",
            "Alarms that stand; the portal is empty where an alarm is of none.",
            "kind",
            "severity",
            "portal",
        )
        self.webhook_silent = self._gauge(
            "responder_webhook_silent",
            "1 while documents change and a webhook that was heard from says nothing.",
            "portal",
        )

    def _notifying(self) -> None:
        self.notifications = self._counter(
            "responder_notifications",
            "Notifications sent, tries that failed, and notifications given up.",
            "result",
        )
        for result in ("sent", "failed", "given_up"):
            self.notifications.labels(result)
        self.tellings = self._counter(
            "responder_tellings",
            "What was told in portals of stops, or was to be: by way and by what became of it.",
            "way",
            "result",
        )
        for way in ("comment", "notification"):
            for result in ("told", "failed", "in_doubt"):
                self.tellings.labels(way, result)
        self.notifications_waiting = self._gauge(
            "responder_notifications_waiting",
            "Notifications that are to be sent, or sent again.",
        )

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(name, what, labels, registry=self.registry)

    def _gauge(self, name: str, what: str, *labels: str) -> Gauge:
        return Gauge(name, what, labels, registry=self.registry)

    def _histogram(self, name: str, what: str, *labels: str) -> Histogram:
        return Histogram(name, what, labels, buckets=_SECONDS, registry=self.registry)

    def decided(
        self, action: str, outcome: str, rule: str | None, after: timedelta | None = None
    ) -> None:
        """Count a decision whose outcome is final, so long `after` its event was received."""
        if after is not None:
            self.event_to_outcome.observe(after.total_seconds())
        self.decisions.labels(action, outcome).inc()
        if rule is not None:
            self._rules.add(rule)
            self.rule_decisions.labels(rule, outcome).inc()

    def tripped(self, rule: str, *, is_tripped: bool) -> None:
        """Set whether a rule is tripped."""
        self._rules.add(rule)
        self.rule_tripped.labels(rule).set(is_tripped)

    def only_rules(self, rules: Collection[str]) -> None:
        """Remove the series of all rules but these."""
        for rule in self._rules.difference(rules):
            self.rule_decisions.remove_by_labels({"rule": rule})
            self.rule_tripped.remove_by_labels({"rule": rule})
        self._rules.intersection_update(rules)

    def rules_in_force(self, revision: str, since: float) -> None:
        """Set the revision of the rules in force, and since when (Unix seconds) they are."""
        self.ruleset_info.clear()
        self.ruleset_info.labels(revision).set(1)
        self.rules_loaded_at.set(since)

    def render(self) -> bytes:
        """Return all metrics in the text format, 0.0.4."""
        return generate_latest(self.registry)


def _version() -> str:
    try:
        return version("responder")
    except PackageNotFoundError:
        return "unknown"

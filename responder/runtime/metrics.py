"""Counts what happens, for Prometheus.

Labels are bounded: answers, actions, methods, the names of portals. Never an id from an event.
"""

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
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nobody looks at
        self.registry = CollectorRegistry()
        self._receiving()
        self._deciding()
        self._calling()
        ProcessCollector(registry=self.registry)

    def _receiving(self) -> None:
        self.events_received = Counter(
            "responder_events_received",
            "Answers given to POST /events, by status.",
            ["answer"],
            registry=self.registry,
        )
        self.inbox_waiting = Gauge(
            "responder_inbox_waiting",
            "Deliveries that are stored and not concluded yet.",
            registry=self.registry,
        )
        self.inbox_oldest_age = Gauge(
            "responder_inbox_oldest_age_seconds",
            "Age of the oldest delivery that is not concluded, 0 if there is none.",
            registry=self.registry,
        )

    def _deciding(self) -> None:
        self.decisions = Counter(
            "responder_decisions",
            "Decisions, by action and outcome; counted when the outcome is final.",
            ["action", "outcome"],
            registry=self.registry,
        )
        self.event_to_outcome = Histogram(
            "responder_event_to_outcome_seconds",
            "From the receipt of the oldest event to the final outcome.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.rules_load_failed = Gauge(
            "responder_rules_load_failed",
            "1 while the rules file cannot be loaded and the last good one stays in force.",
            registry=self.registry,
        )

        self.found_by_sweep = Counter(
            "responder_found_by_sweep",
            "Workflows that the reconciling sweep condemned; some is normal: they started later.",
            registry=self.registry,
        )
        self.rule_tripped = Gauge(
            "responder_rule_tripped",
            "1 while a rule has tripped over its limit and does nothing until it is rearmed.",
            ["rule"],
            registry=self.registry,
        )

    def _calling(self) -> None:
        self.portal_calls = Counter(
            "responder_portal_calls",
            "Calls of a portal's methods, each part of a batch counted; by answer.",
            ["portal", "method", "answer"],
            registry=self.registry,
        )
        self.webhook_silent = Gauge(
            "responder_webhook_silent",
            "1 while documents change and a webhook that was heard from says nothing.",
            ["portal"],
            registry=self.registry,
        )
        self.portal_limited = Counter(
            "responder_portal_limited",
            "Calls that a portal refused because its request limit was reached.",
            registry=self.registry,
        )
        self.breaker_open = Gauge(
            "responder_breaker_open",
            "1 while calls are withheld; the method is empty where the whole portal is concerned.",
            ["portal", "method"],
            registry=self.registry,
        )

    def render(self) -> bytes:
        """Write everything in the text format, 0.0.4."""
        return generate_latest(self.registry)

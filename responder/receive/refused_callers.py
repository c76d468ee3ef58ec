"""Counts what strangers send and are refused, and limits the log lines about it."""

import time
from collections import Counter
from collections.abc import Callable, Mapping

import structlog

from responder.adapters.metrics import Metrics

_SECONDS_BETWEEN_LINES = 60

logger = structlog.stdlib.get_logger(__name__)


class SeldomLog:
    """Counts of something that is logged at most once a minute."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._counts: Counter[str] = Counter()
        self._quiet_until = 0.0

    def count(self, kind: str, number: int = 1) -> Mapping[str, int]:
        """Count so many of a kind.

        Return all counts since the last log line, or {} if none is due now.
        """
        self._counts[kind] += number
        now = self._now()
        if now < self._quiet_until:
            return {}
        self._quiet_until = now + _SECONDS_BETWEEN_LINES
        counts, self._counts = self._counts, Counter()
        return counts


class RefusedRequests:
    """Counts of requests that were refused by their form, before their content was read."""

    def __init__(self, metrics: Metrics) -> None:
        self._refused = metrics.requests_refused
        self._lines: dict[str, SeldomLog] = {}

    def count(self, kind: str) -> None:
        """Count a refused request, and log the counts of its kind once a minute.

        Kinds are few, and none is made of what was sent.
        """
        self._refused.labels(kind).inc()
        if kind not in self._lines:
            self._lines[kind] = SeldomLog()
        if counts := self._lines[kind].count(kind):
            logger.warning("Requests were refused.", kind=kind, count=counts[kind])

"""Counts what strangers send and are refused, and lets none of them fill the log."""

import time
from collections import Counter
from collections.abc import Callable, Mapping

import structlog

from responder.adapters.metrics import Metrics

_SECONDS_BETWEEN_LINES = 60

logger = structlog.stdlib.get_logger(__name__)


class Seldom:
    """Counts what is said in the log at most once a minute."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._counts: Counter[str] = Counter()
        self._quiet_until = 0.0

    def counted(self, kind: str) -> Mapping[str, int]:
        """Count it; return what was counted since it was last said, where it is time to say it."""
        self._counts[kind] += 1
        now = self._now()
        if now < self._quiet_until:
            return {}
        self._quiet_until = now + _SECONDS_BETWEEN_LINES
        counts, self._counts = self._counts, Counter()
        return counts


class Strangers:
    """What was refused for how it came, before anybody asked what it was for."""

    def __init__(self, metrics: Metrics) -> None:
        self._refused = metrics.requests_refused
        self._lines: dict[str, Seldom] = {}

    def note(self, kind: str) -> None:
        """Count a request that is refused. Kinds are few, and none is made of what was sent."""
        self._refused.labels(kind).inc()
        if kind not in self._lines:
            self._lines[kind] = Seldom()
        if counts := self._lines[kind].counted(kind):
            logger.warning("Requests were refused.", kind=kind, count=counts[kind])

"""Measures how long a portal's commands take, and how much operating time each method has used.

Both are read from the answers and kept in memory alone: the first answer contains them again.
"""

from collections.abc import Callable, Sequence

from responder.adapters.metrics import Metrics
from responder.bitrix24.client import rate_limit
from responder.bitrix24.client.answers import STOPPING, Answer, Command, FailureKind
from responder.bitrix24.client.rate_limit import BATCH, Operating


class MethodTimes:
    """The measured times of each method of one portal."""

    def __init__(self, portal: str, metrics: Metrics, seconds: Callable[[], float]) -> None:
        self._portal = portal
        self._metrics = metrics
        self._seconds = seconds
        self._took: dict[str, float] = {}
        self._operating: dict[str, Operating] = {}

    def took(self, method: str) -> float:
        """Return the seconds that a command of this method took lately."""
        stops = method in STOPPING
        unknown = rate_limit.UNKNOWN_SECONDS if stops else rate_limit.UNKNOWN_READ_SECONDS
        return self._took.get(method, unknown)

    def room(self, method: str) -> int:
        """Return how many commands of this method its operating time allows in one batch."""
        return rate_limit.room(self._operating.get(method), self._seconds(), self.took(method))

    def shut_seconds(self, method: str) -> float:
        """Return for how long not to call a method whose operating time is used up."""
        return rate_limit.shut_seconds(self._operating.get(method), self._seconds())

    def fitting(self, method: str) -> int:
        """Return how many commands of this method go into one batch, by the time they take."""
        return rate_limit.fitting([self.took(method)] * BATCH)

    def learn(self, commands: Sequence[Command], answers: Sequence[Answer], elapsed: float) -> None:
        """Update the measured times from the answers to one request that took `elapsed` seconds."""
        seconds_by_method: dict[str, list[float]] = {}
        for command, answer in zip(commands, answers, strict=True):
            failure = answer.failure
            if answer.seconds is not None:
                seconds_by_method.setdefault(command.method, []).append(answer.seconds)
            elif failure is not None and failure.kind is FailureKind.UNCERTAIN:
                # It may have been carried out, and no answer says how long it took: its share of
                # the wait is counted.
                seconds_by_method.setdefault(command.method, []).append(elapsed / len(commands))
            self._learn_operating(command.method, answer)
        for method, times in seconds_by_method.items():
            mean = sum(times) / len(times)
            self._took[method] = rate_limit.recent(self._took.get(method), mean)

    def operating(self) -> dict[str, float]:
        """Return the operating time of each method that counts now, in seconds."""
        now = self._seconds()
        return {
            method: round(rate_limit.used(known, now), 1)
            for method, known in list(self._operating.items())
        }

    def refused(self, method: str) -> None:
        """Record that the portal refused a method because its operating time is used up."""
        known = self._operating.get(method)
        self._keep(method, rate_limit.exhausted(known, self._seconds()))

    def _learn_operating(self, method: str, answer: Answer) -> None:
        if answer.operating is not None:
            now = self._seconds()
            reset_at, finished_at = answer.operating_reset_at, answer.finished_at
            self._keep(method, rate_limit.measured(answer.operating, reset_at, finished_at, now))
        elif answer.failure is None:
            self._operating.pop(method, None)  # it answers, and counts nothing

    def _keep(self, method: str, operating: Operating) -> None:
        if method not in self._operating:
            gauge = self._metrics.operating_seconds.labels(self._portal, method)
            gauge.set_function(
                lambda: rate_limit.used(self._operating.get(method), self._seconds())
            )
        self._operating[method] = operating

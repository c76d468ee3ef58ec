"""Adds up the operating time of each method over ten buckets of a minute, as the portal does.

The portal does not count calls under 0.1 s; here every call counts, which is stricter.
"""

from dataclasses import dataclass, field

LIMIT_SECONDS = 420.0  # the module's own; the documentation's 480 is an example
MINUTE = 60
MINUTES = 10


@dataclass(slots=True)
class OperatingTime:
    """The seconds used, by method and minute. `added` is what a test adds to them, by method."""

    added: dict[str, float] = field(default_factory=dict)
    most: dict[str, float] = field(default_factory=dict)
    _spent: dict[str, dict[int, float]] = field(default_factory=dict)

    def spend(self, method: str, seconds: float, now: float) -> None:
        """Add the seconds of a call."""
        spent = self._recent(method, now)
        minute = int(now // MINUTE)
        spent[minute] = spent.get(minute, 0.0) + seconds
        self.most[method] = max(self.most.get(method, 0.0), self.used(method, now))

    def used(self, method: str, now: float) -> float:
        """Return the sum of the last ten minutes."""
        return self.added.get(method, 0.0) + sum(self._recent(method, now).values())

    def reset_at(self, method: str, now: float) -> int:
        """Return when the oldest minute is forgotten."""
        oldest = min(self._recent(method, now), default=int(now // MINUTE))
        return (oldest + MINUTES) * MINUTE

    def is_over(self, method: str, now: float) -> bool:
        """Return whether the next call is refused."""
        return self.used(method, now) > LIMIT_SECONDS

    def _recent(self, method: str, now: float) -> dict[int, float]:
        oldest = int(now // MINUTE) - MINUTES
        spent = {m: s for m, s in self._spent.get(method, {}).items() if m > oldest}
        self._spent[method] = spent
        return spent

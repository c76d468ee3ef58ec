"""Holds the next time at which something is done, and forgives a clock that was set back."""

from datetime import datetime, timedelta


class DueTime:
    """The time at which something is due next: at once to begin with.

    A time further ahead than `longest` was set by a clock that was ahead: it is due now.
    """

    def __init__(self, longest: timedelta) -> None:
        self._longest = longest
        self._at: datetime | None = None

    def is_over(self, now: datetime) -> bool:
        """Return whether it is due."""
        return self._at is None or not now < self._at <= now + self._longest

    def set(self, at: datetime) -> None:
        """Set the time."""
        self._at = at

    def hasten(self, at: datetime) -> None:
        """Set the time, unless it is due sooner."""
        if self._at is not None:
            self._at = min(self._at, at)

    def seconds_left(self, now: datetime) -> float:
        """Return in how many seconds it is due."""
        if self._at is None or self.is_over(now):
            return 0.0
        return (self._at - now).total_seconds()

"""Remembers which rows of offline events were stored, while the portal may still have them.

The time of a row's last change is known to the second. A row that is stored and judged, and changes
once more within that second, looks as it did. So a row that stays in the portal is stored a second
time, once that second must be over, and after that only if it looks otherwise.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from responder.bitrix24.events.offline_rows import OfflineRow

Key = tuple[int, str]
K = TypeVar("K")
V = TypeVar("V")

MOST_REMEMBERED = 10_000  # the oldest is forgotten, and stored again if it is still there
A_SECOND_IS_OVER = timedelta(seconds=2)


class StoredRows:
    """The rows of one portal that were stored, by number and time of their last change."""

    def __init__(self) -> None:
        self._first_at: dict[Key, datetime] = {}
        self._settled: dict[Key, None] = {}

    def is_due(self, row: OfflineRow, listed_at: datetime) -> bool:
        """Return whether a row that was listed at this time is to be stored, perhaps again."""
        if row.key in self._settled:
            return False
        first_at = self._first_at.get(row.key)
        return first_at is None or abs(listed_at - first_at) >= A_SECOND_IS_OVER

    def add(self, rows: Sequence[OfflineRow], listed_at: datetime, now: datetime) -> None:
        """Record that rows are stored, as a list that was asked for at `listed_at` showed them."""
        for row in rows:
            if row.key not in self._first_at:
                self._first_at[row.key] = now
            elif abs(listed_at - self._first_at[row.key]) >= A_SECOND_IS_OVER:
                self._settled[row.key] = None
        forget_oldest(self._first_at)
        forget_oldest(self._settled)

    def remove(self, rows: Sequence[OfflineRow]) -> None:
        """Forget rows that are no longer in the portal."""
        for row in rows:
            self._first_at.pop(row.key, None)
            self._settled.pop(row.key, None)


def forget_oldest(remembered: dict[K, V]) -> None:
    """Delete what was remembered first, where there is more than is remembered."""
    for key in list(remembered)[: max(0, len(remembered) - MOST_REMEMBERED)]:
        del remembered[key]

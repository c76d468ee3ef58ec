"""Logs the rows of a portal's list of workflows that make no sense, each once in ten minutes."""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from responder.bitrix24.lists.malformed_rows import OddRows

NAMED_FOR = timedelta(minutes=10)
AT_ONCE = 20

log = structlog.get_logger()


class RowWarnings:
    """The warnings about rows of one portal that were logged lately."""

    def __init__(self, portal: str, now: Callable[[], datetime]) -> None:
        self._portal = portal
        self._now = now
        self._named: dict[str, datetime] = {}

    def warn(self, odd: OddRows) -> None:
        """Log the rows that were not logged in the last ten minutes."""
        now = self._now()
        lately = {row for row, at in self._named.items() if timedelta(0) <= now - at < NAMED_FOR}
        new = [row for row in odd.rows if row not in lately]
        self._named = {row: at for row, at in self._named.items() if row in lately}
        self._named |= dict.fromkeys(new, now)
        if new:
            log.warning(
                "rows of the portal's list of workflows make no sense, and are left alone",
                portal=self._portal,
                rows=new[:AT_ONCE],
                count=len(new),
            )

"""Counts refused deliveries, and writes the counts every five seconds, for `doctor` and `status`.

A wrong token shows nowhere else: the portal does not read our answer, and nothing is stored.
However many strangers call, it is one small write in five seconds.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import partial

import structlog

from responder.store.database.engines import StoreUnavailable
from responder.store.group_commit import Commit
from responder.store.inbox import refusals

EVERY_SECONDS = 5.0

log = structlog.get_logger()


class RefusalCounts:
    """The counts of one process that are not written yet."""

    def __init__(self, write: Commit, now: Callable[[], datetime]) -> None:
        self._write = write
        self._now = now
        self._counts: Counter[tuple[str, str]] = Counter()

    def count(self, portal: str | None, why: str) -> None:
        """Count a refused delivery; `why` is one of a few fixed texts."""
        self._counts[portal or refusals.NOBODYS, why] += 1

    async def run(self) -> None:
        """Write the counts every five seconds, until cancelled."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            await self.write()

    async def write(self) -> None:
        """Write the counts; where the store is not available, keep them for the next time."""
        if not self._counts:
            return
        counts, self._counts = self._counts, Counter()
        try:
            await self._write(partial(refusals.note, counts=counts, at=self._now()))
        except StoreUnavailable:
            self._counts.update(counts)
        except Exception:
            # A fault of ours in counting must not end the service.
            log.exception("refused deliveries could not be counted")

"""Counts refused deliveries, and writes the counts down from time to time, for doctor and status.

A token that is wrong shows nowhere else: the portal hears of no answer, and nothing is stored.
However many strangers call, it is one small commit in five seconds.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Protocol

import structlog

from responder.store.database.database import Connection
from responder.store.database.engines import StoreUnavailable
from responder.store.inbox import refusals

EVERY_SECONDS = 5.0

log = structlog.get_logger()


class Writes(Protocol):
    """What commits with all that is written at this moment."""

    def __call__(self, fn: Callable[[Connection], None], /) -> Awaitable[None]:
        """Return when it is durable."""


class Refusing:
    """The counts of one process."""

    def __init__(self, write: Writes, now: Callable[[], datetime]) -> None:
        self._write = write
        self._now = now
        self._counts: Counter[tuple[str, str]] = Counter()

    def note(self, portal: str | None, why: str) -> None:
        """Count a delivery; `why` is one of few words of ours."""
        self._counts[portal or refusals.NOBODYS, why] += 1

    async def run(self) -> None:
        """Write down what was counted, until cancelled."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            await self.keep()

    async def keep(self) -> None:
        """Write down what was counted; where the store is away, the next time is soon enough."""
        if not self._counts:
            return
        counts, self._counts = self._counts, Counter()
        try:
            await self._write(partial(refusals.note, counts=counts, at=self._now()))
        except StoreUnavailable:
            self._counts.update(counts)
        except Exception:
            # A fault of ours in counting must not end the service.
            log.exception("what was refused could not be counted")

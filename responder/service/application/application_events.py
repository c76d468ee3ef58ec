"""Keeps a portal's events coming: registers those of the rules, and reads those that it kept."""

from collections.abc import Callable, Hashable
from datetime import timedelta

import structlog

from responder.judge.context import Context
from responder.service.application.due_time import DueTime
from responder.service.application.offline.offline_reader import OfflineReader
from responder.service.application.registrar import Registrar
from responder.stop.gate import Gate
from responder.store.database.engines import StoreUnavailable
from responder.store.leases import LeaseLost

REST_AFTER_A_FAULT = timedelta(minutes=1)

log = structlog.get_logger()


class ApplicationEvents:
    """The events of one portal's application, under one lease.

    `address` returns where the portal sends events, None where it cannot, or would not be known
    there. `installation` identifies the installed application, None while events may not be
    registered.
    """

    def __init__(
        self,
        context: Context,
        gate: Gate,
        *,
        address: Callable[[], str | None],
        installation: Callable[[], Hashable],
        poll_every: timedelta,
    ) -> None:
        self._context = context
        self._registrar = Registrar(context, gate, address=address, installation=installation)
        self._reader = OfflineReader(context, gate, poll_every)
        self._rest = DueTime(REST_AFTER_A_FAULT)

    async def step(self) -> bool:
        """Register and read what is due. Return False where nothing was."""
        if not self._rest.is_over(self._context.now()):
            return False
        try:
            registered = await self._registrar.step()
            return await self._reader.step() or registered
        except (LeaseLost, StoreUnavailable):
            raise
        except Exception:
            # A fault of ours here must not keep from being judged what was received.
            log.exception("the application's events failed", portal=self._context.portal)
            self._rest.set(self._context.now() + REST_AFTER_A_FAULT)
            return False

    def announce(self) -> None:
        """Read soon: the portal said that it keeps events."""
        self._reader.announce()

    def idle_seconds(self, at_most: float) -> float:
        """Return how long to wait when nothing else is due."""
        rest = self._rest.seconds_left(self._context.now())
        return min(at_most, rest) if rest else self._reader.idle_seconds(at_most)

"""Wakes the drivers of what was stored, and of what another replica tells of (`bell`)."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping

from responder.rules.ruleset import Ruleset
from responder.service.driver.driver import Driver
from responder.service.replicas.election import Leases
from responder.store.commit_batch import Heard
from responder.store.database.bell import About, Bell
from responder.store.database.database import Database


class Waker:
    """Wakes this process's drivers, and tells other replicas of what is theirs to do."""

    def __init__(
        self,
        database: Database,
        drivers: Mapping[str, Driver],
        leases: Leases,
        ruleset: Callable[[], Ruleset],
    ) -> None:
        self._ruleset = ruleset
        self._drivers = drivers
        self._leases = leases
        self._bell = Bell(database, self._rung)
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Listen to other replicas. Call it in the event loop of the drivers."""
        self._loop = asyncio.get_running_loop()
        self._bell.start()

    async def stop(self) -> None:
        """Tell others what is still to be told, and listen no longer."""
        await asyncio.to_thread(self._bell.stop)

    def wake(self, portal: str) -> None:
        """Wake the driver of a portal."""
        self._drivers[portal].wake()

    def stored(self, heard: set[Heard]) -> None:
        """Wake the drivers of portals for which deliveries were stored, here or elsewhere.

        What no rule names is only to be concluded. That is done in bulk when the driver looks the
        next time: to wake it for each would cost more than receiving them.
        """
        may_concern = self._ruleset().may_concern
        portals = {portal for portal, trigger, event in heard if may_concern(trigger, event)}
        elsewhere = {name for name in portals if self._drivers[name].lease is None}
        for name in portals - elsewhere:
            self.wake(name)
        self._bell.ring(elsewhere)

    def _rung(self, about: About, portals: frozenset[str] | None) -> None:
        """Pass on what another replica told; called in the bell's thread."""
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._told, about, portals)

    def _told(self, about: About, portals: frozenset[str] | None) -> None:
        if about is About.FREE:
            self._leases.wake()
            return
        for name, driver in self._drivers.items():
            if portals is None or name in portals:
                driver.wake()

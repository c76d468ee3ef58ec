"""Wakes the drivers of this process for what was stored here.

What another process stored is found by looking, half a second later at most (`poller`).
"""

from collections.abc import Callable, Mapping

from responder.rules.ruleset import Ruleset
from responder.service.driver.driver import Driver
from responder.store.commit_batch import Arrival


class Waker:
    """Wakes this process's drivers, by their portals' names."""

    def __init__(self, drivers: Mapping[str, Driver], ruleset: Callable[[], Ruleset]) -> None:
        self._drivers = drivers
        self._ruleset = ruleset

    def wake(self, portal: str) -> None:
        """Wake the driver of a portal."""
        self._drivers[portal].wake()

    def stored(self, heard: set[Arrival]) -> None:
        """Wake the drivers of portals for which deliveries were stored.

        What no rule names is only to be concluded. That is done in bulk when the driver looks the
        next time: to wake it for each would cost more than receiving them.
        """
        may_concern = self._ruleset().may_concern
        for portal in {name for name, trigger, event in heard if may_concern(trigger, event)}:
            self.wake(portal)

"""Wakes the drivers of this process for deliveries that this process stored.

Deliveries that another process stored are found by `poller`, half a second later at most.
"""

from collections.abc import Callable, Mapping

from responder.rules.ruleset import Ruleset
from responder.service.driver.driver import Driver
from responder.store.commit_batch import Arrival


class Waker:
    """The waking of this process's drivers, by their portals' names."""

    def __init__(self, drivers: Mapping[str, Driver], ruleset: Callable[[], Ruleset]) -> None:
        self._drivers = drivers
        self._ruleset = ruleset

    def wake(self, portal: str) -> None:
        """Wake the driver of a portal."""
        self._drivers[portal].wake()

    def stored(self, heard: set[Arrival]) -> None:
        """Wake the drivers of portals for which deliveries were stored.

        Deliveries that no rule names are only to be concluded. The driver does that in bulk when it
        wakes by itself: waking it for each would cost more than receiving them.
        """
        may_concern = self._ruleset().may_concern
        for portal in {name for name, trigger, event in heard if may_concern(trigger, event)}:
            self.wake(portal)

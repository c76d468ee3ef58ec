"""What a driver works with, for as long as it holds a portal's lease."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from responder.adapters.metrics import Metrics
from responder.bitrix24.client.client import Lane
from responder.bitrix24.facts.templates import Templates
from responder.judge.rules_in_force import RulesInForce
from responder.stop.gate import Gate
from responder.store.database.database import Database

DOCUMENTS = 20  # read one by one; past that it may be cheaper to read all that runs
IDS = 50  # looked for one by one: they go out in one request


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """The gate it writes through, the lane it calls through, what it reads and decides by.

    `leased` tells whether the lease has time left. `enforcing` is the installation's mode.
    `templates` is what readings remember of the portal. `few` documents are read, and `few_ids`
    workflows looked for, one by one whatever it costs.
    """

    gate: Gate
    lane: Lane
    database: Database
    rules: RulesInForce
    templates: Templates
    leased: Callable[[], bool]
    enforcing: bool
    metrics: Metrics
    now: Callable[[], datetime]
    few: int = DOCUMENTS
    few_ids: int = IDS

    @property
    def portal(self) -> str:
        """Name the portal."""
        return self.gate.portal


class Interval:
    """How long a driver leaves alone what it looks at now and then."""

    def __init__(self, length: timedelta) -> None:
        self._length = length
        self._looked_at: datetime | None = None

    def is_over(self, now: datetime) -> bool:
        """Tell whether it is time to look; if so, the next interval begins."""
        # `abs`, for a clock that was set back must not make it longer
        if self._looked_at is not None and abs(now - self._looked_at) < self._length:
            return False
        self._looked_at = now
        return True

    def end(self) -> None:
        """Have it be over at once, because there may be more to see."""
        self._looked_at = None

"""What the judgement of one portal's workflows rests on, and what it may use."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Concatenate, ParamSpec, TypeVar

from responder.adapters.metrics import Metrics
from responder.bitrix24.client.client import Client
from responder.bitrix24.fetch.templates import Templates
from responder.judge.rules_in_force import RulesInForce
from responder.store.database.database import Connection, Database

P = ParamSpec("P")
T = TypeVar("T")

DOCUMENTS = 20  # read one by one; past that it may be cheaper to read all that runs
IDS = 50  # looked for one by one: they go out in one request


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One portal's client, the rules in force, and the database, which it reads and never writes.

    `enforcing` is the installation's mode. `templates` is what readings remember of the portal.
    `few` documents are read, and `few_ids` workflows looked for, one by one whatever it costs.
    """

    client: Client
    database: Database
    rules: RulesInForce
    templates: Templates
    enforcing: bool
    metrics: Metrics
    now: Callable[[], datetime]
    few: int = DOCUMENTS
    few_ids: int = IDS

    @property
    def portal(self) -> str:
        """Name the portal."""
        return self.client.portal.name

    async def read(
        self, query: Callable[Concatenate[Connection, str, P], T], *args: P.args, **named: P.kwargs
    ) -> T:
        """Ask the database something about the portal: `query(connection, portal, …)`."""
        return await self.database.reading(lambda conn: query(conn, self.portal, *args, **named))


class Interval:
    """How long a driver leaves alone what it looks at now and then."""

    def __init__(self, length: timedelta) -> None:
        self._length = length
        self._checked_at: datetime | None = None

    def is_over(self, now: datetime) -> bool:
        """Tell whether it is time to look; if so, the next interval begins."""
        # `abs`, for a clock that was set back must not make it longer
        if self._checked_at is not None and abs(now - self._checked_at) < self._length:
            return False
        self._checked_at = now
        return True

    def end(self) -> None:
        """Have it be over at once, because there may be more to see."""
        self._checked_at = None

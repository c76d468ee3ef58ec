"""Holds what judging one portal's workflows needs: client, rules, database, cached templates."""

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
IDS = 50  # searched for one by one: they go out in one request


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One portal's client, the rules in force, and the database, which judging never writes.

    `enforcing` is the installation's mode; whether rules may act on this portal is `acts`, and
    nothing else decides it. `templates` caches the portal's templates, users and
    stages. Up to `few` documents are read, and up to `few_ids` workflows searched for by their ids,
    one by one whatever that costs.
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
        """Return the portal's name."""
        return self.client.portal.name

    @property
    def acts(self) -> bool:
        """Return whether rules in enforce or approve mode may act on this portal now."""
        return self.enforcing and not self.client.withheld

    @property
    def why_observed(self) -> str | None:
        """Return why the portal is only observed although the installation enforces, or None."""
        if not self.enforcing or self.why_doubted is None:
            return None
        return f"the portal is observed, not acted upon: {self.why_doubted}"

    @property
    def why_doubted(self) -> str | None:
        """Return why what the portal does not list may run all the same, or None."""
        if not self.client.withheld:
            return None
        return f"it answers otherwise on {', '.join(sorted(self.client.withheld))}"

    async def read(
        self, query: Callable[Concatenate[Connection, str, P], T], *args: P.args, **named: P.kwargs
    ) -> T:
        """Return the result of `query(connection, portal, …)`, run in a read of the database."""
        return await self.database.reading(lambda conn: query(conn, self.portal, *args, **named))


class Interval:
    """The pause between two checks of something that a driver checks now and then."""

    def __init__(self, length: timedelta) -> None:
        self._length = length
        self._checked_at: datetime | None = None

    def is_over(self, now: datetime) -> bool:
        """Return whether the interval is over; if so, start the next one."""
        # `abs`: a clock that was set back must not lengthen the interval
        if self._checked_at is not None and abs(now - self._checked_at) < self._length:
            return False
        self._checked_at = now
        return True

    def end(self) -> None:
        """End the interval at once, because there may be more to do."""
        self._checked_at = None

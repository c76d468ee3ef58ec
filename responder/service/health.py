"""Reports the state of this process for `/readyz` and the pages: the store, rules and portals."""

from collections.abc import Callable, Mapping
from datetime import datetime

from responder.bitrix24.client.client import Client
from responder.judge.rules_in_force import RulesInForce
from responder.service.driver.driver import Driver
from responder.service.replicas.election import Leases
from responder.settings.settings import Settings
from responder.store import client_state, limits
from responder.store.applications import report
from responder.store.canonical_json import instant_text
from responder.store.database.database import Database, is_current
from responder.store.database.engines import StoreUnavailable
from responder.store.group_commit import SharedCommit


class Health:
    """The state of this process. While `draining` it is not ready, though it still receives."""

    def __init__(
        self,
        settings: Settings,
        *,
        rules: RulesInForce,
        database: Database,
        commits: SharedCommit,
        leases: Leases,
        clients: Mapping[str, Client],
        drivers: Mapping[str, Driver],
        now: Callable[[], datetime],
    ) -> None:
        self.draining = False
        self._settings = settings
        self._mode = settings.mode
        self._rules = rules
        self._database = database
        self._commits = commits
        self._leases = leases
        self._clients = clients
        self._drivers = drivers
        self._now = now

    async def ready(self) -> tuple[bool, dict[str, object]]:
        """Return whether we can receive, and the detail: store, rules, portals, replicas."""
        writable, current, why = await self._store()
        tripped, paused, observed = await self._withheld() if writable else ([], None, {})
        applications = await self._applications() if writable else {}
        detail: dict[str, object] = {
            "mode": self._mode.value,
            "store": {"writable": writable, "schema_is_current": current, "error": why},
            "rules": {
                "revision": self._rules.ruleset.revision,
                "since": instant_text(self._rules.since),
                "error": self._rules.error,
            },
            "portals": {
                name: {
                    **self.portal(name),
                    **applications.get(name, {}),
                    "probe": _probe(client, observed.get(name, {})),
                }
                for name, client in self._clients.items()
            },
            "replicas": {
                "alive": max(1, len(self._leases.replicas.alive)),
                "other_rules": self._leases.other_rules(),
            },
            "tripped": sorted({trip.rule for trip in tripped}),
            "paused": paused,
            "draining": self.draining,
        }
        return writable and bool(current) and not self.draining, detail

    def portal(self, name: str) -> dict[str, object]:
        """Return the state of a portal as this process sees it."""
        client = self._clients[name]
        of_portal = client.breakers.of_portal
        return {
            "breaker": of_portal.code if of_portal else None,
            "methods": {method: b.code for method, b in client.breakers.opened.items() if method},
            "unreachable_since": instant_text(client.away_since) if client.away_since else None,
            "driving": self._drivers[name].lease is not None,
            "webhook_silent": client.silent,
        }

    async def _applications(self) -> dict[str, dict[str, object]]:
        """Return by portal how its local application stands, under the key `application`."""
        if not any(given.domain for given in self._settings.portals.values()):
            return {}
        found = await self._database.reading(
            lambda conn: report.every(conn, self._settings, self._now())
        )
        return {name: {"application": one} for name, one in found.items()}

    async def _store(self) -> tuple[bool, bool | None, str | None]:
        try:
            await self._commits.write(self._database.touch)
            return True, await self._database.reading(is_current), None
        except StoreUnavailable as error:
            return False, None, str(error)

    async def _withheld(self) -> tuple[list[limits.Trip], bool, dict[str, dict[str, str]]]:
        """Read what keeps rules from acting: trips, a pause, and portals that answer otherwise."""
        return await self._database.reading(
            lambda conn: (
                limits.tripped(conn),
                limits.paused(conn) is not None,
                client_state.withheld(conn),
            )
        )


def _probe(client: Client, differs: Mapping[str, str]) -> dict[str, object]:
    """Return what a portal answers otherwise, and when this process last asked it."""
    asked_at = None if client.asked_at is None else instant_text(client.asked_at)
    return {"asked_at": asked_at, "differs": differs}

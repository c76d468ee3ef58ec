"""Reports the state of this process for `/readyz` and the pages: the store, rules and portals."""

from collections.abc import Callable, Mapping
from datetime import datetime

from responder.bitrix24.client.client import Client
from responder.judge.rules_in_force import RulesInForce
from responder.service.alarms import reading
from responder.service.alarms.alarm_kinds import alarms
from responder.service.alarms.known import Here, Known
from responder.service.alarms.standing_alarms import with_since
from responder.service.driver.driver import Driver
from responder.service.replicas.election import Leases
from responder.settings.settings import Settings
from responder.store.canonical_json import instant_text
from responder.store.database.database import Connection, Database, is_current
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
        if writable:
            known = await self._database.reading(self.known)
        else:
            why = why or "it cannot be written"
            known = reading.without_database(self._settings, self.here(), self._now(), why)
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
                    **_application(known, name),
                    "probe": _probe(client, known.withheld.get(name, {})),
                }
                for name, client in self._clients.items()
            },
            "replicas": {
                "alive": max(1, len(self._leases.replicas.alive)),
                "other_rules": self._leases.other_rules(),
            },
            "tripped": sorted({trip.rule for trip in known.trips}),
            "paused": known.paused is not None if writable else None,
            "alarms": [one.to_json() for one in with_since(alarms(known), known.records)],
            "draining": self.draining,
        }
        return writable and bool(current) and not self.draining, detail

    def here(self) -> Here:
        """Return what this process sees that no row says. Any thread may call this."""
        driven = [name for name, driver in self._drivers.items() if driver.lease is not None]
        return Here(
            rules_error=self._rules.error,
            free_bytes=self._database.free_bytes(),
            away={name: self._clients[name].away_since for name in driven},
            silent={name: self._clients[name].silent for name in driven},
        )

    def known(self, conn: Connection) -> Known:
        """Read what alarms are made of."""
        return reading.known(conn, self._settings, self.here(), self._now())

    def portal(self, name: str) -> dict[str, object]:
        """Return the state of a portal as this process sees it."""
        client = self._clients[name]
        of_portal = client.breakers.of_portal
        return {
            "breaker": of_portal.code if of_portal else None,
            "methods": {method: b.code for method, b in client.breakers.opened.items() if method},
            "unreachable_since": instant_text(client.away_since) if client.away_since else None,
            "driving": self._drivers[name].lease is not None,
            "webhook_silent": bool(client.silent),
            "bucket": round(client.level(), 1),
            "operating": client.operating(),
        }

    async def _store(self) -> tuple[bool, bool | None, str | None]:
        try:
            await self._commits.write(self._database.touch)
            return True, await self._database.reading(is_current), None
        except StoreUnavailable as error:
            return False, None, str(error)


def _application(known: Known, portal: str) -> dict[str, object]:
    """Return how a portal's local application stands, where the settings name one."""
    found = known.applications.get(portal)
    return {} if found is None else {"application": found}


def _probe(client: Client, differs: Mapping[str, str]) -> dict[str, object]:
    """Return what a portal answers otherwise, and when this process last asked it."""
    asked_at = None if client.asked_at is None else instant_text(client.asked_at)
    return {"asked_at": asked_at, "differs": differs}

"""Sets the gauges of the metrics every two seconds from what is in the database.

All replicas read the same and report the same, except for what each of them drives.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

import structlog

from responder.adapters.metrics import Metrics
from responder.journal import chain
from responder.journal.notices import outbox
from responder.journal.reading import counts
from responder.judge.rules_in_force import RulesInForce
from responder.judge.run_scope import SWEEP, swept_rules
from responder.model import OPEN_OUTCOMES
from responder.service.alarms.alarm import Kind, Severity
from responder.service.alarms.alarm_kinds import alarms
from responder.service.alarms.known import Known
from responder.store import sweep_runs
from responder.store.database.database import Connection, Database
from responder.store.database.engines import StoreUnavailable
from responder.store.inbox import inbox

EVERY_SECONDS = 2.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """The values that one read of the database found."""

    depth: dict[str, tuple[int, datetime]]
    known: Known
    heads: dict[str, int]
    sweeps: dict[str, datetime]
    notices: int
    stops: counts.Counts


class Gauges:
    """The gauges of one process.

    `driving` returns the portals that it drives now, `known` what alarms are made of; `sweeps` is
    False where the sweep is off.
    """

    def __init__(
        self,
        metrics: Metrics,
        *,
        database: Database,
        rules: RulesInForce,
        known: Callable[[Connection], Known],
        portals: Collection[str],
        driving: Callable[[], Collection[str]],
        sweeps: bool,
        now: Callable[[], datetime],
    ) -> None:
        self._metrics = metrics
        self._database = database
        self._rules = rules
        self._known = known
        self._portals = list(portals)
        self._driving = driving
        self._sweeps = sweeps
        self._now = now
        self._shown_ruleset: object = None

    async def run(self) -> None:
        """Measure every two seconds, until cancelled."""
        while True:
            try:
                await self.once()
            except Exception:
                # A fault of ours must not end the service, nor hide the other gauges for good.
                log.exception("measuring failed")
            await asyncio.sleep(EVERY_SECONDS)

    async def once(self) -> None:
        """Set every gauge once."""
        self._set_own()
        try:
            found = await self._database.reading(self._measure)
        except StoreUnavailable as error:
            self._metrics.store_available.set(0)
            away = Known(now=self._now(), portals=self._portals, database_error=str(error))
            self._set_alarms(away)
            return
        self._metrics.store_available.set(1)
        self._set_measured(found)

    def _measure(self, conn: Connection) -> _Measured:
        return _Measured(
            depth=inbox.depth(conn),
            known=self._known(conn),
            heads=chain.heads(conn),
            sweeps=sweep_runs.last_of_all(conn, SWEEP),
            notices=outbox.waiting(conn, self._portals),
            stops=counts.open_stops(conn),
        )

    def _set_own(self) -> None:
        """Set what is known without the database: the portals we drive, and our rules."""
        driving = self._driving()
        for portal in self._portals:
            self._metrics.driving.labels(portal).set(portal in driving)
        self._metrics.rules_load_failed.set(self._rules.error is not None)
        if self._rules.ruleset is not self._shown_ruleset:
            self._shown_ruleset = self._rules.ruleset
            revision = self._rules.ruleset.revision
            self._metrics.rules_in_force(revision, self._rules.since.timestamp())

    def _set_measured(self, found: _Measured) -> None:
        now, known = self._now(), found.known
        self._set_alarms(known)
        ages = [(now - oldest).total_seconds() for _, oldest in found.depth.values()]
        self._metrics.inbox_waiting.set(sum(count for count, _ in found.depth.values()))
        self._metrics.inbox_oldest_age.set(max([0.0, *ages]))
        self._metrics.paused.set(known.paused is not None)
        self._metrics.notifications_waiting.set(found.notices)
        self._metrics.portal_withheld.clear()
        for portal, questions in known.withheld.items():
            for question in questions:
                self._metrics.portal_withheld.labels(portal, question).set(1)
        for portal in self._portals:
            self._metrics.chain_sequence.labels(portal).set(found.heads.get(portal, 0))
            for outcome in OPEN_OUTCOMES:
                count = found.stops.get((portal, outcome.value), 0)
                self._metrics.open_stops.labels(portal, outcome.value).set(count)
            asking = known.asking.get(portal)
            waiting = 0 if asking is None else asking.waiting
            self._metrics.waiting_for_approval.labels(portal).set(waiting)
            self._set_sweep(portal, found.sweeps.get(portal))
        self._set_trips({trip.rule for trip in known.trips})

    def _set_alarms(self, known: Known) -> None:
        """Count the alarms that stand, by kind, severity and portal."""
        found = [one for one in alarms(known) if one.severity is not Severity.WAS_WRONG]
        self._metrics.alarm.clear()
        for one in found:
            labels = (one.kind.value, one.severity.value, one.portal or "")
            self._metrics.alarm.labels(*labels).inc()
        silent = {one.portal for one in found if one.kind is Kind.WEBHOOK_SILENT}
        for portal in self._portals:
            self._metrics.webhook_silent.labels(portal).set(portal in silent)

    def _set_trips(self, tripped: set[str]) -> None:
        rules = self._rules.ruleset.rules
        self._metrics.only_rules({rule.id for rule in rules} | tripped)
        for rule in {rule.id for rule in rules if rule.acts} | tripped:
            self._metrics.tripped(rule, is_tripped=rule in tripped)

    def _set_sweep(self, portal: str, last: datetime | None) -> None:
        """Set when the last sweep was, or remove the gauge where no sweep is expected."""
        if last is not None and self._sweeps and swept_rules(self._rules.ruleset, portal):
            self._metrics.last_sweep_at.labels(portal).set(last.timestamp())
        else:
            self._metrics.last_sweep_at.remove_by_labels({"portal": portal})

"""What keeps condemned workflows from being stopped: the pause, a tripped rule, a limit.

What one rule condemns on one document at once is a *set*. A set that would go over a limit is not
begun: none of it is stopped. Over `per_hour` the rule trips and does nothing until it is rearmed;
over `per_document` that document alone is held, since one document whose workflows are stopped
again and again means that rules fight or that something restarts the workflow.

What a rule in mode `approve` condemns is not begun before somebody approves it, so it is held
against the limits then; what people approve at once is one set. Only the limits of a run count when
the run ends, for nobody should be asked to approve what is certainly too much.

It looks at rows inside the transaction that would commit the intents, so that nothing can change
between looking and committing.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from responder.model import Mode
from responder.rules.ruleset import Ruleset
from responder.runtime.metrics import Metrics
from responder.store import approvals, journal, limits
from responder.store.database import Connection

HOUR = timedelta(hours=1)
DAY = timedelta(hours=24)
FEWEST = 20  # below so many running, a percentage says nothing

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a set is held, and by what it is freed (`pause`, `trip`, `document`)."""

    by: str
    why: str


class Budget:
    """What may be begun in one transaction."""

    def __init__(
        self, tx: Connection, portal: str, ruleset: Ruleset, metrics: Metrics, now: datetime
    ) -> None:
        self._tx = tx
        self._portal = portal
        self._limits = {rule.id: rule.limit for rule in ruleset.rules}
        self._asking = {rule.id for rule in ruleset.rules if rule.mode is Mode.APPROVE}
        self._metrics = metrics
        self._now = now
        self._done: dict[str, int] = {}
        self._paused = limits.paused(tx, lock=True)
        self._tripped = {trip.rule: trip.why for trip in limits.tripped(tx, portal)}

    def hold(
        self,
        rule: str,
        document: str,
        workflows: Collection[str],
        decisions: Collection[str] = (),
        *,
        begun: int = 0,
        approved: Collection[int] = (),
    ) -> Hold | None:
        """Say why this set is not begun, or None where it may be. Trip its rule if need be.

        `decisions` are those of the set that stand in the log already, and are not counted twice;
        `begun` is how much other rules begin on the document in the same evaluation. `approved` are
        the entries by which people approved it: what they approved with it, elsewhere, is of the
        set too.
        """
        paused = self._hold_paused()
        if paused is not None:
            return paused
        if rule not in self._tripped:
            rest = approvals.together(self._tx, self._portal, rule, approved, decisions)
            self._trip_if_over(rule, len(workflows) + rest, decisions)
        return self._hold_tripped(rule) or self._document_hold(
            rule, document, workflows, decisions, begun
        )

    def _hold_paused(self) -> Hold | None:
        if self._paused is None:
            return None
        return Hold(limits.PAUSED, f"everything is paused by {self._paused[1]}")

    def _hold_tripped(self, rule: str) -> Hold | None:
        if rule not in self._tripped:
            return None
        why = f"rule {rule} is tripped: {self._tripped[rule]}; `responder rearm {rule}`"
        return Hold(limits.TRIPPED, why)

    def hold_run(self, rule: str, workflows: Collection[str], running: int) -> Hold | None:
        """Say why what a rule condemned in one run is not begun; trip its rule if need be.

        A rule that asks first begins nothing here: neither the pause nor what it did within an hour
        keeps it from asking.
        """
        asks = rule in self._asking
        if rule not in self._tripped:
            why = self.over_in_run(rule, len(workflows), running)
            if why is not None:
                self._trip(rule, why)
            elif not asks:
                self._trip_if_over(rule, len(workflows))
        tripped = self._hold_tripped(rule)
        if tripped is not None:
            return Hold(limits.RUN, tripped.why)
        return None if asks else self._hold_paused()

    def over_in_run(self, rule: str, count: int, running: int) -> str | None:
        """Say which limit of a run so many condemned would go over."""
        limit = self._limits[rule]
        if limit.per_run is not None and count > limit.per_run:
            return f"{count} condemned in one run, per_run is {limit.per_run}"
        percent = limit.percent_of_running
        if percent is not None and running >= FEWEST and count * 100 > running * percent:
            return f"{count} condemned of {running} running, percent_of_running is {percent}"
        return None

    def would_trip(self, rule: str, document: str, count: int) -> str | None:
        """Say what an observing rule's set would have tripped or held, were it enforced."""
        limit = self._limits[rule]
        done = limits.would_have(self._tx, self._portal, rule, self._now - HOUR)
        if done + count > limit.per_hour:
            return f"enforced, the rule would have tripped: {_sum(count, done, limit.per_hour)}"
        done = limits.would_have_on(self._tx, self._portal, document, self._now - DAY)
        if done + count > limit.per_document:
            why = _on_one_document(document, count, done, limit.per_document)
            return f"enforced, the document would have been held: {why}"
        return None

    def _trip_if_over(self, rule: str, count: int, decisions: Collection[str] = ()) -> None:
        allowed = self._limits[rule].per_hour
        done = self._acted(rule, decisions)
        if done + count > allowed:
            self._trip(rule, _sum(count, done, allowed))

    def _acted(self, rule: str, decisions: Collection[str]) -> int:
        """Count what a rule did within the hour: once, and then what begins here adds to it."""
        if decisions:
            return limits.acted(self._tx, self._portal, rule, self._now - HOUR, decisions)
        if rule not in self._done:
            self._done[rule] = limits.acted(self._tx, self._portal, rule, self._now - HOUR)
        return self._done[rule]

    def began(self, rule: str) -> None:
        """Add a call whose intent was written in this transaction."""
        if rule in self._done:
            self._done[rule] += 1

    def _trip(self, rule: str, why: str) -> None:
        limits.trip(self._tx, self._portal, rule, self._now, why)
        journal.control(
            self._tx, self._portal, self._now, {"control": "trip", "rule": rule, "why": why}
        )
        self._tripped[rule] = why
        self._metrics.rule_tripped.labels(rule).set(1)
        log.warning("a rule has tripped", portal=self._portal, rule=rule, why=why)

    def _document_hold(
        self,
        rule: str,
        document: str,
        workflows: Collection[str],
        decisions: Collection[str],
        begun: int,
    ) -> Hold | None:
        allowed = self._limits[rule].per_document
        done = begun
        done += limits.acted_on(self._tx, self._portal, document, rule, self._now - DAY, decisions)
        if done + len(workflows) <= allowed:
            return None
        why = _on_one_document(document, len(workflows), done, allowed)
        log.warning("a document is held", portal=self._portal, rule=rule, why=why)
        return Hold(limits.DOCUMENT, f"{why}; `responder rearm {rule}`")


def _on_one_document(document: str, count: int, done: int, allowed: int) -> str:
    return (
        f"{count} condemned on {document} and {done} stopped on it within 24 h, per_document is "
        f"{allowed}: rules fight, or the workflow restarts itself"
    )


def _sum(count: int, done: int, allowed: int) -> str:
    return f"{count} condemned at once and {done} within the last hour, per_hour is {allowed}"

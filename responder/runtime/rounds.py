"""One round of a driver: look, read, judge, pass the gate, call, write down what came of it.

Theory of operation: see `driver`. Everything that decides is in `planning` and `stops`, which are
pure; this file moves values between them, the gate and the lane.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from responder.bitrix24 import lookup
from responder.bitrix24.lookup import Reading
from responder.bitrix24.portal import Command, FailureKind
from responder.model import OPEN_OUTCOMES, Action, Outcome, Unknown
from responder.rules.ruleset import Ruleset
from responder.runtime import planning, rejudging, subjects
from responder.runtime.calls import LIMIT_CODES, Called
from responder.runtime.gate import StaleError, take
from responder.runtime.lane import Breaker
from responder.runtime.means import Means
from responder.runtime.patience import REST, Patience
from responder.runtime.planning import Known, Plan
from responder.runtime.proving import Proofs
from responder.runtime.rejudging import Rejudged
from responder.runtime.runner import Runner
from responder.runtime.stops import (
    FACTS_STALE_AFTER,
    LOOK_AGAIN,
    REFUSED_AGAIN,
    Step,
)
from responder.runtime.subjects import Subject
from responder.store import inbox, journal, lanes, looks, rulesets
from responder.store.commits import StoreUnavailable
from responder.store.database import Connection
from responder.store.journal import Stop
from responder.store.lanes import LeaseLost

DOCUMENTS = 20
CLAIMED = 200
CALL_WITHIN = timedelta(seconds=10)
LOST = (FailureKind.BUSY, FailureKind.UNCERTAIN)

log = structlog.get_logger()

Row = Mapping[str, str | None] | Unknown | None


class Rounds:
    """The rounds of one portal's driver, under one lease."""

    def __init__(self, means: Means, runner: Runner) -> None:
        self.portal = means.portal
        self._gate = means.gate
        self._runner = runner
        self._lane = means.lane
        self._database = means.database
        self._rules = means.rules
        self._templates = means.templates
        self._enforcing = means.enforcing
        self._metrics = means.metrics
        self._now = means.now
        self._patience = Patience(means.portal)
        self._proofs = Proofs(means)

    async def load(self) -> None:
        """Go on where the last driver was: its bucket and its open breakers."""

        def read(conn: Connection) -> tuple[tuple[float, float] | None, list[Breaker]]:
            return lanes.bucket(conn, self.portal), [
                Breaker(
                    method=row.method,
                    code=row.code,
                    opened_at=row.opened_at,
                    probe_at=row.probe_at,
                )
                for row in lanes.breakers(conn, self.portal)
            ]

        self._lane.resume(*await self._database.reading(read))

    async def round(self) -> bool:
        """Do what is due. Return False when nothing was."""
        await self._lane.probe()
        done = False
        if self._lane.shut is None:
            looked = await self._look()
            judged = await self._judge()
            done = await self._runner.step() or judged or looked
        await self._keep_breakers()
        return done

    def idle_seconds(self, at_most: float) -> float:
        """Say how long to wait when nothing is due: until the first document has rested."""
        return self._patience.until_the_first(self._now(), at_most)

    async def _look(self) -> bool:
        """Look for the workflows of stops in doubt and of fresh kills, by their ids."""
        now = self._now()

        def read(conn: Connection) -> tuple[list[Stop], list[Stop]]:
            doubted = journal.due(conn, self.portal, now, Outcome.IN_DOUBT)
            return doubted, journal.to_verify(conn, self.portal, now)

        doubted, fresh = await self._database.reading(read)
        if not doubted and not fresh:
            return False
        ids = list(dict.fromkeys(stop.workflow_id for stop in (*doubted, *fresh)))
        found = await lookup.present(self._lane.send, ids)
        seen_at = self._now()
        steps = [
            (stop, rejudging.after_look(stop, found[stop.workflow_id], seen_at)) for stop in doubted
        ]

        def write(tx: Connection) -> None:
            for stop, taken in steps:
                take(tx, stop.decision_id, taken, seen_at)
            for stop in fresh:
                self._verify(tx, stop, found[stop.workflow_id], seen_at)

        await self._gate.write(write)
        for stop, taken in steps:
            self._tell(stop, taken, None)
        return True

    def _verify(self, tx: Connection, stop: Stop, row: Row, now: datetime) -> None:
        """Write down that a stopped workflow stayed away, or have one that came back judged."""
        if isinstance(row, Unknown):
            journal.verify_later(tx, stop.decision_id, now + LOOK_AGAIN)
            return
        journal.verified(tx, stop.decision_id, now, absent=row is None)
        if row is not None:
            looks.schedule(
                tx,
                self.portal,
                stop.document.ref,
                stop.trigger,
                stop.workflow_id,
                stop.event_names,
                now,
            )

    async def _judge(self) -> bool:
        """Judge what is due and act on it."""
        ruleset = self._rules.ruleset
        gathered = await self._database.reading(self._subjects)
        idle = [s for s in gathered if s.stop is None and not s.rules(ruleset)]
        asked = self._first([s for s in gathered if s.stop is not None or s.rules(ruleset)])
        if idle:
            await self._conclude_idle(idle, ruleset)
        if asked:
            return await self._judge_guarded(asked, ruleset) or bool(idle)
        return bool(idle)

    def _first(self, asked: Sequence[Subject]) -> list[Subject]:
        """Take the first few documents, with all that is due on each; a suspect one alone."""
        refs = list(dict.fromkeys(subject.ref for subject in asked))
        sound = [ref for ref in refs if not self._patience.is_suspect(ref)]
        first = set(sound[:DOCUMENTS] or refs[:1])
        return [subject for subject in asked if subject.ref in first]

    async def _judge_guarded(self, asked: Sequence[Subject], ruleset: Ruleset) -> bool:
        """Judge; if that fails by a fault of ours, find the document that makes it fail."""
        try:
            return await self._judge_asked(asked, ruleset)
        except (LeaseLost, StoreUnavailable):
            raise
        except Exception:
            refs = sorted({subject.ref for subject in asked})
            wait = REST if len(refs) > 1 else REFUSED_AGAIN
            log.exception("documents could not be judged", portal=self.portal, documents=refs)
            for ref in refs:
                self._patience.suspect(ref, self._now(), wait)
            return len(refs) > 1

    def _subjects(self, conn: Connection) -> list[Subject]:
        """Gather what is due, stops first."""
        now = self._now()
        resting = self._patience.resting(now)
        stops = [
            subjects.of_stop(stop) for stop in journal.due(conn, self.portal, now, Outcome.WAITING)
        ]
        second = [
            subjects.of_look(self.portal, look)
            for look in looks.due(conn, self.portal, now)
            if look.document_ref not in resting
        ]
        waiting = inbox.waiting(conn, self.portal, documents=CLAIMED, skip=resting)
        fresh = [subjects.of_waiting(self.portal, group) for group in waiting]
        early = [
            subjects.of_stop(stop)
            for stop in journal.waiting_on(conn, self.portal, [s.ref for s in fresh if s.ref])
            if stop.due_at is not None and stop.due_at > now and stop.rule in self._timed()
        ]
        return [*stops, *second, *fresh, *early]

    def _timed(self) -> set[str]:
        """Name the rules that wait for their time: any event is one more look at what they wait."""
        rules = self._rules.ruleset.rules
        return {rule.id for rule in rules if rule.wait is not None or rule.during is not None}

    async def _conclude_idle(self, idle: Sequence[Subject], ruleset: Ruleset) -> None:
        """Conclude what no rule names, in bulk, and what concerns no document, one by one."""
        now = self._now()
        plans = planning.without_rules(self.portal, idle)

        def write(tx: Connection) -> None:
            rulesets.keep(tx, ruleset.revision, ruleset.text, now)
            for plan in plans:
                journal.record(tx, plan.evaluation(ruleset, now))
            for subject in idle:
                if subject.look is not None:
                    looks.done(tx, subject.look)

        await self._gate.write(write)
        self._count(plans, now)

    async def _judge_asked(self, asked: Sequence[Subject], ruleset: Ruleset) -> bool:
        """Read what the rules ask for, judge, pass the gate and call."""
        read_at = self._now()
        asks = subjects.asks(asked, ruleset)
        answers = await lookup.gather(
            self._lane.send, list(asks.values()), self._templates, read_at
        )
        readings = dict(zip(asks, answers, strict=True))
        await self._see_whether_away(answers)
        now = self._now()
        deferred = {
            ref for ref, found in readings.items() if self._patience.defers(ref, found, now)
        }
        ready = [s for s in asked if s.stop is not None or s.ref not in deferred]
        if not ready:
            return False
        known = await self._known(readings, ruleset)
        plans, rejudged = self._plan(ready, readings, ruleset, known)
        plans, rejudged, proofs = await self._proofs.prove(plans, rejudged)
        if not timedelta(0) <= self._now() - read_at <= FACTS_STALE_AFTER:
            plans, rejudged = rejudging.too_old(plans, rejudged, self._now())
        try:
            called = await self._gate.pass_through(plans, rejudged, proofs, ruleset)
        except StaleError as stale:
            log.info("judged afresh", portal=self.portal, why=str(stale))
            return True
        now = self._now()
        for plan in plans:
            self._patience.judged(plan.subject.ref, now)
        self._count(plans, now)
        await self._call(called)
        return bool(plans or rejudged)

    async def _see_whether_away(self, answers: Sequence[Reading]) -> None:
        """Ask who we are where something could not be read, to see if it is the portal itself."""
        failures = [answer.failure for answer in answers if answer.failure is not None]
        lost = [one for one in failures if one.kind in LOST and one.code not in LIMIT_CODES]
        if not lost:
            return
        (answer,) = await self._lane.send([Command("profile", {})])
        if answer.failure is not None and answer.failure.kind in LOST:
            self._patience.went_away()
        else:
            self._patience.answered()

    async def _known(self, readings: Mapping[str, Reading], ruleset: Ruleset) -> Known:
        """Read what the journal holds on the workflows at hand."""
        ids = [
            workflow.id
            for reading in readings.values()
            if not isinstance(reading.workflows, Unknown)
            for workflow in reading.workflows
        ]

        def read(conn: Connection) -> Known:
            return Known(
                under_way=journal.under_way(conn, self.portal, ids),
                unchanged=journal.would(conn, self.portal, ids, ruleset.revision),
                shadows=journal.shadows(conn, self.portal, ids),
                shut=self._lane.withheld(),
                away=self._patience.is_away,
            )

        return await self._database.reading(read)

    def _plan(
        self,
        ready: Sequence[Subject],
        readings: Mapping[str, Reading],
        ruleset: Ruleset,
        known: Known,
    ) -> tuple[list[Plan], list[Rejudged]]:
        """Judge each subject; a workflow condemned twice in one round is stopped once."""
        now = self._now()
        plans: list[Plan] = []
        rejudged: list[Rejudged] = []
        for subject in ready:
            reading = readings[subject.ref]
            stop = subject.stop
            if stop is None:
                made = planning.plan(
                    subject, reading, ruleset, enforcing=self._enforcing, known=known, now=now
                )
                plans.append(made)
                known = known.after(made)
            else:
                rejudged.append(
                    rejudging.again(
                        stop, reading, ruleset, enforcing=self._enforcing, known=known, now=now
                    )
                )
        return plans, rejudged

    async def _call(self, called: Sequence[Called]) -> None:
        """Make the calls whose intents are committed, and commit what came of them."""
        if not called:
            return
        if self._slept(called):
            now = self._now()
            steps = [(call, call.not_made(now)) for call in called]
        else:
            answers = await self._lane.send([call.command for call in called])
            now = self._now()
            steps = [
                (call, call.after(answer, now))
                for call, answer in zip(called, answers, strict=True)
            ]

        def write(tx: Connection) -> None:
            for call, taken in steps:
                take(tx, call.decision_id, taken, now)

        await self._gate.insist(write)
        for call, taken in steps:
            self._tell(call, taken, call.received_at)

    def _slept(self, called: Sequence[Called]) -> bool:
        """Say whether the process was stopped between the gate and the call.

        Another may drive by now and have decided otherwise; no fence reaches as far as the portal.
        """
        since = max(self._now() - call.intended_at for call in called)
        return not timedelta(0) <= since <= CALL_WITHIN

    async def _keep_breakers(self) -> None:
        """Copy breakers that opened or closed to the store."""
        if not self._lane.breakers_changed:
            return
        breakers = dict(self._lane.breakers)

        def write(tx: Connection) -> None:
            for row in lanes.breakers(tx, self.portal):
                if row.method not in breakers:
                    lanes.close_breaker(tx, self.portal, row.method)
            for breaker in breakers.values():
                lanes.open_breaker(
                    tx,
                    self.portal,
                    breaker.method,
                    code=breaker.code,
                    at=breaker.opened_at,
                    probe_at=breaker.probe_at,
                )

        await self._gate.write(write)
        self._lane.breakers_changed = False

    def _count(self, plans: Sequence[Plan], now: datetime) -> None:
        """Count the decisions that are final as soon as they are made."""
        for plan in plans:
            for planned in plan.planned:
                decision = planned.decision
                if decision.outcome not in OPEN_OUTCOMES:
                    said = "none" if decision.outcome is None else decision.outcome.value
                    self._final(decision.action, said, plan.subject.received_at, now)

    def _final(
        self, action: Action, outcome: str, received_at: datetime | None, now: datetime
    ) -> None:
        self._metrics.decisions.labels(action.value, outcome).inc()
        if received_at is not None:
            self._metrics.event_to_outcome.observe((now - received_at).total_seconds())

    def _tell(self, stop: Stop | Called, taken: Step, received_at: datetime | None) -> None:
        """Count what came of a stop, and say it in the log."""
        if taken.outcome not in OPEN_OUTCOMES:
            self._final(stop.action, taken.outcome.value, received_at, self._now())
        log.info(
            "a stop went on",
            outcome=taken.outcome.value,
            portal=self.portal,
            workflow=stop.workflow_id,
            rule=stop.rule,
            decision=stop.decision_id,
            receipt=taken.receipt,
            detail=taken.detail,
        )

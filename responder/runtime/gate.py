"""The gate between deciding and acting: the one transaction without which nothing is called.

It checks that this process still drives the portal, that the rules are those that judged, that
nothing is paused or tripped and no limit would be passed; then it writes evaluations, intents with
their evidence, and the conclusion of deliveries, all together. No commit, no call.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from responder.bitrix24.evidence import Evidence, Missing
from responder.model import Mode, Outcome, Unknown
from responder.rules.ruleset import Ruleset
from responder.runtime.budget import Budget, Hold
from responder.runtime.calls import Called
from responder.runtime.lane import Lane, Lead
from responder.runtime.metrics import Metrics
from responder.runtime.planning import KILLING, Plan, Planned
from responder.runtime.rejudging import Rejudged
from responder.runtime.reload import RulesInForce
from responder.runtime.stops import Seen, Standing, Step, step
from responder.runtime.taking import ask_first, take
from responder.store import approvals, journal, lanes, looks, rulesets
from responder.store.commits import SharedCommit, StoreUnavailable
from responder.store.database import Connection
from responder.store.journal import Stop
from responder.store.lanes import Lease

T = TypeVar("T")

CALLS = 50
STUMBLES = (0.2, 0.5, 1.0, 2.0)


class StaleError(Exception):
    """What was judged may not be what is true now: judge afresh."""


class Gate:
    """Writes for one portal, under one lease."""

    def __init__(
        self,
        *,
        portal: str,
        lease: Lease,
        lane: Lane,
        commits: SharedCommit,
        rules: RulesInForce,
        metrics: Metrics,
        now: Callable[[], datetime],
    ) -> None:
        self.portal = portal
        self._lease = lease
        self._lane = lane
        self._commits = commits
        self._rules = rules
        self._metrics = metrics
        self._now = now
        lane.keep = self._keep_bucket

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Commit `work`, if this process still drives the portal."""

        def guarded(tx: Connection) -> tuple[T, Lead]:
            self._guard(tx)
            lead = self._lane.lead()
            lanes.save_bucket(tx, self.portal, lead.level)
            return work(tx), lead

        done, lead = await self._commits.write(guarded)
        self._lane.kept(lead)
        return done

    async def _keep_bucket(self) -> None:
        """Commit the bucket by itself, where requests are made that no other commit counts."""
        await self.write(lambda _tx: None)

    async def insist(self, work: Callable[[Connection], None]) -> None:
        """Commit outcomes even if the store stumbles; past that, the next look finds them out.

        Where nobody knew whether it had been done, and its decisions are settled now, it had been.
        """
        failure: StoreUnavailable | None = None
        for seconds in (0.0, *STUMBLES):
            await asyncio.sleep(seconds)
            try:
                return await self.write(work)
            except StoreUnavailable as error:
                failure = error
            except journal.NotOpen:
                if failure is None:
                    raise
                return None
        assert failure is not None
        raise failure

    async def pass_through(
        self,
        plans: Sequence[Plan],
        rejudged: Sequence[Rejudged],
        evidence: Mapping[str, Evidence | Missing],
        ruleset: Ruleset,
        *,
        most_calls: int = CALLS,
        looked_at: datetime | None = None,
    ) -> list[Called]:
        """Commit evaluations and intents together; return the calls that may now be made.

        What would be called beyond `most_calls` waits for the next round. What was due at
        `looked_at` and is not at hand counts with its set all the same. Raise StaleError when
        the rules have changed, LeaseLost when another process drives the portal, StoreUnavailable
        when nothing could be committed.
        """
        now = self._now()

        def work(tx: Connection) -> list[Called]:
            if self._rules.ruleset.revision != ruleset.revision:
                raise StaleError("the rules have changed")
            rulesets.keep(tx, ruleset.revision, ruleset.text, now)
            budget = Budget(tx, self.portal, ruleset, self._metrics, now)
            writing = _Writing(
                tx, self.portal, ruleset, budget, evidence, now, most_calls, looked_at
            )
            for plan in plans:
                writing.evaluation(plan)
            writing.again(rejudged)
            return writing.called

        return await self.write(work)

    def _guard(self, tx: Connection) -> None:
        lanes.check(tx, self._lease)


class _Writing:
    """What one transaction of the gate writes, and the calls that may be made once it commits."""

    def __init__(
        self,
        tx: Connection,
        portal: str,
        ruleset: Ruleset,
        budget: Budget,
        evidence: Mapping[str, Evidence | Missing],
        now: datetime,
        most_calls: int,
        looked_at: datetime | None,
    ) -> None:
        self.called: list[Called] = []
        self._tx = tx
        self._portal = portal
        self._ruleset = ruleset
        self._budget = budget
        self._evidence = evidence
        self._now = now
        self._most_calls = most_calls
        self._looked_at = looked_at

    def evaluation(self, plan: Plan) -> None:
        """Write an evaluation; a second look that condemned nothing leaves no entry."""
        subject = plan.subject
        if subject.look is not None:
            looks.done(self._tx, subject.look)
            if not any(planned.decision.action in KILLING for planned in plan.planned):
                return
        if plan.look_at is not None and subject.document is not None:
            looks.schedule(
                self._tx,
                self._portal,
                subject.document.ref,
                subject.trigger,
                subject.only,
                subject.events,
                plan.look_at,
            )
        self._overtake(plan)
        holds = self._holds(plan)
        plan = plan.held({**self._observed(plan), **holds})
        recorded = journal.record(self._tx, plan.evaluation(self._ruleset, self._now))
        for decision_id, planned in zip(recorded.decisions, plan.planned, strict=True):
            if planned.step is not None:
                call = _call_of(decision_id, planned, subject.received_at, self._now)
                self._take_first(planned, planned.step, call, holds.get(call.rule))

    def _take_first(self, planned: Planned, first: Step, call: Called, hold: Hold | None) -> None:
        """Write the first step of a new stop."""
        decision = planned.decision
        assert decision.workflow is not None
        if decision.mode is Mode.APPROVE:
            ask_first(self._tx, call.decision_id, first)
        elif hold is not None:
            self._hold(call, hold)
        elif first.call:
            self._intend(call, self._proof(call, decision.workflow.facts, None))

    def _overtake(self, plan: Plan) -> None:
        """Clear what waits to be approved where a rule that asks nobody condemns it now."""
        for planned in plan.planned:
            decision = planned.decision
            if planned.overtakes and decision.workflow is not None and decision.rule is not None:
                workflow_id, rule = decision.workflow.id, decision.rule
                if not approvals.overtake(self._tx, self._portal, workflow_id, rule, self._now):
                    raise StaleError("what waited to be approved was settled meanwhile")

    def _holds(self, plan: Plan) -> dict[str, Hold]:
        """Ask for each rule whether what it condemned may be stopped, all of it or none."""
        holds = {}
        begun = 0  # by other rules of this plan, whose intents are not written yet
        for rule, workflows in plan.sets(Mode.ENFORCE).items():
            hold = self._budget.hold(rule, plan.subject.ref, workflows, begun=begun)
            if hold is not None:
                holds[rule] = hold
            else:
                begun += len(workflows)
        return holds

    def _observed(self, plan: Plan) -> dict[str, str]:
        found = {}
        for rule, workflows in plan.sets(Mode.OBSERVE).items():
            why = self._budget.would_trip(rule, plan.subject.ref, len(workflows))
            if why is not None:
                found[rule] = why
        return found

    def again(self, rejudged: Sequence[Rejudged]) -> None:
        """Write what became of stops that waited; those of one rule and document are a set."""
        sets: dict[tuple[str, str], list[Rejudged]] = {}
        ids = [one.stop.decision_id for one in rejudged]
        waiting = journal.still_waiting(self._tx, self._portal, ids)
        for one in rejudged:
            if one.stop.decision_id not in waiting:
                continue  # cancelled or held while it was judged
            if one.verdict is not None and _may_act(one):
                sets.setdefault((one.stop.document.ref, one.stop.rule), []).append(one)
            else:
                self._settle(one)
        for (document, rule), members in sets.items():
            beside = self._beside(document, rule, {one.stop.decision_id for one in members})
            stops = [*(one.stop for one in members), *beside]
            hold = self._budget.hold(
                rule,
                document,
                {stop.workflow_id for stop in stops},
                {stop.decision_id for stop in stops},
                approved={stop.approval.entry for stop in stops if stop.approval},
            )
            if hold is None:
                for one in members:
                    self._go_on(one)
            else:
                self._hold_all(members, beside, hold)

    def _hold_all(self, members: Sequence[Rejudged], beside: Sequence[Stop], hold: Hold) -> None:
        for one in members:
            self._hold(_call_again(one.stop, one.step.tries, self._now), hold)
        for stop in beside:
            self._hold(_call_again(stop, stop.tries, self._now), hold)

    def _beside(self, document: str, rule: str, at_hand: Collection[str]) -> list[Stop]:
        """Return what else is due of a set: it had no room in this round, and counts with it."""
        if self._looked_at is None:
            return []
        due = journal.due_of(self._tx, self._portal, document, rule, self._looked_at)
        return [stop for stop in due if stop.decision_id not in at_hand]

    def _settle(self, one: Rejudged) -> None:
        """Write the step of a stop that no longer stands, or only observes."""
        take(self._tx, one.stop.decision_id, one.step, self._now)
        if one.look:
            looks.schedule(
                self._tx,
                self._portal,
                one.stop.document.ref,
                one.stop.trigger,
                one.stop.workflow_id,
                one.stop.event_names,
                self._now,
            )

    def _go_on(self, one: Rejudged) -> None:
        """Write the next step of a stop that still stands."""
        if not one.step.call:
            take(self._tx, one.stop.decision_id, one.step, self._now)
            return
        assert one.verdict is not None
        call = _call_again(one.stop, one.step.tries, self._now)
        workflow = one.verdict.workflow.facts
        self._intend(call, self._proof(call, workflow, one.situation.facts))

    def _hold(self, call: Called, hold: Hold) -> None:
        held = step(Outcome.WAITING, Seen.HELD, call.standing, self._now, hold.why)
        take(self._tx, call.decision_id, replace(held, hold=hold.by), self._now)

    def _intend(self, call: Called, proof: Mapping[str, object]) -> None:
        """Write the intent of a call, or put it off to the next round when this one is full."""
        if len(self.called) < self._most_calls:
            journal.intend(self._tx, self._portal, call.decision_id, self._now, proof)
            self._budget.began(call.rule)
            self.called.append(call)
            return
        waits = Step(
            outcome=Outcome.WAITING,
            detail="next in turn",
            due_at=self._now,
            tries=call.standing.tries,
        )
        take(self._tx, call.decision_id, waits, self._now)

    def _proof(
        self, call: Called, workflow: Mapping[str, object], facts: Mapping[str, object] | None
    ) -> dict[str, object]:
        """Return what is kept with an intent; a new one's facts stand with its evaluation."""
        read = self._evidence[call.workflow_id]
        assert isinstance(read, Evidence)
        rules = (rule.text for rule in self._ruleset.rules if rule.id == call.rule)
        proof: dict[str, object] = {
            "workflow": dict(workflow),
            "tasks": [dict(task) for task in read.tasks],
            "template_name": read.template_name,
            "rule": next(rules, None),
            "ruleset": self._ruleset.revision,
        }
        if call.standing.approval is not None:
            proof["approved"] = call.standing.approval._asdict()
        if facts is not None:
            proof["facts"] = {
                path: {"unknown": value.why} if isinstance(value, Unknown) else value
                for path, value in facts.items()
            }
        return proof


def _may_act(one: Rejudged) -> bool:
    """Tell whether a stop that still stands is of a set that is begun now, or waits for its time.

    What only observes is not, nor what asks first and was not approved.
    """
    unapproved = one.verdict is not None and one.verdict.mode is Mode.APPROVE
    return not one.stop.shadow and not (unapproved and one.stop.approval is None)


def _call_of(
    decision_id: str, planned: Planned, received_at: datetime | None, now: datetime
) -> Called:
    decision = planned.decision
    assert decision.workflow is not None
    assert decision.rule is not None
    return Called(
        decision_id=decision_id,
        workflow_id=decision.workflow.id,
        rule=decision.rule,
        standing=Standing(
            action=decision.action, tries=0, condemned_at=now, called_at=now, calls=1
        ),
        received_at=received_at,
    )


def _call_again(stop: Stop, tries: int, now: datetime) -> Called:
    return Called(
        decision_id=stop.decision_id,
        workflow_id=stop.workflow_id,
        rule=stop.rule,
        standing=Standing(
            action=stop.action,
            tries=tries,
            condemned_at=stop.condemned_at,
            called_at=now,
            calls=stop.calls + 1,
            approval=stop.approval,
        ),
    )

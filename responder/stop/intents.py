"""Writes what passes the gate: evaluations, intents and the next steps of stops (`stop_lifecycle`).

An evaluation is written with its decisions, the stops that they open and the intents of immediate
calls; a stop that was judged afresh is written with its next step. The limiter has decided before
what may be begun (`limiter`): nothing is counted here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from responder.bitrix24.fetch.open_tasks import Evidence, Missing
from responder.journal import approvals, open_stops
from responder.journal import record as journal
from responder.journal.entries import NewIntent, NewOutcome
from responder.journal.open_stops import Stop
from responder.judge import jobs
from responder.judge.plans import Hold, Holds, Plan, Planned
from responder.judge.recheck.recheck import Recheck
from responder.judge.stop_lifecycle import Seen, Step, StopProgress, step
from responder.model import OPEN_OUTCOMES, Mode, Outcome, Unknown
from responder.rules.ruleset import Ruleset
from responder.stop.call import StopCall
from responder.stop.telling.announcer import Announcer, Condemned
from responder.store import limits
from responder.store.database.database import Connection
from responder.store.inbox import second_looks

_UNAPPROVED = Step(
    outcome=Outcome.CLEARED,
    detail="no entry of the log says that somebody approved it, so nothing comes of it",
)

log = structlog.get_logger()


class StaleError(Exception):
    """A judgement that may no longer be true, so its job is to be judged afresh."""


def record_unapproved(
    tx: Connection, decision_id: str, new_step: Step, set_name: str | None, now: datetime
) -> None:
    """Write that a new decision needs approval, and hold it for that if its time has come."""
    approvals.add(tx, decision_id, set_name)
    if new_step.hold == limits.APPROVAL and new_step.due_at is not None:
        approvals.ask(tx, decision_id, new_step.due_at, now)


def record_step(
    tx: Connection, portal: str, decision_id: str, new_step: Step, now: datetime
) -> None:
    """Write the next step of one stop, as `record_steps` does."""
    record_steps(tx, portal, [(decision_id, new_step)], now)


def record_steps(
    tx: Connection, portal: str, steps: Sequence[tuple[str, Step]], now: datetime
) -> None:
    """Write the next steps of stops, by their decisions' ids.

    That is the outcomes first, all in few statements, then the working state of what stays open.
    """
    outcomes = [
        NewOutcome(
            decision_id=decision_id,
            outcome=new_step.outcome,
            receipt=new_step.receipt,
            detail=new_step.detail,
            verify_at=new_step.verify_at,
            perhaps_done=new_step.perhaps_done,
        )
        for decision_id, new_step in steps
        if new_step.outcome not in OPEN_OUTCOMES
    ]
    if outcomes:
        journal.conclude_all(tx, portal, outcomes, now)
    for decision_id, new_step in steps:
        if new_step.outcome in OPEN_OUTCOMES:
            _keep_open(tx, decision_id, new_step, now)


def _keep_open(tx: Connection, decision_id: str, new_step: Step, now: datetime) -> None:
    if new_step.hold == limits.APPROVAL and new_step.due_at is not None:
        approvals.ask(tx, decision_id, new_step.due_at, now)
        return
    journal.postpone(
        tx,
        decision_id,
        new_step.outcome,
        at=now,
        due_at=new_step.due_at,
        tries=new_step.tries,
        detail=new_step.detail,
        unknown_id=new_step.unknown_id,
        hold=new_step.hold,
        ready_at=new_step.ready_at,
        perhaps_done=new_step.perhaps_done,
    )


def still_valid(tx: Connection, portal: str, rechecks: Sequence[Recheck]) -> list[Recheck]:
    """Return the rechecks whose stops were not cancelled, held or freed while they were judged."""
    waiting = open_stops.still_waiting(tx, portal, [one.stop for one in rechecks])
    return [one for one in rechecks if one.stop.decision_id in waiting]


class IntentWriter:
    """The writer of one gate transaction. Its calls may be made once `intend` wrote their intents.

    What many stops have in common is written for all of them at once: a statement for each would
    take most of a storm's time, and deliveries wait meanwhile.
    """

    def __init__(
        self,
        tx: Connection,
        portal: str,
        ruleset: Ruleset,
        evidence: Mapping[str, Evidence | Missing],
        now: datetime,
        most_calls: int,
    ) -> None:
        self._calls: list[StopCall] = []
        self._tx = tx
        self._portal = portal
        self._ruleset = ruleset
        self._evidence = evidence
        self._now = now
        self._most_calls = most_calls
        self._announcer = Announcer(tx, ruleset, now)
        self._intents: list[NewIntent] = []
        self._begun: dict[tuple[str, str], None] = {}  # sets, by rule and name

    def evaluated(self, plans: Sequence[Plan], holds: Sequence[Holds]) -> None:
        """Write evaluations, each with what holds its sets.

        A second look that condemned nothing gets no entry.
        """
        self._write_looks(plans)
        written: list[tuple[Plan, Holds]] = []
        for plan, why in zip(plans, holds, strict=True):
            if plan.job.look is None or plan.condemns:
                self._overtake(plan)
                written.append((plan.held(why), why))
        new = [plan.evaluation(self._ruleset, self._now) for plan, _ in written]
        recorded = journal.record_all(self._tx, new) if new else []
        for (plan, why), entry in zip(written, recorded, strict=True):
            self._first_steps(plan, why, entry)

    def _write_looks(self, plans: Sequence[Plan]) -> None:
        """Delete the second looks that were carried out, and write those that are planned."""
        looks = [plan.job.look for plan in plans if plan.job.look is not None]
        if looks:
            second_looks.done_all(self._tx, looks)
        new = [look for plan in plans for look in plan.next_looks]
        if new:
            second_looks.schedule_all(self._tx, self._portal, new)

    def _first_steps(self, plan: Plan, holds: Holds, recorded: journal.Recorded) -> None:
        """Write the first steps of the stops that an evaluation opens."""
        set_name = plan.set_name or recorded.evaluation
        for decision_id, planned in zip(recorded.decisions, plan.planned, strict=True):
            if planned.step is None:
                continue
            call = _call_of(decision_id, planned, plan.job.received_at, self._now)
            hold = holds.get(call.rule)
            condemned = _condemned_in(plan, planned, call, self._now)
            if self._record_first_step(planned.step, call, hold, condemned, plan.set_name):
                self._begun[call.rule, set_name] = None

    def _record_first_step(
        self,
        first: Step,
        call: StopCall,
        hold: Hold | str | None,
        condemned: Condemned,
        set_name: str | None,
    ) -> bool:
        """Write the first step of a new stop. Return True if it is a call."""
        if isinstance(hold, Hold):
            self._hold(call, hold)
            return False
        self._announcer.went_on(condemned, first)
        if condemned.mode is Mode.APPROVE:
            record_unapproved(self._tx, call.decision_id, first, set_name, self._now)
        elif first.call:
            return self._intend(call, self._proof(call, condemned.workflow, None), condemned)
        return False

    def _overtake(self, plan: Plan) -> None:
        """Clear stops that wait for approval, if an enforcing rule condemns the workflow now."""
        for planned in plan.planned:
            decision = planned.decision
            if planned.overtakes and decision.workflow is not None and decision.rule is not None:
                workflow_id, rule = decision.workflow.id, decision.rule
                if not approvals.clear_unapproved(
                    self._tx, self._portal, workflow_id, rule, self._now
                ):
                    raise StaleError("what waited to be approved was settled meanwhile")

    def rechecked(self, rechecks: Sequence[Recheck], held: Mapping[str, tuple[Stop, Hold]]) -> None:
        """Write the next steps of stops that were judged afresh, and all holds of their sets."""
        for one in rechecks:
            if one.stop.decision_id in held:
                continue
            if not self._is_approved_in_log(one.stop):
                record_step(self._tx, self._portal, one.stop.decision_id, _UNAPPROVED, self._now)
            elif one.verdict is None or not one.may_act:
                self._settle(one)
            elif self._continue_stop(one) and one.stop.set_name is not None:
                self._begun[one.stop.rule, one.stop.set_name] = None
        for stop, hold in held.values():
            self._hold(_call_again(stop, stop.tries, self._now), hold)

    def intend(self) -> list[StopCall]:
        """Write the intents of all calls, and mark their sets as begun; return the calls."""
        if self._intents:
            journal.intend_all(self._tx, self._portal, self._intents, self._now)
        limits.begin(self._tx, self._portal, self._begun, self._ruleset.revision)
        return self._calls

    def _is_approved_in_log(self, stop: Stop) -> bool:
        """Return whether the log has an entry for the approval in a stop's row, if there is one.

        An approval that was written into the rows alone came from nobody whom the log names.
        """
        if stop.approval is None or approvals.is_in_log(self._tx, stop.decision_id, stop.approval):
            return True
        log.error(
            "an approval stands in no entry of the log: somebody else wrote it",
            portal=self._portal,
            decision=stop.decision_id,
            by=stop.approval.by,
        )
        return False

    def _settle(self, one: Recheck) -> None:
        """Write the step of a stop that is not valid any more, only observes or is unapproved."""
        if one.verdict is not None:
            self._announcer.went_on(_condemned_again(one), one.step)
        record_step(self._tx, self._portal, one.stop.decision_id, one.step, self._now)
        if one.look:
            second_looks.schedule(
                self._tx,
                self._portal,
                one.stop.document.ref,
                one.stop.trigger,
                one.stop.workflow_id,
                one.stop.event_names,
                self._now,
                jobs.asked_again(one.stop),
            )

    def _continue_stop(self, one: Recheck) -> bool:
        """Write the next step of a stop that is still valid. Return True if it is a call."""
        condemned = _condemned_again(one)
        if not one.step.call:
            self._announcer.went_on(condemned, one.step)
            record_step(self._tx, self._portal, one.stop.decision_id, one.step, self._now)
            return False
        assert one.verdict is not None
        call = _call_again(one.stop, one.step.tries, self._now, one.verdict.because)
        proof = self._proof(call, condemned.workflow, one.situation.facts)
        return self._intend(call, proof, condemned)

    def _hold(self, call: StopCall, hold: Hold) -> None:
        held = step(Outcome.WAITING, Seen.HELD, call.progress, self._now, hold.why)
        record_step(
            self._tx, self._portal, call.decision_id, replace(held, hold=hold.by), self._now
        )

    def _intend(self, call: StopCall, proof: Mapping[str, object], condemned: Condemned) -> bool:
        """Note the intent of a call, or postpone it to the next round when this one is full."""
        if len(self._calls) < self._most_calls:
            approval = call.progress.approval
            entry = None if approval is None else approval.entry
            new = NewIntent(decision_id=call.decision_id, evidence=proof, approval=entry)
            self._intents.append(new)
            self._announcer.intended(condemned, self._evidence_of(call))
            self._calls.append(call)
            return True
        waits = Step(
            outcome=Outcome.WAITING,
            detail="next in turn",
            due_at=self._now,
            tries=call.progress.tries,
        )
        record_step(self._tx, self._portal, call.decision_id, waits, self._now)
        return False

    def _proof(
        self, call: StopCall, workflow: Mapping[str, object], facts: Mapping[str, object] | None
    ) -> dict[str, object]:
        """Return the evidence that is stored with an intent.

        `facts` is None for a new stop, whose facts are in its evaluation.
        """
        read = self._evidence_of(call)
        rules = (rule.text for rule in self._ruleset.rules if rule.id == call.rule)
        proof: dict[str, object] = {
            "workflow": dict(workflow),
            "tasks": [dict(task) for task in read.tasks],
            "template_name": read.template_name,
            "rule": next(rules, None),
            "ruleset": self._ruleset.revision,
        }
        if call.progress.approval is not None:
            proof["approved"] = call.progress.approval._asdict()
        if facts is not None:
            proof["facts"] = {
                path: {"unknown": value.why} if isinstance(value, Unknown) else value
                for path, value in facts.items()
            }
        return proof

    def _evidence_of(self, call: StopCall) -> Evidence:
        read = self._evidence[call.workflow_id]
        assert isinstance(read, Evidence)
        return read


def _condemned_in(plan: Plan, planned: Planned, call: StopCall, now: datetime) -> Condemned:
    """Return the workflow that a new stop is about, for those who are told of it."""
    workflow, document = planned.decision.workflow, plan.job.document
    assert workflow is not None
    assert document is not None
    return Condemned(
        decision_id=call.decision_id,
        rule=call.rule,
        mode=planned.decision.mode,
        document=document,
        facts=plan.facts,
        workflow=workflow.facts,
        condemned_at=now,
    )


def _condemned_again(one: Recheck) -> Condemned:
    """Return the workflow of a stop that was judged afresh, for those who are told of it."""
    assert one.verdict is not None
    return Condemned(
        decision_id=one.stop.decision_id,
        rule=one.stop.rule,
        mode=one.verdict.mode,
        document=one.stop.document,
        facts=one.situation.facts,
        workflow=one.verdict.workflow.facts,
        condemned_at=one.stop.condemned_at,
    )


def _call_of(
    decision_id: str, planned: Planned, received_at: datetime | None, now: datetime
) -> StopCall:
    decision = planned.decision
    assert decision.workflow is not None
    assert decision.rule is not None
    return StopCall(
        decision_id=decision_id,
        workflow_id=decision.workflow.id,
        rule=decision.rule,
        because=decision.because,
        progress=StopProgress(
            action=decision.action, tries=0, condemned_at=now, called_at=now, calls=1
        ),
        received_at=received_at,
    )


def _call_again(stop: Stop, tries: int, now: datetime, because: str | None = None) -> StopCall:
    return StopCall(
        decision_id=stop.decision_id,
        workflow_id=stop.workflow_id,
        rule=stop.rule,
        because=because,
        progress=StopProgress(
            action=stop.action,
            tries=tries,
            condemned_at=stop.condemned_at,
            called_at=now,
            calls=stop.calls + 1,
            approval=stop.approval,
        ),
    )

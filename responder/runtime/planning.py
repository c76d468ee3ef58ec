"""From a subject and what was read of it to what is written and called: no I/O, no clock.

A plan is made anew each time: nothing in it outlives the round, and the facts it rests on are
seconds old when its intent is committed.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from responder.bitrix24.lookup import Reading
from responder.model import (
    ACTING_MODES,
    Action,
    Condition,
    Judgement,
    Mode,
    Outcome,
    Reason,
    Unknown,
    Verdict,
    Workflow,
)
from responder.rules.decide import judge
from responder.rules.ruleset import Ruleset
from responder.runtime.budget import Hold
from responder.runtime.calls import method
from responder.runtime.stops import Seen, Standing, Step, not_before, step
from responder.runtime.subjects import Subject
from responder.store.inbox import newest_last
from responder.store.journal import NewDecision, NewEvaluation

LOOK_AFTER = timedelta(seconds=10)
KILLING = (Action.KILL, Action.TERMINATE)
WOULD = {Action.KILL: Outcome.WOULD_KILL, Action.TERMINATE: Outcome.WOULD_TERMINATE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One decision to write, and the step that its stop takes first, if it has a stop.

    `overtakes`: its rule asks nobody, and it takes the place of one that waits to be approved.
    """

    decision: NewDecision
    step: Step | None = None
    overtakes: bool = False

    def put_off(self, taken: Step) -> "Planned":
        """Return it with another first step, where its first step was a call."""
        if self.step is None or not self.step.call:
            return self
        decision = replace(
            self.decision, outcome=taken.outcome, detail=taken.detail, due_at=taken.due_at
        )
        return replace(self, decision=decision, step=taken)

    def held(self, holds: Mapping[str, Hold | str]) -> "Planned":
        """Return it as it is written where its rule is held, or, observing, would be."""
        hold = holds.get(self.decision.rule or "")
        if isinstance(hold, Hold) and self.decision.mode in ACTING_MODES:
            decision = replace(self.decision, outcome=Outcome.HELD, detail=hold.why, due_at=None)
            return replace(self, decision=decision)
        if isinstance(hold, str) and self.decision.mode is Mode.OBSERVE:
            return replace(self, decision=replace(self.decision, detail=hold))
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one subject's judgement leads to. `look_at` asks for a second look."""

    subject: Subject
    facts: Mapping[str, object]
    planned: tuple[Planned, ...]
    look_at: datetime | None = None
    running: tuple[Workflow, ...] | Unknown | None = None

    def sets(self, mode: Mode) -> dict[str, set[str]]:
        """Group by rule what is condemned in a mode, whatever it waits for: these are the sets."""
        found: dict[str, set[str]] = {}
        for planned in self.planned:
            decision = planned.decision
            if decision.rule is None or decision.workflow is None or decision.mode is not mode:
                continue
            if decision.action in KILLING:
                found.setdefault(decision.rule, set()).add(decision.workflow.id)
        return found

    def held(self, holds: Mapping[str, Hold | str]) -> "Plan":
        """Return it as it is written where rules are held, or, observing, would be."""
        return replace(self, planned=tuple(planned.held(holds) for planned in self.planned))

    @property
    def calls(self) -> int:
        """Say how many calls it asks for."""
        return sum(1 for planned in self.planned if planned.step is not None and planned.step.call)

    @property
    def begun(self) -> set[str]:
        """Name the workflows whose stops begin with it."""
        return {
            planned.decision.workflow.id
            for planned in self.planned
            if planned.step is not None and planned.decision.workflow is not None
        }

    @property
    def condemned(self) -> list[Workflow]:
        """Return the workflows that would be called now, were all their rules enforced."""
        return [
            planned.decision.workflow
            for planned in self.planned
            if planned.decision.workflow is not None
            and (
                planned.decision.outcome in WOULD.values()
                or (planned.step is not None and planned.step.call)
            )
        ]

    def evaluation(self, ruleset: Ruleset, now: datetime) -> NewEvaluation:
        """Return what the journal records."""
        return NewEvaluation(
            portal=self.subject.portal,
            at=now,
            trigger=self.subject.trigger,
            event=self.subject.newest,
            event_names=self.subject.events,
            document=self.subject.document,
            ruleset=ruleset.revision,
            facts=self.facts,
            decisions=tuple(planned.decision for planned in self.planned),
            deliveries=self.subject.deliveries,
            received_at=self.subject.received_at,
            running=self.running,
            only=self.subject.only,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the journal already holds on the workflows at hand, and which methods are shut.

    `under_way` are the ids with an open stop, `asked` those of them whose stop is held until
    somebody approves it, `unchanged` the (workflow, rule, action) whose newest decision is the same
    `would_kill` by this revision, `shadows` the (workflow, rule) whose time an observing rule waits
    for.
    """

    under_way: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    unchanged: Collection[tuple[str, str, Action]] = ()
    shadows: Collection[tuple[str, str]] = ()
    shut: Mapping[str, str] = field(default_factory=dict)
    away: bool = False

    def also(self, other: "Known") -> "Known":
        """Return what is known of these workflows, and of others."""
        return replace(
            self,
            under_way=self.under_way | other.under_way,
            asked=self.asked | other.asked,
            unchanged={*self.unchanged, *other.unchanged},
            shadows={*self.shadows, *other.shadows},
        )

    def begin(self, plan: Plan) -> None:
        """Take in what a plan's stops have begun; a new one for each would be copied for each."""
        self.under_way.update(plan.begun)
        self.asked.difference_update(plan.begun)


def nothing(reason: Reason, detail: str | None = None) -> Planned:
    """Plan the one decision of an evaluation in which nothing is condemned."""
    return Planned(decision=_none(reason, (), detail))


def without_rules(portal: str, idle: Sequence[Subject]) -> list[Plan]:
    """Plan for what no rule names: one evaluation for all, and one for each without a document."""
    plans = [
        Plan(subject=subject, facts={}, planned=(nothing(Reason.NO_DOCUMENT),))
        for subject in idle
        if subject.document is None
    ]
    named_by_none = [s for s in idle if s.document is not None and s.deliveries]
    if named_by_none:
        plans.append(unnamed(_together(portal, named_by_none)))
    return plans


def unnamed(subject: Subject) -> Plan:
    """Plan for what no rule names."""
    return Plan(subject=subject, facts={}, planned=(nothing(Reason.NO_RULE),))


def _together(portal: str, unnamed: Sequence[Subject]) -> Subject:
    in_order = sorted(unnamed, key=lambda subject: max(subject.deliveries))
    events = newest_last(name for subject in in_order for name in subject.events)
    received = [s.received_at for s in unnamed if s.received_at is not None]
    return Subject(
        portal=portal,
        document=None,
        trigger="event" if events else "robot",
        events=events,
        deliveries=tuple(d for subject in unnamed for d in subject.deliveries),
        received_at=min(received, default=None),
    )


def plan(
    subject: Subject,
    reading: Reading,
    ruleset: Ruleset,
    *,
    enforcing: bool,
    known: Known,
    now: datetime,
) -> Plan:
    """Judge a subject by the rules and say what follows."""
    situation = subject.situation(reading)
    judgement = judge(ruleset, situation, enforcing=enforcing, now=now, only=subject.only)
    planned: list[Planned] = []
    repeated: list[str] = []
    for verdict in judgement.verdicts:
        why = _repeats(verdict, known)
        if why is None:
            planned.append(_decision(verdict, ruleset, known, now))
        else:
            repeated.append(why)
    look_at = None
    if judgement.look_again and subject.deliveries and subject.look is None:
        look_at = now + LOOK_AFTER
    if judgement.reason is not None:
        planned.append(Planned(decision=_rest(judgement, reading, look_at)))
    elif not planned:
        planned.append(nothing(Reason.UNCHANGED, "; ".join(repeated)))
    return Plan(
        subject=subject,
        facts=situation.facts,
        planned=tuple(planned),
        look_at=look_at,
        running=reading.workflows,
    )


def of_run(
    verdicts: Sequence[Verdict], ruleset: Ruleset, *, known: Known, now: datetime
) -> tuple[Planned, ...]:
    """Plan what a run condemned on one document; what it left or repeats is not written.

    Nothing is called from here: what may be is due at once, and is judged afresh then.
    """
    planned = (
        _decision(verdict, ruleset, known, now)
        for verdict in verdicts
        if verdict.action in KILLING and _repeats(verdict, known) is None
    )
    return tuple(_due_at_once(one, now) for one in planned)


def _due_at_once(planned: Planned, now: datetime) -> Planned:
    if planned.step is None or not planned.step.call:
        return planned
    waits = replace(
        planned.step, outcome=Outcome.WAITING, call=False, due_at=now, detail="judged afresh first"
    )
    decision = replace(planned.decision, outcome=Outcome.WAITING, due_at=now, detail=waits.detail)
    return replace(planned, decision=decision, step=waits)


def _repeats(verdict: Verdict, known: Known) -> str | None:
    """Say why a verdict needs no decision of its own: one like it stands already."""
    workflow = verdict.workflow.id
    if verdict.action not in KILLING:
        return None
    if verdict.mode in ACTING_MODES and workflow in known.under_way:
        if _overtakes(verdict, known):
            return None
        return f"the stop of {workflow} is already under way"
    if verdict.mode is Mode.OBSERVE and (workflow, verdict.rule) in known.shadows:
        return f"what {verdict.rule} would do to {workflow} is already waited for"
    if verdict.mode is Mode.OBSERVE and (
        (workflow, verdict.rule, verdict.action) in known.unchanged
    ):
        return f"{WOULD[verdict.action]} of {workflow} by {verdict.rule} stands unchanged"
    return None


def _overtakes(verdict: Verdict, known: Known) -> bool:
    return verdict.mode is Mode.ENFORCE and verdict.workflow.id in known.asked


def _decision(verdict: Verdict, ruleset: Ruleset, known: Known, now: datetime) -> Planned:
    """Plan one decision: what is left and what is only observed is settled with it."""
    if verdict.action is Action.LEAVE:
        return Planned(decision=_written(verdict, Outcome.LEFT, None, None))
    standing = Standing(action=verdict.action, tries=0, condemned_at=now)
    first = next_step(verdict, ruleset, standing, known, now)
    decision = _written(verdict, first.outcome, first.detail, first.due_at)
    if verdict.mode is Mode.OBSERVE:
        return Planned(decision=decision)
    return Planned(decision=decision, step=first, overtakes=_overtakes(verdict, known))


def next_step(
    verdict: Verdict, ruleset: Ruleset, standing: Standing, known: Known, now: datetime
) -> Step:
    """Say what a condemned workflow's stop does next: wait for its time, for the portal, or act."""
    rule = next(rule for rule in ruleset.rules if rule.id == verdict.rule)
    if rule.wait is not None and now < standing.condemned_at + rule.wait:
        at = standing.condemned_at + rule.wait
        return not_before(standing, at, "acts only if all of it still holds then")
    if rule.during is not None and not rule.during.is_open(now):
        at = rule.during.opens_at(now)
        return not_before(standing, at, f"waits for the calendar {rule.during.name} to open")
    if verdict.mode is Mode.OBSERVE:
        return step(Outcome.WAITING, Seen.OBSERVED, standing, now)
    if verdict.mode is Mode.APPROVE and standing.approval is None:
        return step(Outcome.WAITING, Seen.UNAPPROVED, standing, now)
    name = method(verdict.action)
    if name in known.shut:
        return step(Outcome.WAITING, Seen.PORTAL_SHUT, standing, now, f"{name}: {known.shut[name]}")
    executing = may_be_executing(verdict.workflow, now)
    return step(Outcome.WAITING, Seen.EXECUTING if executing else Seen.CONDEMNED, standing, now)


def may_be_executing(workflow: Workflow, now: datetime) -> bool:
    """Say whether the portal may run the workflow at this moment (OWNED_UNTIL in the future).

    Nothing there means that nobody runs it; what cannot be read might be in the future.
    """
    owned_until = workflow.facts.get("workflow.owned_until", Unknown("not told"))
    if owned_until is None or owned_until == "":
        return False
    try:
        return datetime.fromisoformat(str(owned_until)) > now
    except (ValueError, TypeError):
        return True


def _written(
    verdict: Verdict, outcome: Outcome, detail: str | None, due_at: datetime | None
) -> NewDecision:
    return NewDecision(
        workflow=verdict.workflow,
        rule=verdict.rule,
        because=verdict.because,
        action=verdict.action,
        reason=None,
        mode=verdict.mode,
        conditions=verdict.conditions,
        outcome=outcome,
        detail=detail,
        due_at=due_at,
    )


def _rest(judgement: Judgement, reading: Reading, look_at: datetime | None) -> NewDecision:
    details: list[str] = []
    if judgement.reason is Reason.UNREADABLE:
        details.append(_unreadable(reading))
    if look_at is not None:
        details.append("looked at again in 10 s: its workflow may not be listed yet")
    assert judgement.reason is not None
    return _none(judgement.reason, judgement.conditions, "; ".join(details) or None)


def _unreadable(reading: Reading) -> str:
    if isinstance(reading.workflows, Unknown):
        return reading.workflows.why
    if reading.failure is not None:
        return reading.failure.text
    for value in reading.facts.values():
        if isinstance(value, Unknown):
            return value.why
    return "the document is gone"


def _none(reason: Reason, conditions: tuple[Condition, ...], detail: str | None) -> NewDecision:
    return NewDecision(
        workflow=None,
        rule=None,
        because=None,
        action=Action.NONE,
        reason=reason,
        mode=None,
        conditions=conditions,
        outcome=None,
        detail=detail,
        due_at=None,
    )

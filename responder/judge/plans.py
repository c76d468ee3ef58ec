"""Defines the values that a judgement needs and leads to: `Known`, `Plan`, `Planned`, `Hold`.

A plan has the decisions to write and the first steps of the stops that they open.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from responder.journal.entries import NewDecision, NewEvaluation
from responder.judge.jobs import Job
from responder.judge.stop_lifecycle import Step
from responder.model import (
    ACTING_MODES,
    KILLING,
    WOULD_OUTCOMES,
    Action,
    Mode,
    Names,
    Outcome,
    Trigger,
    Unknown,
    Workflow,
)
from responder.rules.ruleset import Ruleset
from responder.store.inbox.second_looks import Look


class Awaited(NamedTuple):
    """An open stop that is judged again: its rule, when, and what set that off (see `Job`)."""

    rule: str
    due_at: datetime
    trigger: Trigger
    events: tuple[str, ...]
    asked: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Hold:
    """The reason a set is held, and what holds it (`pause`, `trip`, `document`)."""

    by: str
    why: str


Holds = Mapping[str, Hold | str]
"""By rule the hold of its set, or a text with what would hold it, were the rule enforced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One decision to write, and the first step of its stop, if it opens one.

    `overtakes`: its rule enforces, and it replaces a stop that waits for approval.
    """

    decision: NewDecision
    step: Step | None = None
    overtakes: bool = False

    def put_off(self, new_step: Step) -> "Planned":
        """Return the decision with another first step, if its first step was a call."""
        if self.step is None or not self.step.call:
            return self
        decision = replace(
            self.decision, outcome=new_step.outcome, detail=new_step.detail, due_at=new_step.due_at
        )
        return replace(self, decision=decision, step=new_step)

    def named(self, names_of: Callable[[Workflow], Names]) -> "Planned":
        """Return the decision with the names of what it condemns; any other as it is."""
        workflow = self.decision.workflow
        if workflow is None or self.decision.action not in KILLING:
            return self
        return replace(self, decision=replace(self.decision, names=names_of(workflow)))

    def held(self, holds: Mapping[str, Hold | str]) -> "Planned":
        """Return the decision as it is written if its rule is held, or, observing, would be."""
        hold = holds.get(self.decision.rule or "")
        if isinstance(hold, Hold) and self.decision.mode in ACTING_MODES:
            decision = replace(self.decision, outcome=Outcome.HELD, detail=hold.why, due_at=None)
            return replace(self, decision=decision)
        if isinstance(hold, str) and self.decision.mode is Mode.OBSERVE:
            return replace(self, decision=replace(self.decision, detail=hold))
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The consequences of one job's judgement. `look_at` is when a second look is due, if any.

    `looks` are second looks at single workflows: their ids, and when they are due.
    All that one rule condemns in a plan is a set. In a plan of a run it is a part of the run's set,
    which `set_name` names; that run counted `running_in_all` workflows.
    """

    job: Job
    facts: Mapping[str, object]
    planned: tuple[Planned, ...]
    look_at: datetime | None = None
    looks: tuple[tuple[str, datetime], ...] = ()
    running: tuple[Workflow, ...] | Unknown | None = None
    set_name: str | None = None
    running_in_all: int | None = None

    def sets(self, mode: Mode) -> dict[str, set[str]]:
        """Return the sets: by rule the workflows condemned in a mode, also those that wait."""
        found: dict[str, set[str]] = {}
        for planned in self.planned:
            decision = planned.decision
            if decision.rule is None or decision.workflow is None or decision.mode is not mode:
                continue
            if decision.action in KILLING:
                found.setdefault(decision.rule, set()).add(decision.workflow.id)
        return found

    def held(self, holds: Mapping[str, Hold | str]) -> "Plan":
        """Return the plan as it is written if rules are held, or, observing, would be."""
        return replace(self, planned=tuple(planned.held(holds) for planned in self.planned))

    @property
    def calls(self) -> int:
        """Return how many calls the plan asks for."""
        return sum(1 for planned in self.planned if planned.step is not None and planned.step.call)

    @property
    def begun(self) -> set[str]:
        """Return the ids of the workflows for which the plan opens a stop."""
        return {
            planned.decision.workflow.id
            for planned in self.planned
            if planned.step is not None and planned.decision.workflow is not None
        }

    @property
    def waiting(self) -> dict[str, Awaited]:
        """Return the stops that the plan opens and that wait first, by their workflows."""
        job = self.job
        asked = None if job.asked is None else frozenset(job.asked)
        return {
            one.workflow.id: Awaited(one.rule, one.due_at, job.trigger, job.events, asked)
            for one in (planned.decision for planned in self.planned if planned.step is not None)
            if one.workflow is not None and one.rule is not None and one.due_at is not None
        }

    @property
    def condemned(self) -> list[Workflow]:
        """Return the workflows that would be called now, were all their rules enforced."""
        return [
            planned.decision.workflow
            for planned in self.planned
            if planned.decision.workflow is not None
            and (
                planned.decision.outcome in WOULD_OUTCOMES
                or (planned.step is not None and planned.step.call)
            )
        ]

    def evaluation(self, ruleset: Ruleset, now: datetime) -> NewEvaluation:
        """Return the evaluation that the journal records."""
        return NewEvaluation(
            portal=self.job.portal,
            at=now,
            trigger=self.job.trigger,
            event=self.job.newest,
            event_names=self.job.events,
            document=self.job.document,
            ruleset=ruleset.revision,
            facts=self.facts,
            decisions=tuple(planned.decision for planned in self.planned),
            deliveries=self.job.deliveries,
            received_at=self.job.received_at,
            running=self.running,
            only=self.job.only,
            asked=self.job.asked,
            set_name=self.set_name,
            running_in_all=self.running_in_all,
        )

    @property
    def condemns(self) -> bool:
        """Return whether a workflow is condemned."""
        return any(planned.decision.action in KILLING for planned in self.planned)

    @property
    def next_looks(self) -> list[Look]:
        """Return the second looks that are to be written."""
        job = self.job
        if job.document is None:
            return []
        whole = () if self.look_at is None else ((job.only, self.look_at),)
        return [
            Look(
                portal=job.portal,
                document_ref=job.ref,
                trigger=job.trigger,
                workflow_id=workflow_id,
                event_names=job.events,
                due_at=due_at,
                asked=None if job.asked is None else frozenset(job.asked),
            )
            for workflow_id, due_at in (*whole, *self.looks)
        ]

    def named(self, names_of: Callable[[Workflow], Names]) -> "Plan":
        """Return the plan with the names of what it condemns, for the log."""
        return replace(self, planned=tuple(one.named(names_of) for one in self.planned))

    def begins(self, rule: str) -> bool:
        """Return whether the plan makes a call for a workflow that this rule condemned."""
        return any(
            planned.decision.rule == rule and planned.step is not None and planned.step.call
            for planned in self.planned
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSets:
    """The workflows that each rule condemned in one run, which counted `running` workflows.

    `before` are those that earlier tries of the run condemned, which could not read everything.
    """

    acting: Mapping[str, Collection[str]]
    observed: Mapping[str, Collection[str]]
    running: int
    before: Mapping[str, Collection[str]]

    @classmethod
    def of(
        cls, plans: Iterable[Plan], running: int, before: Mapping[str, Collection[str]]
    ) -> "RunSets":
        """Group what a run condemned by rule: `acting` enforce or need approval, others observe."""
        acting: dict[str, set[str]] = {}
        observed: dict[str, set[str]] = {}
        for plan in plans:
            for mode in (*ACTING_MODES, Mode.OBSERVE):
                sets = observed if mode is Mode.OBSERVE else acting
                for rule, workflows in plan.sets(mode).items():
                    sets.setdefault(rule, set()).update(workflows)
        return cls(acting=acting, observed=observed, running=running, before=before)

    def in_all(self, rule: str, workflows: Collection[str]) -> int:
        """Return how many workflows a rule condemned in all tries of the run."""
        return len({*workflows, *self.before.get(rule, ())})

    def not_held(self, holds: Holds) -> dict[str, Collection[str]]:
        """Return the sets that are not held."""
        held = {rule for rule, hold in holds.items() if isinstance(hold, Hold)}
        return {
            rule: workflows
            for rule, workflows in (*self.acting.items(), *self.observed.items())
            if rule not in held
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The journal's knowledge of the workflows that are judged, and which methods are withheld.

    `under_way` are the ids with an open stop, `asked` those of them whose stop waits for approval,
    and `waits` has by id the stops that are due some time. `unchanged` are the (workflow, rule,
    action) that have a `would_kill` by this revision already, `shadows` the (workflow, rule) for
    which an observing rule's open decision waits, `stopped` the ids that were stopped before, and
    run again. `shut` maps a withheld method to its breaker's code; `away` is True while the portal
    answers nothing. `observed` is why rules in enforce mode only observe on this portal, None where
    they act.
    """

    under_way: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    waits: dict[str, Awaited] = field(default_factory=dict)
    unchanged: Collection[tuple[str, str, Action]] = ()
    shadows: Collection[tuple[str, str]] = ()
    stopped: Collection[str] = ()
    shut: Mapping[str, str] = field(default_factory=dict)
    away: bool = False
    observed: str | None = None

    def also(self, other: "Known") -> "Known":
        """Return the knowledge of these workflows and of the other's."""
        return replace(
            self,
            under_way=self.under_way | other.under_way,
            asked=self.asked | other.asked,
            waits=self.waits | other.waits,
            unchanged={*self.unchanged, *other.unchanged},
            shadows={*self.shadows, *other.shadows},
            stopped={*self.stopped, *other.stopped},
        )

    def begin(self, plan: Plan) -> None:
        """Add the stops that a plan opens, in place: a copy for each of thousands would be slow."""
        self.under_way.update(plan.begun)
        self.asked.difference_update(plan.begun)
        self.waits.update(plan.waiting)

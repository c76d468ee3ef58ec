"""What a judgement leads to, as values: decisions to write, calls to make, what must be known."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from responder.journal.entries import NewDecision, NewEvaluation
from responder.judge.jobs import Job
from responder.judge.stop_lifecycle import Step
from responder.model import (
    ACTING_MODES,
    KILLING,
    WOULD_OUTCOMES,
    Action,
    Mode,
    Outcome,
    Unknown,
    Workflow,
)
from responder.rules.ruleset import Ruleset


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a set is held, and by what it is freed (`pause`, `trip`, `document`)."""

    by: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One decision to write, and the step that its stop takes first, if it has a stop.

    `overtakes`: its rule asks nobody, and it takes the place of one that waits to be approved.
    """

    decision: NewDecision
    step: Step | None = None
    overtakes: bool = False

    def put_off(self, new_step: Step) -> "Planned":
        """Return it with another first step, where its first step was a call."""
        if self.step is None or not self.step.call:
            return self
        decision = replace(
            self.decision, outcome=new_step.outcome, detail=new_step.detail, due_at=new_step.due_at
        )
        return replace(self, decision=decision, step=new_step)

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
    """What one job's judgement leads to. `look_at` asks for a second look.

    What one rule condemns in it is a set, or a part of that of the run which `set_name` names, and
    which counted so many workflows `running_in_all`.
    """

    job: Job
    facts: Mapping[str, object]
    planned: tuple[Planned, ...]
    look_at: datetime | None = None
    running: tuple[Workflow, ...] | Unknown | None = None
    set_name: str | None = None
    running_in_all: int | None = None

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
                planned.decision.outcome in WOULD_OUTCOMES
                or (planned.step is not None and planned.step.call)
            )
        ]

    def evaluation(self, ruleset: Ruleset, now: datetime) -> NewEvaluation:
        """Return what the journal records."""
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

    def begins(self, rule: str) -> bool:
        """Tell whether it calls at once for something that this rule condemned."""
        return any(
            planned.decision.rule == rule and planned.step is not None and planned.step.call
            for planned in self.planned
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the journal already holds on the workflows at hand, and which methods are shut.

    `under_way` are the ids with an open stop, `asked` those of them whose stop is held until
    somebody approves it, `unchanged` the (workflow, rule, action) that have a `would_kill` by this
    revision already, `shadows` the (workflow, rule) whose time an observing rule waits for,
    `stopped` the ids that were stopped before, and run again.
    """

    under_way: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    unchanged: Collection[tuple[str, str, Action]] = ()
    shadows: Collection[tuple[str, str]] = ()
    stopped: Collection[str] = ()
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
            stopped={*self.stopped, *other.stopped},
        )

    def begin(self, plan: Plan) -> None:
        """Take in what a plan's stops have begun; a new one for each would be copied for each."""
        self.under_way.update(plan.begun)
        self.asked.difference_update(plan.begun)

"""What time does: the reconciling sweep, schedules, and sweeps that people ask for.

Theory of operation. Bitrix24 never sends an event again, and has none for a workflow that went
stale or whose starter was dismissed. So from time to time all running workflows are read
(`survey`), in steps of one request, between the rounds' more urgent work, and judged by the very
function that judges events. What a rule condemns in one run is a set: if it would go over a limit
nothing of it is begun. What may be begun is written as waiting and due at once, and from there on
it is a stop like any other: judged afresh on facts that are seconds old, proved, called, verified.

Three kinds of run use this machine: the sweep (event rules with `sweep`, as if an event had come),
the schedules that are due together, and a request. A run is noted as done with its entry, so one
that a crash broke off is run again, and one that was missed is caught up with once.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from responder.bitrix24.lookup import Reading, Templates
from responder.bitrix24.survey import Survey
from responder.model import Document, Judgement, Situation, Trigger, Unknown, Workflow
from responder.rules import schedules
from responder.rules.decide import judge
from responder.rules.keeping import Candidate, spare
from responder.rules.rule import Rule
from responder.rules.ruleset import Ruleset, paths
from responder.rules.schedules import Schedule
from responder.runtime.planning import KILLING
from responder.store.chain import instant_text
from responder.store.runs import Request

SWEEP = "sweep"
SET_BACK = timedelta(minutes=1)  # so much later than now nothing was: our clock was set back
AT_ONCE = 200  # judgements between two looks at what else the process has to do

_OF_WORKFLOWS = ("workflow.", "template.", "starter.", "waiting_for.", "event.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What is to be run now: by which trigger, which rules, and what to note when it is done.

    `keys` are the runs that this one is, each with the instant it was due.
    """

    trigger: Trigger
    rules: tuple[Rule, ...]
    keys: tuple[tuple[str, datetime], ...] = ()
    request: Request | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One document with what was condemned on it."""

    document: Document
    facts: Mapping[str, object]
    workflows: tuple[Workflow, ...] | Unknown
    judgement: Judgement


@dataclass(slots=True, kw_only=True)
class Run:
    """One run, from its first page to what it found."""

    portal: str
    due: Due
    ruleset: Ruleset
    enforcing: bool
    templates: Templates
    started_at: datetime
    now: Callable[[], datetime]
    survey: Survey = field(init=False)
    judged: int = 0

    def __post_init__(self) -> None:
        asked = paths(self.due.rules) | paths(_guards(self.ruleset))
        self.survey = Survey(
            self.templates,
            self.started_at,
            wanted=self._wanted,
            workflow_paths=frozenset(p for p in asked if p.startswith(_OF_WORKFLOWS)),
        )

    @property
    def name(self) -> str:
        """Name it, so that what it condemned can be told from what other runs did."""
        return f"{self.due.trigger} {instant_text(self.started_at)}"

    def rules_for(self, document: Document) -> tuple[Rule, ...]:
        """Return the rules of this run that look at such a document, and their guards."""
        return self.ruleset.with_guards(
            self.due.rules, document.kind, self.portal, trigger=self.due.trigger
        )

    async def found(self) -> list[Found]:
        """Judge all that was read; `keep` chooses over all documents together."""
        readings = list(self.survey.readings())
        self.judged = len(readings)
        # One after the other in reading order: whom the first spares, the next may condemn.
        keeping = [rule for rule in self.ruleset.rules if rule.keep and rule in self.due.rules]
        spared = {rule.id: dict[str, str | None]() for rule in keeping}
        for rule in keeping:
            judged = [item async for item in self._judged(readings, spared)]
            spared[rule.id] = self._spared(rule, judged)
        return [item async for item in self._judged(readings, spared) if _condemned(item.judgement)]

    def _spared(self, rule: Rule, found: Iterable[Found]) -> dict[str, str | None]:
        assert rule.keep is not None
        candidates = [
            Candidate(item.document.ref, verdict.workflow)
            for item in found
            for verdict in item.judgement.verdicts
            if verdict.rule == rule.id
        ]
        return spare(candidates, rule.keep, self.ruleset.zone, complete=self.survey.complete)

    async def _judged(
        self,
        readings: Sequence[tuple[Document, Reading]],
        spared: Mapping[str, Mapping[str, str | None]],
    ) -> AsyncIterator[Found]:
        for number, (document, reading) in enumerate(readings):
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
            facts = dict(reading.facts)
            facts["event.name"] = ()
            yield Found(
                document=document,
                facts=facts,
                workflows=reading.workflows,
                judgement=self._judge(document, facts, reading.workflows, spared),
            )

    def _judge(
        self,
        document: Document,
        facts: Mapping[str, object],
        workflows: tuple[Workflow, ...] | Unknown,
        spared: Mapping[str, Mapping[str, str | None]],
    ) -> Judgement:
        situation = Situation(
            portal=self.portal,
            trigger=self.due.trigger,
            events=(),
            document=document,
            facts=facts,
            workflows=workflows,
        )
        return judge(
            self.ruleset,
            situation,
            enforcing=self.enforcing,
            now=self.now(),
            rules=self.rules_for(document),
            spared=spared,
        )

    def _wanted(self, document: Document, workflows: Sequence[Workflow]) -> frozenset[str] | None:
        """Say what to read of a document; None where its workflows' rows already spare them all."""
        rules = self.rules_for(document)
        if not rules:
            return None
        nobody = {rule.id: dict[str, str | None]() for rule in rules if rule.keep is not None}
        judgement = self._judge(document, {}, tuple(workflows), nobody)
        unsure = any(condition.holds is None for condition in judgement.conditions)
        if not judgement.verdicts and not unsure:
            return None
        return frozenset(path for path in paths(rules) if not path.startswith(_OF_WORKFLOWS))


def due_now(
    ruleset: Ruleset,
    portal: str,
    *,
    last: Mapping[str, datetime],
    sweep_every: timedelta,
    now: datetime,
) -> tuple[list[Due], list[str]]:
    """Say which runs are due, and which keys are new and begin to count now."""
    keys = dict(_keys(ruleset, portal))
    new = [key for key in keys if key not in last]
    scheduled: dict[str, Rule] = {}
    fallen: list[tuple[str, datetime]] = []
    for key, (rule, schedule) in keys.items():
        at = schedules.last_due(schedule, last.get(key, now), now)
        if at is not None:
            scheduled[rule.id] = rule
            fallen.append((key, at))
    dues = [Due(trigger="schedule", rules=tuple(scheduled.values()), keys=tuple(fallen))]
    swept = swept_rules(ruleset, portal) if sweep_every else ()
    if swept and SWEEP not in last:
        new.append(SWEEP)
    elif swept and not -SET_BACK < now - last[SWEEP] < sweep_every:
        dues.append(Due(trigger="sweep", rules=swept, keys=((SWEEP, now),)))
    return [due for due in dues if due.rules], new


def _keys(ruleset: Ruleset, portal: str) -> Iterator[tuple[str, tuple[Rule, Schedule]]]:
    for rule in ruleset.scheduled(portal):
        for schedule in rule.schedules:
            yield f"{rule.id} {schedule}", (rule, schedule)


def swept_rules(ruleset: Ruleset, portal: str) -> tuple[Rule, ...]:
    """Return the event rules that a sweep evaluates in a portal."""
    return tuple(
        rule
        for rule in ruleset.rules
        if rule.acts
        and rule.sweep
        and rule.disabled is None
        and rule.may_act_in(portal)
        and any(trigger.events for trigger in rule.triggers or ())
    )


def requested(request: Request, ruleset: Ruleset, portal: str) -> Due:
    """Say what a person's request runs: one rule, whatever sets it off, or all that are swept."""
    if request.rule is None:
        rules = swept_rules(ruleset, portal)
        scheduled = tuple(r for r in ruleset.scheduled(portal) if r not in rules)
        return Due(trigger="sweep", rules=(*rules, *scheduled), request=request)
    rules = tuple(
        rule
        for rule in ruleset.rules
        if rule.id == request.rule and rule.acts and rule.may_act_in(portal)
    )
    return Due(trigger="sweep", rules=rules, request=request)


def _condemned(judgement: Judgement) -> bool:
    return any(verdict.action in KILLING for verdict in judgement.verdicts)


def _guards(ruleset: Ruleset) -> list[Rule]:
    return [rule for rule in ruleset.rules if not rule.acts and rule.disabled is None]

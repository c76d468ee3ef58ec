"""Defines what a run judges: the sweep, the schedules that are due, or what a person asked for.

Theory of operation. Bitrix24 never sends an event again, and has none for a workflow that went
stale or whose starter was dismissed. So from time to time all running workflows are read
(`survey`), in steps of one request, between the rounds' more urgent work, and judged by the very
function that judges events. All that a rule condemns in one run is a set: if it would go over a
limit nothing of it is begun. What may be begun is written as waiting and due at once, and from
there on it is a stop like any other: judged afresh on facts that are seconds old, its evidence
read, called, verified.

There are three kinds of run: the sweep (event rules with `sweep`, as if an event had come), all
schedules that are due at the same time, and a request. A run is recorded as done in the transaction
that writes its entry: one that a crash broke off is made again, and one that was missed is made
once. One that could not read everything acts on what it read, is not recorded as done, and is made
again after a minute.
"""

import asyncio
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from responder.bitrix24.client.answers import explain
from responder.bitrix24.fetch.document_facts import Reading
from responder.bitrix24.fetch.survey import Survey
from responder.bitrix24.fetch.templates import Templates
from responder.judge.jobs import Job
from responder.model import KILLING, Document, Judgement, Situation, Trigger, Unknown, Workflow
from responder.rules import schedules
from responder.rules.decide import judge, matching
from responder.rules.facts.derived import KIND, RUNNING
from responder.rules.facts.registry import is_of_a_list
from responder.rules.keep import ALL_MATCHED, Candidate, Choice, choose
from responder.rules.rule import Rule
from responder.rules.ruleset import Ruleset, paths
from responder.rules.schedules import Schedule
from responder.store.canonical_json import instant_text
from responder.store.sweep_runs import Request

SWEEP = "sweep"
SET_BACK = timedelta(minutes=1)  # a last run so far in the future: our clock was set back
AT_ONCE = 200  # judgements before other tasks of the process may run

_OF_WORKFLOWS = ("workflow.", "template.", "starter.", "waiting_for.", "event.")


@dataclass(frozen=True, slots=True, kw_only=True)
class DueRun:
    """A run that is due: its trigger, its rules, and what to record when it is done.

    `keys` are the schedules (or the sweep) that this run serves, each with the instant it was due;
    `since` is when the first of them was missed, or the request was made.
    """

    trigger: Trigger
    rules: tuple[Rule, ...]
    keys: tuple[tuple[str, datetime], ...] = ()
    request: Request | None = None
    since: datetime | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names under which this run is recorded."""
        if self.request is not None:
            return (request_name(self.request),)
        return tuple(key for key, _ in self.keys)

    @property
    def observes(self) -> bool:
        """Return whether this run only shows a person what it would do."""
        return self.request is not None and self.request.observe

    def asks(self, rule: Rule, kind: str) -> bool:
        """Return whether one of this run's rules is asked about documents of a kind.

        A sweep asks a rule about the kinds that its events bring. A request asks it about the kinds
        of all its triggers.
        """
        if self.request is None and self.trigger == "sweep":
            return any(one.events and one.can_bring(kind) for one in rule.triggers or ())
        return any(one.can_bring(kind) for one in rule.triggers or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Condemned:
    """The workflows that a run condemned on one document, and the facts that rests on.

    `set_name` names the run, which counted `running_in_all` workflows.
    """

    job: Job
    facts: Mapping[str, object]
    workflows: tuple[Workflow, ...] | Unknown
    judgement: Judgement
    set_name: str | None = None
    running_in_all: int | None = None


@dataclass(slots=True, kw_only=True)
class Run:
    """One run, from its first page to what it found."""

    portal: str
    due: DueRun
    ruleset: Ruleset
    enforcing: bool
    templates: Templates
    started_at: datetime
    now: Callable[[], datetime]
    survey: Survey = field(init=False)
    judged: int = 0
    unread: int = 0
    why_unread: str | None = None
    _asked: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        asked = paths(self.due.rules) | paths(_guards(self.ruleset))
        self.survey = Survey(
            self.templates,
            self.started_at,
            wanted=self._wanted,
            workflow_paths=frozenset(p for p in asked if p.startswith(_OF_WORKFLOWS)),
            lists=KIND in asked or any(is_of_a_list(path.partition(".")[0]) for path in asked),
        )

    @property
    def name(self) -> str:
        """Return the run's name, which is also the name of its sets."""
        return f"{self.due.trigger} {instant_text(self.started_at)}"

    def asked(self, document: Document) -> tuple[str, ...]:
        """Return the names of this run's rules that are asked about such a document."""
        kind = document.kind
        if kind not in self._asked:
            self._asked[kind] = tuple(r.id for r in self.due.rules if self.due.asks(r, kind))
        return self._asked[kind]

    def job(self, document: Document) -> Job:
        """Return the job of this run for a document."""
        return Job(
            portal=self.portal,
            document=document,
            trigger=self.due.trigger,
            events=(),
            asked=self.asked(document),
        )

    def rules_for(self, document: Document) -> tuple[Rule, ...]:
        """Return this run's rules that are asked about such a document, and their guards."""
        return self.ruleset.with_guards(self.asked(document), document.kind, self.portal)

    async def found(self) -> list[Condemned]:
        """Judge all that was read, as of one instant; `keep` chooses over all documents at once.

        With several instants, a workflow that began to match in between would be condemned without
        having been among those that `keep` chose from.
        """
        now = self.now()
        readings = list(self.survey.readings())
        self.judged = len(readings)
        self._count_unread(reading for _, reading in readings)
        # In reading order, for a later rule may condemn what an earlier one spares.
        choices: dict[str, Choice] = {}
        for rule, matched in await self._matched(readings, now):
            choices[rule.id] = await self._choose(rule, matched, choices, now)
        found = []
        async for document, reading in _yielding_often(readings):
            judgement = self._judge(document, reading, self.rules_for(document), choices, now)
            if any(verdict.action in KILLING for verdict in judgement.verdicts):
                found.append(
                    Condemned(
                        job=self.job(document),
                        facts=_facts(reading),
                        workflows=reading.workflows,
                        judgement=judgement,
                        set_name=self.name,
                        running_in_all=self.survey.running,
                    )
                )
        return found

    def _count_unread(self, readings: Iterable[Reading]) -> None:
        found = [self.survey.kinds_unread, *(reading.failure for reading in readings)]
        failures = [failure for failure in found if failure is not None]
        self.unread = len(failures)
        self.why_unread = explain(failures[0]) if failures else None

    @property
    def _is_whole(self) -> bool:
        """Return whether all was read: what is missing could be the workflow to keep."""
        return not self.unread and not self.survey.odd.rows

    async def _matched(
        self, readings: Sequence[tuple[Document, Reading]], now: datetime
    ) -> list[tuple[Rule, list[tuple[Document, Reading]]]]:
        """Return the rules that keep, in reading order, with the documents that each matches."""
        keeping = [rule for rule in self.ruleset.rules if rule.keep and rule in self.due.rules]
        found: dict[str, list[tuple[Document, Reading]]] = {rule.id: [] for rule in keeping}
        async for document, reading in _yielding_often(readings if keeping else ()):
            asked = [rule for rule in self.rules_for(document) if rule.id in found]
            situation = self._situation(document, reading)
            for name in matching(self.ruleset, situation, asked, now=now):
                found[name].append((document, reading))
        return [(rule, found[rule.id]) for rule in keeping]

    async def _choose(
        self,
        rule: Rule,
        matched: Sequence[tuple[Document, Reading]],
        choices: Mapping[str, Choice],
        now: datetime,
    ) -> Choice:
        """Choose whom a rule spares, among all that it matches and no rule above it decided."""
        assert rule.keep is not None
        candidates: list[Candidate] = []
        all_of_them = {**choices, rule.id: ALL_MATCHED}
        async for document, reading in _yielding_often(matched):
            rules = _down_to(rule, self.rules_for(document))
            judgement = self._judge(document, reading, rules, all_of_them, now)
            candidates += [
                Candidate(document.ref, verdict.workflow, verdict.group)
                for verdict in judgement.verdicts
                if verdict.rule == rule.id
            ]
        return choose(candidates, rule.keep, self.ruleset.zone, complete=self._is_whole)

    def _judge(
        self,
        document: Document,
        reading: Reading,
        rules: tuple[Rule, ...],
        choices: Mapping[str, Choice],
        now: datetime,
    ) -> Judgement:
        return judge(
            self.ruleset,
            self._situation(document, reading),
            enforcing=self.enforcing,
            now=now,
            rules=rules,
            choices=choices,
        )

    def _situation(self, document: Document, reading: Reading) -> Situation:
        return Situation(
            portal=self.portal,
            trigger=self.due.trigger,
            events=(),
            document=document,
            facts=_facts(reading),
            workflows=reading.workflows,
        )

    def _wanted(self, document: Document, workflows: Sequence[Workflow]) -> frozenset[str] | None:
        """Return what to read of a document; None where its workflows' rows already spare them."""
        rules = self.rules_for(document)
        if not rules:
            return None
        everybody = {rule.id: ALL_MATCHED for rule in rules if rule.keep is not None}
        running: dict[str, object] = {RUNNING: self.survey.odd.running(len(workflows))}
        rows = Reading(running, tuple(workflows), None)
        judgement = self._judge(document, rows, rules, everybody, self.now())
        unsure = any(condition.holds is None for condition in judgement.conditions)
        if not judgement.verdicts and not unsure:
            return None
        return frozenset(path for path in paths(rules) if not path.startswith(_OF_WORKFLOWS))


async def _yielding_often(
    readings: Sequence[tuple[Document, Reading]],
) -> AsyncIterator[tuple[Document, Reading]]:
    """Yield what was read, and let other tasks run now and then."""
    for number, one in enumerate(readings):
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)
        yield one


def _facts(reading: Reading) -> dict[str, object]:
    return {**reading.facts, "event.name": ()}


def _down_to(rule: Rule, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """Return the rules down to this one, in reading order."""
    return rules[: rules.index(rule) + 1]


def due_now(
    ruleset: Ruleset,
    portal: str,
    *,
    last: Mapping[str, datetime],
    sweep_every: timedelta,
    now: datetime,
    resting: Collection[str] = (),
) -> tuple[list[DueRun], list[str]]:
    """Return the runs that are due, the longest overdue first, and the keys that count from now.

    The latter are new ones, and those whose last run is in the future, from a wrong clock.
    `resting` are the keys of runs that were tried less than a minute ago.
    """
    keys = dict(_keys(ruleset, portal))
    swept = swept_rules(ruleset, portal) if sweep_every else ()
    counted = [*keys, *([SWEEP] if swept else ())]
    new = [key for key in counted if key not in last or last[key] - now >= SET_BACK]
    due = (_scheduled(keys, last, now, {*new, *resting}), _sweep(swept, last, sweep_every, now))
    found = [one for one in due if one is not None and not {*new, *resting} & {*one.names}]
    return sorted(found, key=lambda one: one.since or now), new


def _scheduled(
    keys: Mapping[str, tuple[Rule, Schedule]],
    last: Mapping[str, datetime],
    now: datetime,
    but: Collection[str],
) -> DueRun | None:
    """Return all schedules that are due as one run; None if there is none."""
    rules: dict[str, Rule] = {}
    fallen: list[tuple[str, datetime]] = []
    missed: list[datetime] = []
    for key, (rule, schedule) in keys.items():
        at = None if key in but else schedules.last_due(schedule, last[key], now)
        if at is not None:
            rules[rule.id] = rule
            fallen.append((key, at))
            missed.append(schedules.next_after(schedule, last[key]))
    if not rules:
        return None
    return DueRun(
        trigger="schedule", rules=tuple(rules.values()), keys=tuple(fallen), since=min(missed)
    )


def _sweep(
    swept: tuple[Rule, ...], last: Mapping[str, datetime], every: timedelta, now: datetime
) -> DueRun | None:
    if not swept or SWEEP not in last or now - last[SWEEP] < every:
        return None
    return DueRun(trigger="sweep", rules=swept, keys=((SWEEP, now),), since=last[SWEEP] + every)


def _keys(ruleset: Ruleset, portal: str) -> Iterator[tuple[str, tuple[Rule, Schedule]]]:
    for rule in ruleset.scheduled(portal):
        for schedule in rule.schedules:
            yield f"{rule.id} {schedule}", (rule, schedule)


def swept_rules(ruleset: Ruleset, portal: str) -> tuple[Rule, ...]:
    """Return the event rules that a sweep evaluates in a portal."""
    return tuple(
        rule
        for rule in ruleset.rules
        if rule.acts and rule.is_swept and rule.disabled is None and rule.may_act_in(portal)
    )


def requested(request: Request, ruleset: Ruleset, portal: str) -> DueRun:
    """Return the run that a person asked for: of one rule, or of all swept and scheduled ones."""
    if request.rule is None:
        rules = swept_rules(ruleset, portal)
        scheduled = tuple(r for r in ruleset.scheduled(portal) if r not in rules)
        rules = (*rules, *scheduled)
        return DueRun(trigger="sweep", rules=rules, request=request, since=request.at)
    rules = tuple(
        rule
        for rule in ruleset.rules
        if rule.id == request.rule and rule.acts and rule.may_act_in(portal)
    )
    return DueRun(trigger="sweep", rules=rules, request=request, since=request.at)


def request_name(request: Request) -> str:
    """Return the name under which a request is recorded among the runs."""
    return f"request {request.id}"


def _guards(ruleset: Ruleset) -> list[Rule]:
    return [rule for rule in ruleset.rules if not rule.acts and rule.disabled is None]

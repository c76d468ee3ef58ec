"""Judges recorded situations with other rules, and reports what would have been different.

Evaluations are judged in the order in which they were made, each at its own instant, by the engine
that serves. Only condemned workflows are compared, whatever the mode: a rule that observes is tried
because it may act one day, and a recorded `would_kill` counts as a kill. Limits and pauses are not
applied. Where the same rule waited then (`wait`, closed hours), its recorded end is used; otherwise
the result notes that the rule waits, and what held is assumed to hold on.

Workflows are counted, not evaluations: one that is condemned again and again can be killed once.
What was not read or not kept is counted as undecidable, never guessed. Sweeps and schedules leave a
record only where they condemned something, so whatever else new rules would find in one is not
known.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from responder.authoring.backtest import difference as reasons
from responder.authoring.backtest import past_situation as record
from responder.authoring.backtest.difference import Baseline
from responder.authoring.backtest.result import Difference, Kind, Result, Unjudged
from responder.authoring.backtest.verdict import Ruling, rulings
from responder.bitrix24 import documents
from responder.journal.reading import history
from responder.journal.reading.history import Past, Span
from responder.model import Document
from responder.rules.rule import Rule
from responder.rules.ruleset import RulesError, Ruleset, load, paths, was_in_force
from responder.store import rulesets
from responder.store.database.database import Database

Tick = Callable[[int], object]

ERASED = "the facts it rested on were erased"
UNREAD = "nothing was read for it, for no rule named it then"


@dataclass(slots=True)
class _Case:
    """One workflow over all evaluations: which rules condemned it then, and which do now."""

    then: dict[str, datetime] = field(default_factory=dict)
    now: dict[str, datetime] = field(default_factory=dict)
    differences: dict[Kind, Difference] = field(default_factory=dict)


@dataclass(slots=True)
class Backtest:
    """One backtest of the log in a database."""

    database: Database
    new: Ruleset
    since: datetime
    against: Ruleset | None = None
    evaluations: int = 0
    _cases: dict[tuple[str, str], _Case] = field(default_factory=dict)
    _unjudged: dict[tuple[str, str], int] = field(default_factory=dict)
    _revisions: dict[str, Ruleset | None] = field(default_factory=dict)
    _wanted: dict[int, tuple[tuple[Rule, ...], frozenset[str]]] = field(default_factory=dict)
    _named: frozenset[str] | None = None

    def spans(self, portal: str | None) -> list[Span]:
        """Return the parts of the log to read, one for each portal."""
        return self.database.read(partial(history.spans, since=self.since, portal=portal))

    def run(
        self, spans: list[Span], tick: Tick, is_over: Callable[[], bool] = lambda: False
    ) -> Result:
        """Judge these parts; `tick` is called with the number of entries done after each page.

        Where `is_over` returns true after a page, the rest is left out.
        """
        for span in spans:
            for page in history.evaluations(self.database, span):
                if is_over():
                    break
                for past in page:
                    if past.at >= self.since:
                        self.evaluations += 1
                        self._judge(past)
                tick(history.PAGE)
        return self._result()

    def _judge(self, past: Past) -> None:
        document = record.document_of(past)
        if document is None:
            self._count_unread(past)
            return
        then = self._revision(past.body["ruleset"])
        rules = record.in_question(self.new, past, document, then)
        recorded = reasons.recorded_baselines(past)
        if not rules and not any(baseline.kills for baseline in recorded.values()):
            return
        if past.content is None:
            self._record_erased(past, document, recorded)
        elif not record.is_repetition(past):
            self._compare(past, document, rules, recorded, then)

    def _compare(
        self,
        past: Past,
        document: Document,
        rules: tuple[Rule, ...],
        recorded: Mapping[str, Baseline],
        then: Ruleset | None,
    ) -> None:
        asked = record.asked_then(then, past, document)
        now = {
            one.workflow.id: one
            for one in self._rulings(self.new, rules, past, document, asked, then)
        }
        baselines = recorded
        if self.against is not None:
            before = record.in_question(self.against, past, document, then)
            found = self._rulings(self.against, before, past, document, asked, then)
            baselines = {ruling.workflow.id: Baseline.of(ruling) for ruling in found}
        for name in {**baselines, **now}:
            baseline, ruling = baselines.get(name, Baseline()), now.get(name)
            if (
                baseline.kills
                or baseline.doubt
                or (ruling is not None and (ruling.kills or ruling.doubt))
            ):
                compared = reasons.ComparedWorkflow(
                    past=past,
                    document=document,
                    workflow_id=name,
                    then=self.against or then,
                    new=self.new,
                    template_id=baseline.template_id
                    if ruling is None
                    else reasons.template_of(ruling),
                )
                self._record(compared, baseline, ruling)

    def _rulings(
        self,
        ruleset: Ruleset,
        rules: tuple[Rule, ...],
        past: Past,
        document: Document,
        asked: frozenset[str],
        then: Ruleset | None,
    ) -> Iterator[Ruling]:
        situation = record.situation(past, document, self._paths(rules), asked)
        only = record.only_of(past)
        return rulings(
            ruleset,
            rules,
            situation,
            only=only,
            now=past.at,
            then=then,
            condemned=record.condemned(past),
        )

    def _record(
        self, compared: reasons.ComparedWorkflow, baseline: Baseline, ruling: Ruling | None
    ) -> None:
        """Record what this evaluation shows of a workflow; of each kind the first one counts."""
        case = self._cases.setdefault((compared.past.portal, compared.workflow_id), _Case())
        noted, at = case.differences, compared.past.at
        if baseline.doubt is not None:
            noted.setdefault("undecidable", reasons.in_doubt(compared, baseline.doubt))
            return
        kills, undecided = reasons.kills_now(compared, baseline, ruling)
        for rule in baseline.kills:
            case.then.setdefault(rule, at)
        for rule in kills:
            case.now.setdefault(rule, at)
        if undecided is not None:
            noted.setdefault("undecidable", undecided)
        elif kills and not baseline.kills:
            noted.setdefault("added", reasons.added(compared, baseline, ruling))
        elif baseline.kills and not kills:
            noted.setdefault("removed", reasons.removed(compared, baseline, ruling))
        elif kills and set(kills).isdisjoint(baseline.kills):
            noted.setdefault("changed", reasons.changed(compared, baseline, kills))

    def _record_erased(
        self, past: Past, document: Document, recorded: Mapping[str, Baseline]
    ) -> None:
        condemned = {name: baseline for name, baseline in recorded.items() if baseline.kills}
        if not condemned:
            self._count_unjudged("evaluation", ERASED, 1)
        for name, baseline in condemned.items():
            compared = reasons.ComparedWorkflow(
                past=past, document=document, workflow_id=name, then=None, new=self.new
            )
            case = self._cases.setdefault((past.portal, name), _Case())
            case.then |= dict.fromkeys(baseline.kills, past.at)
            found = compared.difference("undecidable", next(iter(baseline.kills)), ERASED)
            case.differences.setdefault("undecidable", found)

    def _count_unread(self, past: Past) -> None:
        """Count the events of an entry that was concluded unread and that the new rules name."""
        if self._named is None:
            self._named = reasons.named_events(self.new)
        if self._named.isdisjoint((*past.body["event_names"], "robot")):
            return
        for one in self.database.read(partial(history.concluded, past=past)):
            document = None if one.document is None else documents.parse_ref(one.document)
            events = () if one.event is None else (one.event,)
            if document is not None and self.new.in_question(
                "event" if one.trigger == "event" else "robot", events, document.kind, past.portal
            ):
                self._count_unjudged(one.event or "robot", UNREAD, one.number)

    def _count_unjudged(self, what: str, why: str, number: int) -> None:
        self._unjudged[what, why] = self._unjudged.get((what, why), 0) + number

    def _revision(self, revision: str) -> Ruleset | None:
        """Return the rules that decided, None where this version cannot read them."""
        if revision not in self._revisions:
            text = self.database.read(lambda conn: rulesets.text(conn, revision))
            try:
                found = (
                    None
                    if text is None
                    else load(text.encode(), file=revision, is_known=was_in_force)
                )
            except RulesError:
                found = None
            self._revisions[revision] = found
        return self._revisions[revision]

    def _paths(self, rules: tuple[Rule, ...]) -> frozenset[str]:
        """Return the facts that rules need."""
        # A ruleset returns the same few tuples again and again: their paths are cached by identity.
        known = self._wanted.get(id(rules))
        if known is None or known[0] is not rules:
            known = self._wanted[id(rules)] = (rules, paths(rules))
        return known[1]

    def _result(self) -> Result:
        earlier = self._condemned_earlier()
        differences: list[Difference] = []
        counts: dict[str, tuple[int, int]] = {}
        begun: dict[str, list[datetime]] = {}
        for place, case in self._cases.items():
            if place in earlier:
                continue
            kind = _kind(case)
            if kind is not None and kind in case.differences:
                differences.append(case.differences[kind])
            for rule in {**case.then, **case.now}:
                was, will = counts.get(rule, (0, 0))
                counts[rule] = (was + (rule in case.then), will + (rule in case.now))
            for rule, at in case.now.items():
                begun.setdefault(rule, []).append(at)
        return Result(
            differences=tuple(differences),
            unjudged=tuple(Unjudged(*what, number) for what, number in self._unjudged.items()),
            evaluations=self.evaluations,
            since=self.since,
            revision=self.new.revision,
            against=None if self.against is None else self.against.revision,
            rules=counts,
            tripped=tuple(reasons.tripped(self.new, begun)),
            untried=self._untried(),
        )

    def _untried(self) -> tuple[str, ...]:
        """Return the ids of the rules that were never read, so that nothing is known of them."""
        tried = {id(rule) for rules, _ in self._wanted.values() for rule in rules}
        return tuple(
            rule.id
            for rule in self.new.rules
            if rule.acts and rule.disabled is None and id(rule) not in tried
        )

    def _condemned_earlier(self) -> set[tuple[str, str]]:
        """Return the workflows that only seem new: condemned before the first evaluation read."""
        asked: dict[str, list[str]] = {}
        if self.against is None:
            for (portal, name), case in self._cases.items():
                if not case.then:
                    asked.setdefault(portal, []).append(name)
        return {
            (portal, name)
            for portal, names in asked.items()
            for name in history.condemned_before(self.database, portal, names, self.since)
        }


def _kind(case: _Case) -> Kind | None:
    if case.now and case.then:
        return "changed" if set(case.now).isdisjoint(case.then) else None
    if case.now:
        return "added"
    return "undecidable" if "undecidable" in case.differences else "removed"

"""Explains a situation rule by rule: every test, the value it was made on, and the rule's result.

A judgement stops at the first test that is false. An explanation shows the others too, so here each
test of each rule in question is made alone. The verdict itself comes from `judge`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from responder.adapters.printable_text import printable, to_json
from responder.authoring.expectations import Actual, actual_of
from responder.model import ABSENT, Condition, Judgement, Mode, Situation, Unknown, Workflow
from responder.rules.decide import judge
from responder.rules.facts import derived
from responder.rules.facts.conditions import Kleene, View
from responder.rules.keep import Choice
from responder.rules.rule import Rule
from responder.rules.ruleset import Ruleset
from responder.rules.telling.audiences import WAITS_FOR
from responder.rules.telling.recipients import Recipient, recipients

MARKS: dict[bool | None, str] = {True: "yes", False: "no", None: "unknown"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleReading:
    """The reading of one rule for one workflow: each test, and the result of the whole rule.

    `decides` is true where the rule gave a verdict, `kept` where its `keep` spared the workflow.
    `shielded_by` is the rule above that ended the reading; `told` are those in the portal whom the
    rule would tell of its verdict, beforehand or afterwards.
    """

    rule: Rule
    held: Kleene
    tests: tuple[Condition, ...]
    decides: bool
    kept: bool
    shielded_by: str | None
    told: tuple[Recipient, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One workflow, with the reading of every rule in question."""

    workflow: Workflow
    readings: tuple[RuleReading, ...]
    actual: tuple[Actual, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The explanation of a situation. `passed_over` has the rules not in question, and why."""

    situation: Situation
    at: datetime
    judgement: Judgement
    traces: tuple[Trace, ...]
    passed_over: tuple[tuple[Rule, str], ...]


def explain(
    ruleset: Ruleset,
    situation: Situation,
    now: datetime,
    *,
    asked: tuple[Rule, ...] | None = None,
    choices: Mapping[str, Choice] | None = None,
    shown: Collection[str] | None = None,
) -> Explanation:
    """Explain a situation as it is judged when everything that may act acts.

    `asked` are the rules that a run asked, where the trigger alone does not say so; `choices` those
    of rules with `keep` that this document does not decide. `shown` are the ids of the workflows to
    go through, where these are not all.
    """
    judgement = judge(ruleset, situation, enforcing=True, now=now, rules=asked, choices=choices)
    chosen = ruleset.in_question(
        situation.trigger, situation.events, situation.document.kind, situation.portal
    )
    rules = [rule for rule in (chosen if asked is None else asked) if not rule.expired(now)]
    workflows = () if isinstance(situation.workflows, Unknown) else situation.workflows
    return Explanation(
        situation=situation,
        at=now,
        judgement=judgement,
        traces=tuple(
            _trace(rules, ruleset, situation, judgement, one, now)
            for one in workflows
            if shown is None or one.id in shown
        ),
        passed_over=tuple(
            (rule, _why_left_out(rule, chosen, situation, now))
            for rule in ruleset.rules
            if rule not in rules
        ),
    )


def _why_left_out(rule: Rule, chosen: Collection[Rule], situation: Situation, now: datetime) -> str:
    """Return why a rule is not among those asked; `chosen` are those that the trigger sets off."""
    if rule.acts and rule in chosen and not rule.expired(now):
        return "this run did not ask it"
    return why_passed_over(rule, situation, now)


def _trace(
    rules: Sequence[Rule],
    ruleset: Ruleset,
    situation: Situation,
    judgement: Judgement,
    workflow: Workflow,
    now: datetime,
) -> Trace:
    facts = facts_of(ruleset, situation, workflow, now)
    verdicts = [one for one in judgement.verdicts if one.workflow.id == workflow.id]
    keeps = {c.rule: c for c in conditions_of(workflow.id, judgement) if c.path == "keep"}
    readings: list[RuleReading] = []
    shielded_by = None
    for rule in rules:
        verdict = next((one for one in verdicts if one.rule == rule.id), None)
        keep = keeps.get(rule.id)
        readings.append(
            RuleReading(
                rule=rule,
                held=rule.holds(View(facts=facts, now=now)),
                tests=(*_tests(rule, facts, now), *([keep] if keep else [])),
                decides=verdict is not None,
                kept=keep is not None and not keep.holds,
                shielded_by=shielded_by,
                told=() if verdict is None else told(rule, situation, facts),
            )
        )
        if verdict is not None and verdict.mode is not Mode.OBSERVE:
            shielded_by = rule.id
    return Trace(
        workflow=workflow, readings=tuple(readings), actual=actual_of(verdicts, rules, now)
    )


def conditions_of(workflow_id: str, judgement: Judgement) -> tuple[Condition, ...]:
    """Return the tests that were made for a workflow, and those made for none."""
    of_verdicts = (one.conditions for one in judgement.verdicts if one.workflow.id == workflow_id)
    of_rest = (one.conditions for one in judgement.traced if one.workflow in (workflow_id, None))
    return tuple(chain(*of_verdicts, *of_rest))


def told(rule: Rule, situation: Situation, facts: Mapping[str, object]) -> tuple[Recipient, ...]:
    """Return whom a rule would tell in the portal, once it acts: warned first, then told."""
    audiences = (*rule.telling.warn, *rule.telling.tell)
    workflow = {WAITS_FOR: Unknown("its tasks are read when it is stopped"), **facts}
    return recipients(audiences, situation.document.kind, facts, workflow)


def _tests(rule: Rule, facts: dict[str, object], now: datetime) -> Iterator[Condition]:
    robots = () if rule.robots is None else (rule.robots,)
    for test in (*rule.condition.tests(), *rule.exception.tests(), *robots):
        view = View(facts=facts, now=now)
        test.holds(view)
        yield from view.trace


def facts_of(
    ruleset: Ruleset, situation: Situation, workflow: Workflow, now: datetime
) -> dict[str, object]:
    """Return all facts that a judgement of this workflow uses, derived ones included."""
    facts: dict[str, object] = {
        **derived.of_judgement(situation.events, situation.document),
        "workflow.id": workflow.id,
        **situation.facts,
        **workflow.facts,
    }
    facts.setdefault("template.id", facts.get("workflow.template_id", ABSENT))
    return facts | derived.derived(facts, now, ruleset.zone)


def why_passed_over(rule: Rule, situation: Situation, now: datetime) -> str:
    """Return why a rule is not in question."""
    if rule.disabled is not None:
        return f"switched off: {rule.disabled}"
    if rule.expired(now):
        return "it has ended"
    if rule.portals is not None and situation.portal not in rule.portals:
        return f"not for the portal {situation.portal}"
    if rule.kind is not None and rule.kind != situation.document.kind:
        looks_at, this = with_article(rule.kind), with_article(situation.document.kind)
        return f"it looks at {looks_at}, and this is {this}"
    if not rule.acts:
        return "no rule below it is in question"
    return f"{what_happened(situation)} does not set it off"


def with_article(kind: str) -> str:
    """Return a kind of document with its article: `a deal`, `an item_147`."""
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def what_happened(situation: Situation) -> str:
    """Return what set the rules off, in a word or two."""
    return ", ".join(situation.events) or f"a {situation.trigger}"


def render(explanation: Explanation) -> Iterator[str]:
    """Yield an explanation as lines."""
    situation = explanation.situation
    at = explanation.at.isoformat(sep=" ", timespec="seconds")
    yield f"{situation.document.ref} in {situation.portal}: {what_happened(situation)}, {at}"
    yield from _of_document(situation)
    for trace in explanation.traces:
        yield ""
        yield f"workflow {printable(trace.workflow.id)}: {outcome(trace.actual)}"
        for read in trace.readings:
            yield from _read_lines(read)
    if explanation.passed_over:
        yield ""
        yield "not in question"
        for rule, why in explanation.passed_over:
            yield f"  {rule.id}: {why}"


def _of_document(situation: Situation) -> Iterator[str]:
    """Yield lines on a document that is not there, or on which nothing runs."""
    exists = situation.facts.get("document.exists")
    if exists is False:
        yield "  the portal has no such document"
    elif isinstance(exists, Unknown):
        yield f"  whether the portal has it is unknown: {printable(exists.why)}"
    if isinstance(situation.workflows, Unknown):
        yield f"  its workflows cannot be listed: {situation.workflows.why}"
    elif not situation.workflows:
        yield "  no workflow runs on it"


def outcome(actual: Sequence[Actual]) -> str:
    """Return the results for one workflow in words."""
    return "; ".join(map(str, actual)) or "nothing"


def _read_lines(read: RuleReading) -> Iterator[str]:
    yield f"  {read.rule.id}: {_result_in_words(read)}"
    for condition in read.tests:
        yield f"    {condition_line(condition)}"
    if read.told:
        yield f"    it would tell {told_in_words(read.told)}"


def told_in_words(recipients: Sequence[Recipient]) -> str:
    """Return whom a rule would tell, in a line: `timeline, starter (user 7)`."""
    return ", ".join(printable(str(one)) for one in recipients)


def _result_in_words(read: RuleReading) -> str:
    rule = read.rule
    if read.shielded_by is not None:
        held = {True: "would hold", False: "would not hold", None: "would be unknown"}[read.held]
        return f"not read, for {read.shielded_by} ended the reading ({held})"
    if read.kept:
        return "holds, but `keep` spares this one"
    if read.held is None:
        return "unknown, so it protects" if read.decides else "unknown, so it does nothing"
    if not read.held:
        return "does not hold"
    return f"holds: {rule.then}" + ("" if rule.mode is None else f" ({rule.mode})")


def condition_line(condition: Condition) -> str:
    """Return one test as a line: its result, its wording, and the value it was made on."""
    seen = f"it is {to_json(condition.value)}"
    if condition.why is not None:
        seen = f"because {printable(condition.why)}"
    elif condition.holds and condition.path.startswith("unless."):
        seen += ", an exception"
    return f"{MARKS[condition.holds]:<7}  {condition.path} {printable(condition.test)}; {seen}"

"""Judges a recorded situation with given rules, and finds where the ruling is in doubt.

The judgement is that of the engine that serves, to which a fact that was never recorded is unknown.
What it condemns so is condemned whatever the fact was, for unknown never kills. What it does not
condemn might have been: where a test needed such a fact, the rules are read once more with every
answer that the test could have given (`_possible_answers`). Only where no combination condemns the
workflow is it certainly left alone.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from responder.authoring.backtest.past_situation import NOT_RECORDED
from responder.authoring.explain import facts_of
from responder.model import (
    KILLING,
    Action,
    Condition,
    Judgement,
    Situation,
    Unknown,
    Verdict,
    Workflow,
)
from responder.rules.decide import judge
from responder.rules.facts.conditions import All, AnyOf, FactTest, Kleene, Not, Part, View
from responder.rules.keep import DOCUMENT, Choice, Keep
from responder.rules.rule import Rule
from responder.rules.ruleset import Ruleset

_UNRECORDED = NOT_RECORDED.why
_ELSEWHERE = f"whom `keep` spares: {_UNRECORDED}"
_Answers = frozenset[Kleene]
_ANY: _Answers = frozenset({True, False, None})
_CERTAIN: Mapping[Kleene, _Answers] = {one: frozenset({one}) for one in (True, False, None)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """The doubt whether a rule condemns a workflow, and the facts that were not recorded."""

    rule: str
    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """The ruling on one workflow: the rules that condemn it, its protector, or a doubt."""

    workflow: Workflow
    kills: tuple[Verdict, ...]
    left_by: str | None
    doubt: Doubt | None
    conditions: tuple[Condition, ...]


def rulings(
    ruleset: Ruleset,
    rules: tuple[Rule, ...],
    situation: Situation,
    *,
    only: str | None,
    now: datetime,
    then: Ruleset | None,
    condemned: Collection[tuple[str, str]],
) -> Iterator[Ruling]:
    """Yield the ruling of these rules on each workflow.

    `then` is the ruleset that decided, and `condemned` has its decisions: (rule, workflow).
    """
    if isinstance(situation.workflows, Unknown) or not rules:
        return
    choices = choices_then(rules, situation, then, condemned)
    judgement = judge(
        ruleset,
        situation,
        enforcing=True,
        now=now,
        only=only,
        rules=rules,
        choices=choices,
    )
    conditions_of = _conditions_by_workflow(judgement)
    unsure = {name for name, conditions in conditions_of.items() if _is_unsure(conditions)}
    read = _PossibleAnswers(ruleset, [r for r in rules if not r.expired(now)], situation, now)
    for workflow in situation.workflows:
        if only not in (None, workflow.id):
            continue
        verdicts = [one for one in judgement.verdicts if one.workflow.id == workflow.id]
        kills = tuple(one for one in verdicts if one.action in KILLING)
        conditions = conditions_of.get(workflow.id, ())
        may_be = not kills and (workflow.id in unsure or (unsure and _was_kept(conditions)))
        yield Ruling(
            workflow=workflow,
            kills=kills,
            left_by=next((one.rule for one in verdicts if one.action is Action.LEAVE), None),
            doubt=read.of(workflow) if may_be else None,
            conditions=tuple(conditions),
        )


def _conditions_by_workflow(judgement: Judgement) -> Mapping[str, Sequence[Condition]]:
    """Return the tests by workflow: those of its verdicts, or those of the judgement's rest."""
    conditions_of: dict[str, list[Condition]] = {}
    for verdict in judgement.verdicts:
        conditions_of.setdefault(verdict.workflow.id, []).extend(verdict.conditions)
    for workflow, conditions in judgement.traced:
        if workflow is not None:
            conditions_of.setdefault(workflow, []).extend(conditions)
    return conditions_of


def _is_unsure(conditions: Iterable[Condition]) -> bool:
    return any(one.why is not None and one.why.endswith(_UNRECORDED) for one in conditions)


def _was_kept(conditions: Iterable[Condition]) -> bool:
    return any(one.path == "keep" and not one.holds for one in conditions)


def choices_then(
    rules: Sequence[Rule],
    situation: Situation,
    then: Ruleset | None,
    condemned: Collection[tuple[str, str]],
) -> dict[str, Choice] | None:
    """Return the choice of each rule whose `keep` spans all documents, of which one is recorded.

    The very same rule spares now the workflows it spared then, and a rule with the same `keep` none
    that it condemned; of any other nothing is known.
    """
    if isinstance(situation.workflows, Unknown):
        return None
    before = {rule.id: rule for rule in then.rules} if then is not None else {}
    choices: dict[str, Choice] = {}
    for rule in rules:
        if rule.keep is None or not _spares_elsewhere(rule.keep, situation):
            continue
        old = before.get(rule.id)
        same = old is not None and old.keep == rule.keep
        why = None if old is not None and old.text == rule.text else _ELSEWHERE
        ids = (
            one.id for one in situation.workflows if not same or (rule.id, one.id) not in condemned
        )
        choices[rule.id] = Choice(dict.fromkeys(ids, why), {})
    return choices or None


@dataclass(frozen=True, slots=True)
class _PossibleAnswers:
    """The rules in question, read with every answer that unrecorded facts could have given."""

    ruleset: Ruleset
    rules: Sequence[Rule]
    situation: Situation
    now: datetime

    def of(self, workflow: Workflow) -> Doubt | None:
        """Return the first rule that may condemn a workflow, with the facts in doubt, or None."""
        view = self._view(workflow)
        facts = view.facts
        unrecorded: list[str] = []
        for place, rule in enumerate(self.rules):
            answers = _possible_answers_of_rule(rule, view)
            if rule.acts and True in answers and not self._has_chosen(place):
                found = [*unrecorded, *_unrecorded(rule, facts)]
                return Doubt(rule=rule.id, facts=tuple(dict.fromkeys(found)) or (_others(rule),))
            if not rule.acts and False not in answers:
                return None
            if not rule.acts and answers != _CERTAIN[False]:
                unrecorded += _unrecorded(rule, facts)
        return None

    def _view(self, workflow: Workflow) -> View:
        facts = facts_of(self.ruleset, self.situation, workflow, self.now)
        return View(facts=facts, now=self.now)

    def _has_chosen(self, place: int) -> bool:
        """Return whether a rule's `keep` chose among workflows whose facts are all known."""
        keep, workflows = self.rules[place].keep, self.situation.workflows
        if (
            keep is None
            or isinstance(workflows, Unknown)
            or _spares_elsewhere(keep, self.situation)
        ):
            return False
        views = [self._view(one) for one in workflows]
        return all(
            all(view.facts.get(path) is not NOT_RECORDED for path in keep.paths)
            and all(
                len(_possible_answers_of_rule(rule, view)) == 1 for rule in self.rules[: place + 1]
            )
            for view in views
        )


def _spares_elsewhere(keep: Keep, situation: Situation) -> bool:
    """Return whether `keep` chooses among the workflows of all documents, not of this one alone."""
    return situation.trigger in ("sweep", "schedule") and DOCUMENT not in keep.per


def _others(rule: Rule) -> str:
    return f"whom `{rule.id}` keeps"


def _unrecorded(rule: Rule, facts: Mapping[str, object]) -> Iterator[str]:
    robots = () if rule.robots is None else (rule.robots,)
    for test in (*rule.condition.tests(), *rule.exception.tests(), *robots):
        for fact in test.facts:
            if facts.get(fact.path) is NOT_RECORDED:
                yield fact.path
    for path in () if rule.keep is None else rule.keep.facts:
        if facts.get(path) is NOT_RECORDED:
            yield path


def _possible_answers_of_rule(rule: Rule, view: View) -> _Answers:
    answers = _all(_possible_answers(part, view) for part in rule.condition.parts)
    if rule.exception.parts:
        answers = _all((answers, _not(_possible_answers(rule.exception, view))))
    return answers if rule.robots is None else _all((answers, _possible_answers(rule.robots, view)))


def _possible_answers(part: Part, view: View) -> _Answers:
    """Return every answer that a test could have given, over all values of unrecorded facts."""
    match part:
        case FactTest():
            unrecorded = any(view.facts.get(fact.path) is NOT_RECORDED for fact in part.facts)
            return _ANY if unrecorded else _CERTAIN[part.holds(view)]
        case All():
            return _all(_possible_answers(inner, view) for inner in part.parts)
        case AnyOf():
            return _not(_all(_not(_possible_answers(inner, view)) for inner in part.parts))
        case Not():
            return _not(_possible_answers(part.part, view))


def _all(parts: Iterable[_Answers]) -> _Answers:
    result = _CERTAIN[True]
    for answers in parts:
        result = frozenset(_and(one, two) for one in result for two in answers)
    return result


def _and(one: Kleene, two: Kleene) -> Kleene:
    if one is False or two is False:
        return False
    return True if one and two else None


def _not(answers: _Answers) -> _Answers:
    return frozenset(None if one is None else not one for one in answers)

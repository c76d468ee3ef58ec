"""Finds the reason of a difference between a workflow's recorded decision and the new ruling."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from responder.authoring.backtest import past_situation as record
from responder.authoring.backtest.result import Difference, Kind
from responder.authoring.backtest.verdict import Doubt, Ruling
from responder.authoring.explain import why_passed_over
from responder.journal.reading.history import Past
from responder.model import KILLING, Condition, Document, Outcome, Situation, Unknown
from responder.rules.facts.values import duration_in_words
from responder.rules.rule import Rule
from responder.rules.ruleset import Ruleset

HOUR = timedelta(hours=1)
_CLEARED = "when it was looked at again it was cleared, on facts that were not recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The result that a workflow's new ruling is compared with: recorded, or by other rules.

    `cleared` are the rules that condemned it first, and no longer when it was judged again.
    `conditions` is None where they are to be read from the record.
    """

    kills: Mapping[str, str] = field(default_factory=dict)
    cleared: frozenset[str] = frozenset()
    left_by: str | None = None
    doubt: Doubt | None = None
    conditions: Sequence[Condition] | None = None
    template_id: str | None = None

    @classmethod
    def of(cls, ruling: Ruling) -> "Baseline":
        """Build the baseline from a ruling."""
        return cls(
            kills={verdict.rule: verdict.action.value for verdict in ruling.kills},
            left_by=ruling.left_by,
            doubt=ruling.doubt,
            conditions=ruling.conditions,
            template_id=template_of(ruling),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedWorkflow:
    """One workflow at one evaluation. `then` are the rules it is compared with, if known."""

    past: Past
    document: Document
    workflow_id: str
    then: Ruleset | None
    new: Ruleset
    template_id: str | None = None

    def difference(
        self,
        kind: Kind,
        rule: str,
        why: str,
        *,
        action: str | None = None,
        test: Condition | None = None,
        facts: tuple[str, ...] = (),
    ) -> Difference:
        """Build a difference for this workflow."""
        return Difference(
            kind=kind,
            portal=self.past.portal,
            workflow_id=self.workflow_id,
            template_id=self.template_id,
            document=self.document.ref,
            rule=rule,
            action=action,
            evaluation=f"{self.past.portal}-{self.past.seq}",
            at=self.past.at,
            why=why,
            test=test,
            facts=facts,
            waits=_waits(_rule(self.new, rule), self.past.at) if kind == "added" else None,
        )

    def not_in_question(self, rule: Rule) -> str:
        """Return why a rule was not read."""
        situation = Situation(
            portal=self.past.portal,
            trigger=self.past.body["trigger"],
            events=tuple(self.past.body["event_names"]),
            document=self.document,
            facts={},
            workflows=(),
        )
        return why_passed_over(rule, situation, self.past.at)


def recorded_baselines(past: Past) -> dict[str, Baseline]:
    """Return the recorded result for each workflow of an evaluation, as its outcome is now."""
    kills: dict[str, dict[str, str]] = {}
    cleared: dict[str, set[str]] = {}
    left_by: dict[str, str] = {}
    templates: dict[str, str | None] = {}
    for n, decided in enumerate(past.body["decisions"], start=1):
        if decided["workflow"] is None:
            continue
        name, rule = decided["workflow"]["id"], decided["rule"]
        templates[name] = decided["workflow"]["template_id"]
        if decided["action"] not in KILLING:
            left_by[name] = rule
        elif past.outcomes.get(n) == Outcome.CLEARED:
            cleared.setdefault(name, set()).add(rule)
        else:
            kills.setdefault(name, {})[rule] = decided["action"]
    return {
        name: Baseline(
            kills=kills.get(name, {}),
            cleared=frozenset(cleared.get(name, ())),
            left_by=left_by.get(name),
            template_id=template_id,
        )
        for name, template_id in templates.items()
    }


def kills_now(
    compared: ComparedWorkflow, baseline: Baseline, ruling: Ruling | None
) -> tuple[dict[str, str], Difference | None]:
    """Return the rules that condemn a workflow now with their actions, or why it is undecidable."""
    if ruling is None:
        return {}, None
    if ruling.doubt is not None:
        return {}, in_doubt(compared, ruling.doubt)
    kills: dict[str, str] = {}
    for verdict in ruling.kills:
        ends = _after_clearing(compared, baseline, verdict.rule)
        if ends is None:
            found = compared.difference(
                "undecidable", verdict.rule, _CLEARED, action=verdict.action
            )
            return {}, found
        if not ends:
            kills[verdict.rule] = verdict.action.value
    return kills, None


def _after_clearing(compared: ComparedWorkflow, baseline: Baseline, rule_id: str) -> bool | None:
    """Return whether the recorded clearing would clear it of this rule too; None if unknown."""
    if not baseline.cleared:
        return False
    new, old = _rule(compared.new, rule_id), _rule(compared.then, rule_id)
    if rule_id in baseline.cleared and new and old and _timing(new) == _timing(old):
        return True
    waited = [_rule(compared.then, one) for one in baseline.cleared]
    if new and _timing(new) == (None, None) and all(w and w.wait is not None for w in waited):
        return False
    return None


def _timing(rule: Rule) -> tuple[object, object]:
    return (rule.wait, rule.during)


def in_doubt(compared: ComparedWorkflow, doubt: Doubt) -> Difference:
    """Build an undecidable difference that names the facts without a record."""
    lacking = ", ".join(doubt.facts)
    were = "was" if len(doubt.facts) == 1 else "were"
    why = f"{lacking} {were} not recorded"
    return compared.difference("undecidable", doubt.rule, why, facts=doubt.facts)


def added(compared: ComparedWorkflow, baseline: Baseline, ruling: Ruling | None) -> Difference:
    """Build the difference for a kill that is new, with the test that decided it."""
    assert ruling is not None
    verdict = ruling.kills[0]
    conditions = baseline.conditions
    if conditions is None:
        conditions = record.conditions(compared.past, compared.workflow_id)
    why, test = _why_not(
        compared, compared.then, verdict.rule, baseline.left_by, conditions, "then"
    )
    if verdict.rule in baseline.cleared:
        why, test = "its `wait` cleared it then", None
    if test is None:
        test = _last(ruling.conditions, verdict.rule)
    return compared.difference("added", verdict.rule, why, action=verdict.action, test=test)


def removed(compared: ComparedWorkflow, baseline: Baseline, ruling: Ruling | None) -> Difference:
    """Build the difference for a kill that falls away, with the test that decided it."""
    rule, action = next(iter(baseline.kills.items()))
    left_by, conditions = (None, ()) if ruling is None else (ruling.left_by, ruling.conditions)
    why, test = _why_not(compared, compared.new, rule, left_by, conditions, "now")
    return compared.difference("removed", rule, why, action=action, test=test)


def changed(compared: ComparedWorkflow, baseline: Baseline, kills: Mapping[str, str]) -> Difference:
    """Build the difference for a kill by another rule."""
    rule, action = next(iter(kills.items()))
    why = f"condemned by {', '.join(baseline.kills)} then, and by {', '.join(kills)} now"
    return compared.difference("changed", rule, why, action=action)


def named_events(ruleset: Ruleset) -> frozenset[str]:
    """Return the portal's events that set a kill or terminate rule off, and `robot`."""
    triggers = [
        one
        for rule in ruleset.rules
        if rule.acts and rule.disabled is None
        for one in rule.triggers or ()
    ]
    events = {event for one in triggers for event in one.events}
    return frozenset(events | {"robot" for one in triggers if one.is_robot})


def tripped(ruleset: Ruleset, begun: Mapping[str, Sequence[datetime]]) -> Iterator[str]:
    """Yield a line for each rule that would have tripped: more in an hour than its `per_hour`."""
    for rule in ruleset.rules:
        most = _most_in_an_hour(sorted(begun.get(rule.id, ())))
        if most > rule.limit.per_hour:
            yield (
                f"{rule.id} would have tripped: {most} within an hour, and its per_hour is"
                f" {rule.limit.per_hour}"
            )


def _most_in_an_hour(instants: Sequence[datetime]) -> int:
    most, start = 0, 0
    for place, at in enumerate(instants):
        while at - instants[start] >= HOUR:
            start += 1
        most = max(most, place - start + 1)
    return most


def _why_not(
    compared: ComparedWorkflow,
    ruleset: Ruleset | None,
    rule_id: str,
    left_by: str | None,
    conditions: Sequence[Condition],
    when: str,
) -> tuple[str, Condition | None]:
    """Return why a rule did not condemn, then or now, and the test that decided."""
    was = when == "then"
    if left_by is not None:
        protects = "protected" if was else "protects"
        return f"{left_by} {protects} it {when}", _last(conditions, left_by)
    test = _deciding([one for one in conditions if one.rule == rule_id])
    if test is not None:
        return f"{rule_id} {_result_in_words(test, was=was)} {when}", test
    rule = _rule(ruleset, rule_id)
    is_or_was = "was" if was else "is"
    if rule is not None:
        return f"{rule_id} {is_or_was} not read {when}: {compared.not_in_question(rule)}", None
    if ruleset is None:
        return "the rules that decided then cannot be read by this version", None
    return f"there {is_or_was} no rule {rule_id} {when}", None


def _result_in_words(test: Condition, *, was: bool) -> str:
    if test.holds is None:
        return "was unknown" if was else "is unknown"
    return "did not hold" if was else "does not hold"


def _deciding(tests: Sequence[Condition]) -> Condition | None:
    """Return the test that ended the reading of a rule, or else the first that was unknown."""
    if not tests:
        return None
    last = tests[-1]
    inverted = last.path.startswith("unless") is not (".not." in last.path)
    if last.holds is inverted:
        return last
    return next((one for one in tests if one.holds is None), last)


def _last(conditions: Sequence[Condition], rule_id: str) -> Condition | None:
    return next((one for one in reversed(conditions) if one.rule == rule_id), None)


def _rule(ruleset: Ruleset | None, rule_id: str) -> Rule | None:
    rules = () if ruleset is None else ruleset.rules
    return next((rule for rule in rules if rule.id == rule_id), None)


def _waits(rule: Rule | None, at: datetime) -> str | None:
    if rule is None:
        return None
    if rule.wait is not None:
        return f"it waits {duration_in_words(rule.wait)} first, and acts if all of it still holds"
    if rule.during is not None and not rule.during.is_open(at):
        return f"it waits for {rule.during.name} to open, and acts if all of it still holds"
    return None


def template_of(ruling: Ruling) -> str | None:
    """Return the id of a workflow's template, where it is known."""
    value = ruling.workflow.facts.get("workflow.template_id")
    return None if value is None or isinstance(value, Unknown) else str(value)

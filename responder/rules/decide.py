"""Judges a situation: reads the rules from the top for each workflow and returns verdicts.

The first `leave`, approve or enforce rule whose tests all hold ends the reading of a workflow. An
observe rule that holds gives its verdict and the reading goes on, so that trying a rule never
disarms another. A `leave` rule that is unknown protects from all below it: a fact that could not be
read might be the exception. A rule with `keep` spares one of each group that it condemns, and the
reading goes on for that one; therefore all workflows are read side by side, rule by rule. Nothing
here waits, reads a clock or calls anything: the same situation, rules and moment give the same
judgement.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from responder.model import (
    ABSENT,
    ACTING_MODES,
    Action,
    Condition,
    Group,
    Judgement,
    Mode,
    Reason,
    Situation,
    Traced,
    Unknown,
    Verdict,
    Workflow,
)
from responder.rules import keep as keeping
from responder.rules.facts.conditions import Facts, View
from responder.rules.facts.derived import DERIVED, UNKNOWN_LIST, derived, of_judgement
from responder.rules.keep import Candidate, Choice, Keep
from responder.rules.rule import Rule
from responder.rules.ruleset import Ruleset, without_idle_guards

_EXISTS = "document.exists"
_SEEN_BEFORE_LISTED = ("event", "robot")


def judge(
    ruleset: Ruleset,
    situation: Situation,
    *,
    enforcing: bool,
    now: datetime,
    only: str | None = None,
    rules: tuple[Rule, ...] | None = None,
    choices: Mapping[str, Choice] | None = None,
) -> Judgement:
    """Return the rules' verdict on each running workflow, and why the others are not condemned.

    `enforcing` is the installation's own mode. `only` is the id of the one workflow that a call
    named; no other is then judged. `rules` are the rules to read, guards among them, where the
    trigger does not decide it (`Ruleset.with_guards`). `choices` has, for rules with `keep` whose
    choice was made before or over several documents, the workflows that each spares
    (`keep.choose`).
    """
    asked = _in_question(ruleset, situation, rules, now)
    if not asked:
        return Judgement(reason=Reason.NO_RULE)
    unlisted = _why_unlisted(ruleset, situation)
    if unlisted is not None:
        nobody = Traced(None, (_unlisted_condition(asked, unlisted),))
        return Judgement(reason=Reason.UNREADABLE, traced=(nobody,))
    assert not isinstance(situation.workflows, Unknown)
    reading = _reading(ruleset, situation, asked, now=now, enforcing=enforcing, choices=choices)
    # `keep` compares a workflow with all the others, also where it alone is asked after.
    compared = any(rule.keep for rule in asked)
    workflows: Sequence[Workflow] = situation.workflows
    if only is not None and not compared:  # one of thousands, and thousands are asked after
        workflows = next(([one] for one in workflows if one.id == only), [])
    threads = [one for one in reading.of(workflows) if only in (None, one.workflow.id)]
    return _judgement(reading, threads, awaits=situation.trigger in _SEEN_BEFORE_LISTED)


def matching(
    ruleset: Ruleset, situation: Situation, rules: Collection[Rule], *, now: datetime
) -> set[str]:
    """Return the ids of those of these rules whose tests all hold for some workflow.

    Each rule is tested alone, whatever stands above it.
    """
    if isinstance(situation.workflows, Unknown):
        return set()
    reading = _reading(ruleset, situation, tuple(rules), now=now)
    views = [reading.view(workflow) for workflow in situation.workflows]
    return {rule.id for rule in rules if any(rule.holds(view) for view in views)}


def _reading(
    ruleset: Ruleset,
    situation: Situation,
    rules: tuple[Rule, ...],
    *,
    now: datetime,
    enforcing: bool = True,
    choices: Mapping[str, Choice] | None = None,
) -> "_Reading":
    return _Reading(
        ruleset=ruleset,
        rules=rules,
        document=situation.document.ref,
        facts=_facts(situation),
        now=now,
        enforcing=enforcing,
        choices=choices or {},
        derives=any(not rule.paths.isdisjoint(DERIVED) for rule in rules),
    )


def _in_question(
    ruleset: Ruleset, situation: Situation, rules: tuple[Rule, ...] | None, now: datetime
) -> tuple[Rule, ...]:
    if rules is None:
        rules = ruleset.in_question(
            situation.trigger, situation.events, situation.document.kind, situation.portal
        )
    if not any(rule.expired(now) for rule in rules):
        return rules
    return without_idle_guards(rule for rule in rules if not rule.expired(now))


def _why_unlisted(ruleset: Ruleset, situation: Situation) -> Unknown | None:
    """Return why nothing can be said of the workflows, or None.

    Where it is not known which list an element is of, any guard of a list may be about it.
    """
    if isinstance(situation.workflows, Unknown):
        return situation.workflows
    unsure = situation.document.is_of_unknown_list and ruleset.guards_lists
    return UNKNOWN_LIST if unsure else None


def _unlisted_condition(rules: Sequence[Rule], unknown: Unknown) -> Condition:
    return Condition(
        rule=next(rule.id for rule in rules if rule.acts),
        path="workflows",
        test="can be listed",
        value=None,
        holds=None,
        why=unknown.why,
    )


def _facts(situation: Situation) -> dict[str, object]:
    """Return the situation's facts, with those of the judgement itself."""
    return {
        **of_judgement(situation.events, situation.document),
        **situation.facts,
    }


def _judgement(reading: "_Reading", threads: Sequence["_Thread"], *, awaits: bool) -> Judgement:
    for thread in threads:
        thread.close()
    verdicts = tuple(verdict for thread in threads for verdict in thread.verdicts)
    condemned = any(verdict.action is not Action.LEAVE for verdict in verdicts)
    return Judgement(
        verdicts=verdicts,
        reason=_reason(reading, threads, condemned=condemned),
        traced=tuple(
            Traced(thread.workflow.id, tuple(thread.view.trace))
            for thread in threads
            if thread.view.trace
        ),
        look_again=awaits and reading.awaits_another({one.rule for one in verdicts}),
    )


class _Kept(NamedTuple):
    """The workflows that `keep` spared beside a condemned one, and the group that they share."""

    spared: tuple[str, ...]
    group: Group


@dataclass(slots=True, kw_only=True)
class _Thread:
    """The reading of the rules for one workflow."""

    workflow: Workflow
    view: View
    verdicts: list[Verdict] = field(default_factory=list)
    ended: bool = False

    def add_verdict(self, rule: Rule, mode: Mode | None, kept: _Kept | None) -> None:
        """Add a rule's verdict, with the tests made since the verdict before it."""
        self.verdicts.append(
            Verdict(
                workflow=self.workflow,
                rule=rule.id,
                because=rule.because,
                action=rule.then,
                mode=mode,
                # all tests since the verdict before: they also show which rules did not hold
                conditions=tuple(self.view.trace),
                spared=None if kept is None else kept.spared,
                group=() if kept is None else kept.group,
            )
        )
        self.view.trace = []

    def close(self) -> None:
        """Add the tests made after the last verdict to that verdict."""
        if self.verdicts and self.view.trace:
            last = self.verdicts[-1]
            self.verdicts[-1] = replace(last, conditions=(*last.conditions, *self.view.trace))
            self.view.trace = []


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """The reading of the rules in question for the workflows of one document."""

    ruleset: Ruleset
    rules: tuple[Rule, ...]
    document: str
    facts: dict[str, object]
    now: datetime
    enforcing: bool
    choices: Mapping[str, Choice]
    derives: bool
    failed_on_document: set[str] = field(default_factory=set)

    def of(self, workflows: Iterable[Workflow]) -> list[_Thread]:
        """Read the rules for these workflows, side by side at each rule with `keep`."""
        threads = [_Thread(workflow=one, view=self.view(one)) for one in workflows]
        start = 0
        for place, rule in enumerate(self.rules):
            if rule.keep is not None:
                self._read(threads, self.rules[start:place])
                self._keep(threads, rule, rule.keep)
                start = place + 1
        self._read(threads, self.rules[start:])
        return threads

    def _read(self, threads: Iterable[_Thread], rules: Sequence[Rule]) -> None:
        """Read rules without `keep` for each workflow, until a rule ends its reading."""
        for thread in threads:
            if thread.ended:
                continue
            view = thread.view
            for rule in rules:
                held = rule.holds(view)
                if held or (held is None and not rule.acts):
                    self._condemn(thread, rule)
                    if thread.ended:
                        break

    def _keep(self, threads: Iterable[_Thread], rule: Rule, keep: Keep) -> None:
        """Read a rule with `keep` for all workflows, and condemn those that it does not spare."""
        held = [thread for thread in threads if not thread.ended and rule.holds(thread.view)]
        groups = [keep.group(thread.view.facts) for thread in held]
        choice = self.choices.get(rule.id)
        if choice is None:
            candidates = (
                Candidate(self.document, thread.workflow, group)
                for thread, group in zip(held, groups, strict=True)
            )
            choice = keeping.choose(candidates, keep, self.ruleset.zone)
        for thread, group in zip(held, groups, strict=True):
            made = _keep_condition(rule, keep, thread, choice, group)
            thread.view.trace.append(made)
            if made.holds:
                kept = _Kept(choice.kept_beside(thread.workflow.id), group)
                self._condemn(thread, rule, kept)

    def _condemn(self, thread: _Thread, rule: Rule, kept: _Kept | None = None) -> None:
        mode = rule.mode if self.enforcing else Mode.OBSERVE
        thread.add_verdict(rule, mode if rule.acts else None, kept)
        thread.ended = not rule.acts or rule.mode in ACTING_MODES

    def view(self, workflow: Workflow) -> View:
        """Return the input of rules for one workflow."""
        return View(
            facts=self._facts_of(workflow),
            now=self.now,
            failed_on_document=self.failed_on_document,
        )

    def _facts_of(self, workflow: Workflow) -> Facts:
        facts = {**self.facts, **workflow.facts}
        facts.setdefault("workflow.id", workflow.id)
        facts.setdefault("template.id", facts.get("workflow.template_id", ABSENT))
        if self.derives:
            facts |= derived(facts, self.now, self.ruleset.zone)
        return facts

    def awaits_another(self, condemned: Collection[str]) -> bool:
        """Return whether a rule that condemned nothing could condemn a workflow not listed yet.

        That is where all tests of a kill or terminate rule hold except those of workflows.
        """
        view = View(facts=self.facts, now=self.now, assumed=True)
        decided = self.failed_on_document.union(condemned)
        return any(
            rule.id not in decided and rule.acts and rule.holds(view) is True for rule in self.rules
        )

    def document_is_unreadable(self) -> bool:
        """Return whether the document was read for, and is gone or cannot be read."""
        exists = self.facts.get(_EXISTS)
        return exists is False or isinstance(exists, Unknown)


def _keep_condition(
    rule: Rule, keep: Keep, thread: _Thread, choice: Choice, group: Group
) -> Condition:
    """Build the condition that records whether `keep` spared a workflow, as one more test.

    A workflow of an unknown group, or of none, is spared whatever was chosen before.
    """
    workflow = thread.workflow
    started = workflow.facts.get(keeping.STARTED)
    why = choice.spared.get(workflow.id)
    holds = None if why is not None else workflow.id not in choice.spared
    if not choice.is_open and isinstance(group, Unknown):
        holds, why = None, why or group.why
    elif not choice.is_open and group is None and why is None:
        holds, why = False, keep.why_in_no_group(thread.view.facts)
    return Condition(
        rule=rule.id,
        path="keep",
        test=keep.english,
        value=None if isinstance(started, Unknown) else started,
        holds=holds,
        why=why,
    )


def _reason(reading: _Reading, threads: Sequence[_Thread], *, condemned: bool) -> Reason | None:
    if threads and all(thread.verdicts for thread in threads):
        return None
    if not condemned and reading.document_is_unreadable():
        return Reason.UNREADABLE
    return Reason.NO_MATCH if threads else Reason.NO_WORKFLOW

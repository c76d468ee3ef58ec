"""Builders for the tests of rules: a ruleset from YAML, a situation, a workflow."""

import functools
from collections.abc import Mapping
from datetime import UTC, datetime
from textwrap import dedent, indent

from responder.model import Document, Judgement, Situation, Trigger, Unknown, Workflow
from responder.rules.decide import judge
from responder.rules.ruleset import RulesError, Ruleset, load
from responder.rules.yaml_positions import Mistake

NOW = datetime(2026, 9, 24, 9, 0, tzinfo=UTC)
UPDATED = ("ONCRMDEALUPDATE",)
DEAL = Document(kind="deal", item_id="759", module="crm", entity="CCrmDocumentDeal", id="DEAL_759")


@functools.lru_cache(maxsize=64)  # a property judges many facts by the same rules
def a_ruleset(rules: str, *, head: str = "", portals: tuple[str, ...] | None = None) -> Ruleset:
    """Load rules written as the items of the list `rules`."""
    return load(in_a_file(rules, head).encode(), file="rules.yaml", portals=portals)


def in_a_file(rules: str, head: str = "") -> str:
    """Put rules into the rest of a file."""
    return f"version: 1\n{dedent(head)}rules:\n{indent(dedent(rules).lstrip(chr(10)), '  ')}"


def a_rule(
    tests: str = "workflow.template_id: 61",
    *,
    name: str = "the-rule",
    when: str | None = "[deal.updated]",
    then: str = "kill",
    mode: str | None = "enforce",
    more: str = "",
) -> str:
    """Write one rule; `tests` is what stands in the braces of its `if`."""
    keys = [f"- id: {name}"]
    keys += [f"  when: {when}"] if when else []
    keys += [f"  if: {{{tests}}}"] if tests else []
    keys += [f"  mode: {mode}"] if mode and then != "leave" else []
    keys += [f"  {line}" for line in dedent(more).splitlines()]
    return "\n".join([*keys, f"  then: {then}", ""])


def mistakes_of(text: str, *, portals: tuple[str, ...] | None = None) -> tuple[Mistake, ...]:
    """Return what is wrong with a file, or its warnings."""
    try:
        return load(text.encode(), file="rules.yaml", portals=portals).warnings
    except RulesError as error:
        return error.mistakes


def the_mistake(text: str, *, portals: tuple[str, ...] | None = None) -> Mistake:
    """Return the one mistake of a file that has one."""
    (mistake,) = mistakes_of(text, portals=portals)
    return mistake


def a_workflow(name: object = "a", **facts: object) -> Workflow:
    """Make a workflow of template 61, listed; `template_id=7` changes one of its facts."""
    found: dict[str, object] = {
        "workflow.id": name,
        "workflow.template_id": "61",
        "workflow.started": "2026-09-20T12:00:00+03:00",
        "workflow.started_by": "7",
        "workflow.modified": "2026-09-23T12:00:00+03:00",
        "workflow.owned_until": None,
        "template.known": True,
    }
    found |= {key if "." in key else f"workflow.{key}": value for key, value in facts.items()}
    return Workflow(id=str(name), facts=found)


def a_situation(
    facts: Mapping[str, object] | None = None,
    workflows: tuple[Workflow, ...] | Unknown | None = None,
    *,
    trigger: Trigger = "event",
    events: tuple[str, ...] = UPDATED,
    document: Document = DEAL,
    portal: str = "main",
) -> Situation:
    """Make a situation: deal 759 was updated and one workflow runs on it."""
    return Situation(
        portal=portal,
        trigger=trigger,
        events=events,
        document=document,
        facts=facts or {},
        workflows=(a_workflow(),) if workflows is None else workflows,
    )


def judged(
    rules: str,
    facts: Mapping[str, object] | None = None,
    *workflows: Workflow,
    head: str = "",
    enforcing: bool = True,
    now: datetime = NOW,
    only: str | None = None,
) -> Judgement:
    """Judge deal 759, updated, with these rules, facts and workflows (one by default)."""
    situation = a_situation(facts, workflows or None)
    return judge(a_ruleset(rules, head=head), situation, enforcing=enforcing, now=now, only=only)


def holds(tests: str, facts: Mapping[str, object], *, head: str = "") -> bool | None:
    """Tell how the only test of a rule comes out, as the trace has it."""
    rule = a_rule(tests, more="every_template: true")
    judgement = judged(rule, facts, a_workflow(), head=head)
    traced = [*judgement.conditions, *(c for v in judgement.verdicts for c in v.conditions)]
    (first, *_rest) = [one for one in traced if one.path != "template.known"]
    return first.holds

"""An observing rule is ready when a week, its limits, its workflows and a test speak for it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from responder.adapters.package_texts import DOCS
from responder.authoring.readiness import Readiness, count_tests, observes
from responder.journal.reading.observed import Foreseen
from responder.journal.would_kills import Figures
from responder.model import Mode
from tests.rules.make import NOW, a_rule, a_ruleset

RULE = a_ruleset(a_rule(mode="observe")).rules[0]
FIGURES = Figures(
    rule="the-rule",
    workflows=14,
    documents=12,
    ended=2,
    running=9,
    stopped=0,
    untold=0,
    since=NOW - timedelta(days=9),
    until=NOW,
)
NEVER = Foreseen(held=0, looked_at=14, newest=None)
READY = Readiness(
    rule=RULE,
    since=NOW - timedelta(days=9),
    now=NOW,
    figures=FIGURES,
    foreseen=NEVER,
    tests=2,
    installation=Mode.ENFORCE,
)
HELD = Foreseen(
    held=1, looked_at=14, newest="the rule would have tripped: 31 at once, per_hour is 30"
)


def test_what_nothing_speaks_against_is_ready_and_says_which_keys_to_turn() -> None:
    assert READY.is_ready
    look = "Look through what it would have stopped; then "
    assert READY.next_step == f"{look}write `mode: enforce`."
    observing = replace(READY, installation=Mode.OBSERVE)
    assert observing.next_step == f"{look}write `mode: enforce` and set RESPONDER_MODE=enforce."
    enforced = a_ruleset(a_rule()).rules[0]
    assert replace(observing, rule=enforced).next_step == f"{look}set RESPONDER_MODE=enforce."


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (replace(READY, foreseen=HELD), "Raise its limit"),
        (replace(READY, figures=replace(FIGURES, ended=8, running=3)), "Give it a `wait`"),
        (replace(READY, figures=None), "it has condemned nothing"),
        (replace(READY, since=NOW - timedelta(days=6)), "Let it observe for 1 more day:"),
        (replace(READY, since=None), "Let it observe for 7 more days:"),
        (replace(READY, tests=0), "Write a test"),
    ],
)
def test_what_speaks_against_it_is_the_next_thing_to_do(state: Readiness, says: str) -> None:
    assert not state.is_ready
    assert says in state.next_step


def test_each_figure_has_its_name() -> None:
    assert dict(READY.lines("killed")) == {
        "observed": "9 days as it stands, since 2026-09-15",
        "would have killed": "14 on 12 documents, each counted once",
        "ended by themselves": "2 of 11 that can be told, within a day",
        "would have tripped": "never",
        "tests that name it": "2",
    }
    newer = dict(replace(READY, since=NOW - timedelta(days=2), tests=None).lines("killed"))
    assert newer["would have killed"].endswith("; some of them when its text was another")
    assert newer["tests that name it"].startswith("not counted")


def test_the_example_in_the_documentation_is_what_it_says() -> None:
    state = replace(READY, foreseen=HELD)
    lines = [f"      {name}: {figure}" for name, figure in state.other_lines()]
    assert "\n".join([*lines, f"      next: {state.next_step}"]) in DOCS.text("testing")


def test_rules_that_could_act_observe_by_their_mode_or_the_installations() -> None:
    text = (
        a_rule(name="a", mode="observe")
        + a_rule(name="b")
        + a_rule(name="c", when=None, then="leave")
        + a_rule(name="d", mode="observe", more="disabled: not now")
    )
    rules = a_ruleset(text).rules
    assert [rule.id for rule in rules if observes(rule, Mode.ENFORCE, NOW)] == ["a"]
    assert [rule.id for rule in rules if observes(rule, Mode.OBSERVE, NOW)] == ["a", "b"]


def test_tests_count_for_the_rules_that_they_name() -> None:
    tests = """\
tests:
  - name: one
    event: deal.updated
    workflows: [{id: a, template_id: 61}, {id: b, template_id: 7}]
    expect: {a: {kill: the-rule}, b: none}
  - name: none of it
    event: deal.updated
    workflows: [{id: a, template_id: 7}]
    expect: {a: none}
"""
    ruleset = a_ruleset(
        a_rule() + a_rule("deal.id: 1, workflow.template_id: 61", name="other"), head=tests
    )
    assert count_tests(ruleset) == {"the-rule": 1}
    assert count_tests(a_ruleset(a_rule())) == {}
    assert count_tests(a_ruleset(a_rule(more=f"because: {'x' * 200_000}"))) is None

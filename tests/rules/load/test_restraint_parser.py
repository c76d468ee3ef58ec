"""Tests of how a file writes what holds a rule back: `wait`, `during`, `keep`."""

from datetime import timedelta

import pytest

from responder.rules.keep import Keep
from responder.rules.rule import Rule
from tests.rules.make import a_rule, a_ruleset, in_a_file, mistakes_of

BOTH = frozenset({"document", "template"})


def rule_with(line: str) -> Rule:
    (rule,) = a_ruleset(a_rule(more=line)).rules
    return rule


def test_a_rule_waits_for_nothing_and_spares_nobody_by_default() -> None:
    rule = rule_with("because: x")
    assert (rule.wait, rule.during, rule.keep) == (None, None, None)


def test_a_rule_may_wait() -> None:
    assert rule_with("wait: 10m").wait == timedelta(minutes=10)


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        ("keep: newest", Keep(newest=True, per=BOTH)),
        ("keep: oldest\nper: [document]", Keep(newest=False, per=frozenset({"document"}))),
        ("keep: newest\nper: [template]", Keep(newest=True, per=frozenset({"template"}))),
        ("keep: newest\nper: [template, document]", Keep(newest=True, per=BOTH)),
        ("keep: {newest: 1}", Keep(newest=True, per=BOTH)),
        ("keep: {newest: 3}", Keep(newest=True, per=BOTH, count=3)),
        ('keep: {oldest: "999"}', Keep(newest=False, per=BOTH, count=999)),
        (
            "keep: {newest: 3}\nper: [starter.id, template]",
            Keep(newest=True, per=frozenset({"starter.id", "template"}), count=3),
        ),
    ],
)
def test_a_rule_may_keep_one_of_each_group(keep: str, expected: Keep) -> None:
    assert rule_with(keep).keep == expected


def test_what_the_choice_rests_on_is_read() -> None:
    assert {"workflow.started", "workflow.template_id"} <= rule_with("keep: newest").paths
    assert "workflow.started" not in rule_with("wait: 1m").paths
    by_company = rule_with("keep: newest\nper: [deal.company_id, starter.id]")
    assert {"deal.company_id", "starter.id", "workflow.started"} <= by_company.paths


def test_a_group_by_a_field_of_a_kind_is_for_documents_of_that_kind() -> None:
    rule = a_rule(when="[deal.updated, lead.updated]", more="keep: newest\nper: [deal.company_id]")
    assert [one.kind for one in a_ruleset(rule).rules] == ["deal"]


@pytest.mark.parametrize(
    ("line", "place", "said", "suggestion"),
    [
        ("wait: 10", (7, 11), "`wait` is a duration", "10m"),
        ("wait: 0s", (7, 11), "`wait` is a duration", None),
        ("wait: 367d", (7, 11), "`wait` is a duration", None),
        ("wait: [10m]", (7, 11), "`wait` is a duration", "10m"),
        ("during: office", (7, 13), "no calendar `office`", None),
        ("during: [office]", (7, 13), "`during` is the name", "office"),
        ("keep: newst", (7, 11), "`keep` is one of", "newest"),
        ("per: [document]", (7, 5), "`per` says what makes a group", None),
        ("{keep: newest, per: [documents]}", None, "`per` is a list of", "document"),
        ("{keep: newest, per: []}", None, "`per` is a list", None),
        ("keep: {newst: 3}", (7, 12), "no key `newst`", "newest"),
        ("keep: {newest: 0}", (7, 20), "`newest` is how many to keep", None),
        ("keep: {newest: 1000}", (7, 20), "`newest` is how many to keep", None),
        ("keep: {newest: 2.5}", (7, 20), "`newest` is how many to keep", None),
        ("keep: {newest: 007}", (7, 20), "`newest` is how many to keep", None),
        ("keep: {newest: [3]}", (7, 20), "`newest` is how many to keep", None),
        ("keep: {newest: 1, oldest: 1}", (7, 11), "`keep` is newest, oldest, or how many", None),
        ("keep: {}", (7, 11), "`keep` is newest, oldest, or how many", None),
        ("{keep: newest, per: [starter]}", None, "facts such as starter.id", "starter.id"),
        ("{keep: newest, per: [starter.ide]}", None, "`per` is a list of", "starter.id"),
        ("{keep: newest, per: [deal.opportunity]}", None, "only references and texts", None),
        ("{keep: newest, per: [workflow.started]}", None, "only references and texts", None),
        ("{keep: newest, per: [workflow.id]}", None, "every workflow has its own", None),
        ("{keep: newest, per: [document.id]}", None, "write `document`", None),
        ("{keep: newest, per: [event.name]}", None, "the same for all", None),
        ("{keep: newest, per: [lead.company_id]}", None, "brings no lead", None),
    ],
)
def test_a_mistake_in_a_restraint_is_said_where_it_is(
    line: str, place: tuple[int, int] | None, said: str, suggestion: str | None
) -> None:
    more = line[1:-1].replace(", per", "\nper") if line.startswith("{") else line
    (mistake,) = mistakes_of(in_a_file(a_rule(more=more)))
    assert said in mistake.message
    assert mistake.suggestion == suggestion
    assert place is None or (mistake.line, mistake.column) == place


@pytest.mark.parametrize("line", ["wait: 1m", "during: office", "keep: newest", "per: [document]"])
def test_a_guard_protects_at_once(line: str) -> None:
    text = in_a_file(a_rule(then="leave", more=line) + a_rule(name="b"))
    (mistake,) = mistakes_of(text)
    assert "a `leave` rule has no" in mistake.message

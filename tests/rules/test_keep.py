"""Tests of `keep`: of each group that a rule condemns one is spared, and all where in doubt."""

from dataclasses import replace
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.model import Judgement, Unknown, Workflow
from responder.rules.decide import judge
from responder.rules.keep import Candidate, Choice, Keep, choose, repeat_choice
from tests.rules.make import (
    NOW,
    a_rule,
    a_ruleset,
    a_situation,
    a_workflow,
    judged,
)

DENIED = Unknown("access was denied")
NEWEST = a_rule("workflow.template_id: [61, 62]", name="one", more="keep: newest")
DAYS = ("2026-09-20", "2026-09-21", "2026-09-22", "2026-09-23", "2026-09-24")


def started(name: str, day: object, template: object = "61") -> Workflow:
    when = f"{day}T12:00:00+03:00" if isinstance(day, str) else day
    return a_workflow(name, started=when, template_id=template)


FIVE = tuple(started(name, day) for name, day in zip("abcde", DAYS, strict=True))


def killed(judgement: Judgement) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for verdict in judgement.verdicts:
        found.setdefault(verdict.rule, []).append(verdict.workflow.id)
    return found


def test_of_five_equal_workflows_the_newest_lives() -> None:
    assert killed(judged(NEWEST, {}, *FIVE)) == {"one": ["a", "b", "c", "d"]}
    oldest = NEWEST.replace("newest", "oldest")
    assert killed(judged(oldest, {}, *FIVE)) == {"one": ["b", "c", "d", "e"]}


def test_one_alone_lives() -> None:
    assert killed(judged(NEWEST, {}, FIVE[0])) == {}


def test_workflows_that_started_together_are_told_apart_by_their_ids() -> None:
    same = (started("b", DAYS[0]), started("c", DAYS[0]), started("a", DAYS[0]))
    assert killed(judged(NEWEST, {}, *same)) == {"one": ["b", "a"]}


def test_the_trace_says_who_was_spared_and_who_not() -> None:
    judgement = judged(NEWEST, {}, FIVE[0], FIVE[1])
    (traced,) = judgement.traced
    kept = traced.conditions[-1]
    assert (kept.path, kept.test, kept.value, kept.holds, traced.workflow) == (
        "keep",
        "is not the newest of its document and template",
        "2026-09-21T12:00:00+03:00",
        False,
        "b",
    )
    assert [c.holds for c in judgement.verdicts[0].conditions] == [True, True]


def test_each_template_keeps_its_own() -> None:
    two = (started("x", DAYS[0], "62"), started("y", DAYS[1], "62"))
    assert killed(judged(NEWEST, {}, *FIVE[:2], *two)) == {"one": ["a", "x"]}


def test_by_document_alone_all_templates_are_one_group() -> None:
    workflows = (*FIVE[:2], started("x", DAYS[2], "62"))
    rule = NEWEST.replace("keep: newest", "keep: newest\n  per: [document]")
    assert killed(judged(rule, {}, *workflows)) == {"one": ["a", "b"]}


@pytest.mark.parametrize("start", [None, "", "soon", DENIED])
def test_nobody_is_condemned_where_one_start_is_unknown(start: object) -> None:
    judgement = judged(NEWEST, {}, *FIVE, started("x", start))
    assert judgement.verdicts == ()
    last = judgement.conditions[-1]
    assert (last.path, last.holds) == ("keep", None)
    assert "the start of `x` is unknown" in str(last.why)


def test_an_unknown_start_of_one_template_does_not_protect_another() -> None:
    workflows = (*FIVE[:2], started("x", None, "62"), started("y", DAYS[0], "62"))
    assert killed(judged(NEWEST, {}, *workflows)) == {"one": ["a"]}


def test_only_those_that_the_rule_condemns_are_compared() -> None:
    workflows = (*FIVE[:3], started("x", DAYS[4], "7"))
    assert killed(judged(NEWEST, {}, *workflows)) == {"one": ["a", "b"]}
    guard = a_rule("workflow.id: c", name="guard", then="leave", when=None)
    assert killed(judged(guard + NEWEST, {}, *FIVE[:3])) == {"guard": ["c"], "one": ["a"]}


def test_for_the_one_that_is_kept_the_reading_goes_on() -> None:
    below = a_rule(name="below", then="terminate")
    assert killed(judged(NEWEST + below, {}, *FIVE[:3])) == {"one": ["a", "b"], "below": ["c"]}


def test_the_verdicts_stay_in_the_order_of_the_workflows() -> None:
    below = a_rule(name="below")
    judgement = judged(NEWEST + below, {}, FIVE[1], FIVE[0])
    assert [verdict.workflow.id for verdict in judgement.verdicts] == ["b", "a"]


def test_a_rule_that_only_observes_keeps_one_too() -> None:
    tried = NEWEST.replace("enforce", "observe")
    assert killed(judged(tried + a_rule(name="below"), {}, *FIVE[:2])) == {
        "one": ["a"],
        "below": ["a", "b"],
    }


def test_a_workflow_asked_after_alone_is_compared_with_all() -> None:
    assert killed(judged(NEWEST, {}, *FIVE, only="a")) == {"one": ["a"]}
    spared = judged(NEWEST, {}, *FIVE, only="e")
    assert spared.verdicts == ()
    assert {traced.workflow for traced in spared.traced} == {"e"}


def test_nobody_is_condemned_where_the_list_may_lack_some() -> None:
    candidates = [Candidate("deal:759", workflow) for workflow in FIVE]
    keep = Keep(newest=True, per=frozenset())
    spared = choose(candidates, keep, UTC, complete=False).spared
    assert set(spared) == set("abcde")
    assert None not in spared.values()


def test_over_a_whole_run_one_of_each_template_is_kept_among_all_documents() -> None:
    candidates = [
        Candidate("deal:1", FIVE[0]),
        Candidate("deal:2", FIVE[1]),
        Candidate("deal:2", started("x", DAYS[0], "62")),
    ]
    by_template = Keep(newest=True, per=frozenset({"template"}))
    assert choose(candidates, by_template, UTC).spared == {"b": None, "x": None}
    by_document = Keep(newest=True, per=frozenset({"document"}))
    assert choose(candidates, by_document, UTC).spared == {"a": None, "b": None}
    assert choose(candidates, Keep(newest=False, per=frozenset()), UTC).spared == {"a": None}


def test_an_unknown_template_protects_all_of_which_it_could_be_one() -> None:
    keep = Keep(newest=True, per=frozenset({"document", "template"}))
    candidates = [
        Candidate("deal:1", FIVE[0]),
        Candidate("deal:1", started("x", DAYS[0], DENIED)),
        Candidate("deal:2", FIVE[1]),
        Candidate("deal:2", FIVE[2]),
        Candidate("deal:3", started("y", DAYS[0], None)),
    ]
    assert set(choose(candidates, keep, UTC).spared) == {"a", "x", "c", "y"}


def test_a_choice_made_over_a_whole_run_is_taken_over() -> None:
    situation = a_situation({}, FIVE[:3])
    rules = a_ruleset(NEWEST + a_rule(name="below", then="terminate"))
    chosen = {"one": Choice({"a": None, "b": "in doubt"}, {})}
    judgement = judge(rules, situation, enforcing=True, now=NOW, choices=chosen)
    assert killed(judgement) == {"below": ["a", "b"], "one": ["c"]}
    elsewhere = judge(rules, situation, enforcing=True, now=NOW, choices={"one": Choice({}, {})})
    assert killed(elsewhere) == {"one": ["a", "b", "c"]}


def test_a_verdict_names_who_lives_in_its_stead() -> None:
    two = (*FIVE[:3], started("x", DAYS[0], "62"), started("y", DAYS[1], "62"))
    beside = {one.workflow.id: one.spared for one in judged(NEWEST, {}, *two).verdicts}
    assert beside == {"a": ("c",), "b": ("c",), "x": ("y",)}
    (plain,) = judged(a_rule(), {}, FIVE[0]).verdicts
    assert plain.spared is None


def test_a_choice_that_stood_is_judged_by_once_more() -> None:
    rules, situation = a_ruleset(NEWEST), a_situation({}, FIVE[:2])
    before = {"one": repeat_choice(["elsewhere"], "b")}
    judgement = judge(rules, situation, enforcing=True, now=NOW, only="b", choices=before)
    assert [(one.workflow.id, one.spared) for one in judgement.verdicts] == [("b", ("elsewhere",))]


def test_rules_that_are_given_are_read_instead_of_those_of_the_trigger() -> None:
    nightly = a_rule(name="nightly", when="[{daily_at: 3:00, timezone: UTC}]")
    guard = a_rule("workflow.id: a", name="guard", then="leave", when=None)
    rules = a_ruleset(guard + nightly + a_rule(name="hourly", when="[{every: 1h}]"))
    due = rules.with_guards(["nightly"], "deal", "main")
    situation = replace(a_situation({}, FIVE[:2]), trigger="schedule", events=())
    judgement = judge(rules, situation, enforcing=True, now=NOW, rules=due)
    assert killed(judgement) == {"guard": ["a"], "nightly": ["b"]}
    assert not judge(rules, a_situation(workflows=()), enforcing=True, now=NOW, rules=()).verdicts


def test_no_second_look_is_taken_after_a_sweep() -> None:
    situation = replace(a_situation({}, ()), trigger="sweep", events=())
    assert not judge(a_ruleset(a_rule()), situation, enforcing=True, now=NOW).look_again


@given(
    st.lists(st.tuples(st.sampled_from(DAYS), st.sampled_from(["61", "62"])), max_size=8),
    st.booleans(),
    st.sets(st.sampled_from(["document", "template"])),
)
def test_exactly_one_of_each_group_is_spared(
    rows: list[tuple[str, str]], newest: bool, per: set[str]
) -> None:
    candidates = [
        Candidate(f"deal:{number % 2}", started(str(number), day, template))
        for number, (day, template) in enumerate(rows)
    ]
    spared = choose(candidates, Keep(newest=newest, per=frozenset(per)), UTC).spared

    def group(one: Candidate) -> tuple[object, ...]:
        template = one.workflow.facts["workflow.template_id"]
        return (
            one.document if "document" in per else None,
            template if "template" in per else None,
        )

    kept = [group(one) for one in candidates if one.workflow.id in spared]
    assert sorted(map(str, kept)) == sorted(map(str, {group(one) for one in candidates}))

"""Tests of `keep` with a number, and of groups that facts make (`per: [starter.id]`)."""

from collections import defaultdict
from dataclasses import replace
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.model import Group, Judgement, Unknown, Workflow
from responder.rules.decide import judge
from responder.rules.keep import Candidate, Choice, Keep, choose, group_mark
from tests.rules.make import NOW, a_rule, a_ruleset, a_situation, a_workflow, judged

DENIED = Unknown("access was denied")
DAYS = ("2026-09-20", "2026-09-21", "2026-09-22", "2026-09-23", "2026-09-24")
TWO_EACH = a_rule(more="keep: {newest: 2}\nper: [starter.id]")
BY_COMPANY = a_rule(more="keep: newest\nper: [deal.company_id]")


def started(name: str, day: int, starter: object = "7") -> Workflow:
    facts = {"started": f"{DAYS[day]}T12:00:00+03:00", "starter.id": starter}
    return a_workflow(name, **facts)


FIVE = tuple(started(name, day) for day, name in enumerate("abcde"))


def killed(judgement: Judgement) -> list[str]:
    return [verdict.workflow.id for verdict in judgement.verdicts]


def test_as_many_are_spared_as_the_rule_says() -> None:
    assert killed(judged(TWO_EACH, {}, *FIVE)) == ["a", "b", "c"]
    assert killed(judged(TWO_EACH.replace("newest", "oldest"), {}, *FIVE)) == ["c", "d", "e"]
    assert killed(judged(TWO_EACH, {}, *FIVE[:2])) == []


def test_each_starter_has_a_group() -> None:
    other = (started("x", 0, "8"), started("y", 1, 8), started("z", 2, "8"))
    assert killed(judged(TWO_EACH, {}, *FIVE, *other)) == ["a", "b", "c", "x"]


def test_a_verdict_names_all_that_live_in_its_stead() -> None:
    beside = {one.workflow.id: one.spared for one in judged(TWO_EACH, {}, *FIVE[:3]).verdicts}
    assert beside == {"a": ("c", "b")}


@pytest.mark.parametrize("starter", [None, "", 0, "0", [], ["7", "8"], {"1": 7, "4": 8}])
def test_what_is_in_no_group_is_left_and_does_not_count(starter: object) -> None:
    judgement = judged(TWO_EACH, {}, *FIVE[:3], started("x", 4, starter))
    assert killed(judgement) == ["a"]
    (conditions,) = [one.conditions for one in judgement.traced if one.workflow == "x"]
    (said,) = [one for one in conditions if one.path == "keep"]
    assert said.holds is False
    assert said.why == "it is in no group: `starter.id` is empty or has several values"


@pytest.mark.parametrize("starter", [["7"], ["7", "7"], ["7", 0], {"3": "7"}, 7, "7.0"])
def test_one_value_may_be_written_in_several_ways(starter: object) -> None:
    in_one_way = judged(TWO_EACH, {}, started("x", 0, starter), *FIVE[1:3])
    assert killed(in_one_way) == (["x"] if starter != "7.0" else [])


@pytest.mark.parametrize("starter", [DENIED, "somebody", True, ["7", DENIED.why]])
def test_where_one_group_is_unknown_nobody_is_condemned(starter: object) -> None:
    judgement = judged(TWO_EACH, {}, *FIVE, started("x", 0, starter))
    assert judgement.verdicts == ()
    made = [one for one in judgement.conditions if one.path == "keep"]
    assert {one.holds for one in made} == {None}
    assert "the group of `x` is unknown: `starter.id` is unknown" in str(made[0].why)


def test_only_those_that_the_rule_matches_must_have_a_known_group() -> None:
    other = replace(started("x", 0, DENIED), facts={"workflow.template_id": "7"})
    assert killed(judged(TWO_EACH, {}, *FIVE[:3], other)) == ["a"]


def test_an_event_compares_what_runs_on_its_own_document() -> None:
    assert killed(judged(BY_COMPANY, {"deal.company_id": 17}, *FIVE[:3])) == ["a", "b"]
    assert killed(judged(BY_COMPANY, {"deal.company_id": 0}, *FIVE[:3])) == []
    assert killed(judged(BY_COMPANY, {"deal.company_id": DENIED}, *FIVE[:3])) == []
    assert killed(judged(BY_COMPANY, {}, *FIVE[:3])) == []


def test_a_user_field_groups_by_its_text_and_a_nought_in_it_is_unknown() -> None:
    rule = BY_COMPANY.replace("company_id", "uf_crm_1")
    assert killed(judged(rule, {"deal.uf_crm_1": "A-17"}, *FIVE[:2])) == ["a"]
    assert killed(judged(rule, {"deal.uf_crm_1": "0"}, *FIVE[:2])) == []
    assert killed(judged(rule, {"deal.uf_crm_1": ""}, *FIVE[:2])) == []


def test_several_facts_make_a_group_together() -> None:
    rule = a_rule(more="keep: newest\nper: [template.id, starter.id]")
    other = replace(FIVE[4], id="x", facts={**FIVE[4].facts, "workflow.template_id": "62"})
    both = rule.replace("template_id: 61", "template_id: [61, 62]")
    assert killed(judged(both, {}, *FIVE[:2], started("y", 3, "8"), other)) == ["a"]


def test_a_choice_made_before_spares_whoever_has_no_known_group_all_the_same() -> None:
    rules, nobody = a_ruleset(TWO_EACH), {"the-rule": Choice({}, {})}
    workflows = (started("a", 0), started("x", 1, None), started("y", 2, DENIED))
    situation = a_situation({}, workflows)
    judgement = judge(rules, situation, enforcing=True, now=NOW, choices=nobody)
    assert killed(judgement) == ["a"]


def test_in_words_no_two_choices_are_the_same() -> None:
    said = {
        Keep(newest=newest, per=frozenset(per), count=count).english
        for newest in (True, False)
        for count in (1, 2, 12)
        for per in ([], ["document"], ["template"], ["template.id"], ["starter.id", "document"])
    }
    assert len(said) == 30
    keep = Keep(newest=True, per=frozenset({"template", "starter.id"}), count=3)
    assert keep.english == "is not among the 3 newest of its template with the same starter.id"


def test_the_mark_of_a_group_does_not_show_its_values() -> None:
    assert group_mark((), "a") is None
    mark = group_mark(("Anna P.",), "a")
    assert mark == group_mark(("Anna P.",), "a")
    assert len({mark, group_mark(("Anna P.",), "b"), group_mark(("Anna", "P."), "a")}) == 3
    assert "Anna" not in str(mark)


ROWS = st.lists(
    st.tuples(
        st.sampled_from([1, 2, 3]),  # document
        st.sampled_from(["61", "62"]),  # template
        st.integers(0, 4),  # day of its start
        st.one_of(st.none(), st.sampled_from([("7",), ("8",)])),  # group
    ),
    max_size=14,
)
PER = st.sets(st.sampled_from(["document", "template", "starter.id"]))


def candidates_of(rows: list[tuple[int, str, int, Group]], per: set[str]) -> list[Candidate]:
    by_fact = "starter.id" in per
    return [
        Candidate(
            f"deal:{document}",
            a_workflow(f"w{number}", started=f"{DAYS[day]}T12:00:00Z", template_id=template),
            group if by_fact else (),
        )
        for number, (document, template, day, group) in enumerate(rows)
    ]


def groups_of(candidates: list[Candidate], per: set[str]) -> dict[object, list[str]]:
    """Sort ids by group, in the order of their starts; without those that are in no group."""
    groups: dict[object, list[tuple[object, str]]] = defaultdict(list)
    for document, workflow, group in candidates:
        if group is not None:
            template = workflow.facts["workflow.template_id"]
            name = ("document" in per and document, "template" in per and template, group)
            groups[name].append((workflow.facts["workflow.started"], workflow.id))
    return {name: [one for _, one in sorted(some)] for name, some in groups.items()}


@given(ROWS, PER, st.booleans(), st.integers(1, 4))
def test_of_each_group_so_many_live_and_no_more_are_condemned_than_needed(
    rows: list[tuple[int, str, int, Group]], per: set[str], newest: bool, count: int
) -> None:
    candidates = candidates_of(rows, per)
    choice = choose(candidates, Keep(newest=newest, per=frozenset(per), count=count), UTC)
    condemned = {one.workflow.id for one in candidates} - set(choice.spared)
    expected: set[str] = set()
    for ids in groups_of(candidates, per).values():
        spared = ids[-count:] if newest else ids[:count]
        assert len(condemned & set(ids)) == max(0, len(ids) - count)
        expected |= set(ids) - set(spared)
        for one in set(ids) - set(spared):
            assert set(choice.kept_beside(one)) == set(spared)
    assert condemned == expected


@given(ROWS.filter(bool), PER, st.integers(1, 4), st.data())
def test_an_unknown_group_or_start_never_condemns_more(
    rows: list[tuple[int, str, int, Group]], per: set[str], count: int, data: st.DataObject
) -> None:
    candidates = candidates_of(rows, per)
    keep = Keep(newest=True, per=frozenset(per), count=count)
    known = {one.workflow.id for one in candidates} - set(choose(candidates, keep, UTC).spared)
    place = data.draw(st.integers(0, len(candidates) - 1))
    one = candidates[place]
    if data.draw(st.booleans()):
        candidates[place] = one._replace(group=DENIED)
        assert set(choose(candidates, keep, UTC).spared) == {c.workflow.id for c in candidates}
    else:
        unread = replace(one.workflow, facts={**one.workflow.facts, "workflow.started": DENIED})
        candidates[place] = one._replace(workflow=unread)
        spared = set(choose(candidates, keep, UTC).spared)
        assert {c.workflow.id for c in candidates} - spared <= known

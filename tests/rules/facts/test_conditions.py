"""Tests of single tests: every operator, every type, empty and unknown, and how they join."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.model import Unknown
from responder.rules.decide import judge
from responder.rules.facts.conditions import All, AnyOf, Not, View
from responder.rules.facts.operators import OPERATORS
from tests.rules.make import NOW, a_rule, a_ruleset, a_situation, a_workflow, holds, judged

MOSCOW = "defaults: {timezone: Europe/Moscow}\n"
OFFICE = "lists: {some: [1, true, 2026-09-24]}\ncalendars: {office: {from: 9:00, to: 18:00}}\n"
DENIED = Unknown("access was denied")
OPERANDS = {
    **dict.fromkeys(("one_of", "none_of"), "[1, a]"),
    **dict.fromkeys(("in_list", "not_in_list"), "some"),
    **dict.fromkeys(("older_than", "newer_than"), "1d"),
    **dict.fromkeys(("within", "outside"), "office"),
    "between": "[1, 2]",
    "exists": "true",
}


@pytest.mark.parametrize(
    ("test", "value", "expected"),
    [
        # numbers: 2, "2" and 2.0 are one; what is not written as a number is unknown
        ("2", 2, True),
        ("2", "2", True),
        ("2", 2.0, True),
        ("2", "2.0", True),
        ('"2"', 2, True),
        ("2.0", "2", True),
        ("2", 3, False),
        ("0", "0", True),
        ("-1", "-1", True),
        ("7", "007", None),
        ("7", " 7", None),
        ("7", "7 ", None),
        ("7", "+7", None),
        ("1000", "1e3", None),
        ("7", "7\n", None),
        ("7", "\u0667", None),
        ("1", True, None),
        ("7", "seven", None),
        ("7", {"a": 1}, None),
        ("7", float("nan"), None),
        ("999.9", 999.9, True),
        ("0.3", 0.1 + 0.2, False),
        ("[0, 2]", "2", True),
        ("[0, 2]", 1, False),
        ("[0, 2]", "x", None),
        ("{none_of: [0, 2]}", 1, True),
        ("{none_of: [0, 2]}", "x", None),
        ("{is_not: 2}", "2.0", False),
        ("{over: 1000}", "1000.01", True),
        ("{over: 1000}", "1000", False),
        ("{at_least: 1000}", "1000.00", True),
        ("{below: 10}", "9", True),
        ("{below: 10}", "10", False),
        ("{at_most: 10}", "10", True),
        ("{between: [1, 5]}", 1, True),
        ("{between: [1, 5]}", "5.0", True),
        ("{between: [1, 5]}", "5.01", False),
        ("{over: 10}", "9007199254740993", True),
        ("9007199254740993", "9007199254740992", False),
    ],
)
def test_numbers(test: str, value: object, expected: bool | None) -> None:
    assert holds(f"deal.category_id: {test}", {"deal.category_id": value}) is expected


@pytest.mark.parametrize(
    ("test", "value", "expected"),
    [
        ("NEW", "NEW", True),
        ("NEW", "new", False),
        ("007", "007", True),
        ("007", "7", False),
        ("7", "7.0", False),
        ("7", 7, True),
        ("NEW", True, None),
        ("{contains: NEW}", True, None),
        ("{matches: NEW}", {"a": 1}, None),
        ("NEW", ["C2:NEW", "NEW"], True),
        ("{contains: EW}", "NEW", True),
        ("{contains: ew}", "NEW", False),
        ("{contains: x}", "", False),
        ("{starts_with: 'C2:'}", "C2:NEW", True),
        ("{starts_with: 'C2:'}", "C20:NEW", False),
        ("{ends_with: LOSE}", "C2:LOSE", True),
        ("{matches: '^C[0-9]+:'}", "C20:NEW", True),
        ("{matches: WON}", "C20:WON", True),
        ("{matches: '^WON'}", "C20:WON", False),
        ("{matches: x}", "\ud800x", True),
        ("{matches: '(a+)+$'}", "a" * 5000 + "b", False),
        ("{one_of: [NEW, WON]}", "WON", True),
        ("{in_list: ends}", "LOSE", True),
        ("{in_list: ends}", "NEW", False),
        ("{not_in_list: ends}", "NEW", True),
        ("on", "on", True),
        ("no", "no", True),
        ("18:00", "18:00", True),
    ],
)
def test_texts(test: str, value: object, expected: bool | None) -> None:
    head = "lists: {ends: [WON, LOSE]}\n"
    assert holds(f"deal.stage_id: {test}", {"deal.stage_id": value}, head=head) is expected


@pytest.mark.parametrize(
    ("test", "value", "expected"),
    [
        ("true", "Y", True),
        ("true", "N", False),
        ("false", "N", True),
        ("true", "1", True),
        ("true", 1, True),
        ("false", 0, True),
        ("false", "0", True),
        ("true", True, True),
        ("false", "false", True),
        ("Y", True, True),
        ("N", "Y", False),
        ("1", "Y", True),
        ("true", "maybe", None),
        ("true", 2, None),
        ("{is_not: true}", "N", True),
        ("true", None, False),
        ("{is_not: true}", None, True),
    ],
)
def test_yes_and_no_by_the_type_of_the_field(
    test: str, value: object, expected: bool | None
) -> None:
    assert holds(f"deal.closed: {test}", {"deal.closed": value}) is expected


@pytest.mark.parametrize(
    ("test", "value", "expected"),
    [
        # it is 2026-09-24T09:00Z, which is noon in Moscow
        ("{older_than: 30d}", "2026-08-25T08:59:59+00:00", True),
        ("{older_than: 30d}", "2026-08-25T09:00:00+00:00", False),
        ("{newer_than: 1h}", "2026-09-24T11:00:01+03:00", True),
        ("{newer_than: 1h}", "2026-09-24T11:00:00+03:00", False),
        ("{older_than: 1d 12h}", "2026-09-22T20:59:59Z", True),
        ("{older_than: 2w}", "2026-09-10T08:59:59Z", True),
        ("{older_than: 45s}", "2026-09-24T08:59:14Z", True),
        ("{older_than: 10m}", "2026-09-24T08:49:59Z", True),
        # without a zone it is Moscow's
        ("{older_than: 12h}", "2026-09-24", False),
        ("{older_than: 11h}", "2026-09-24", True),
        ("{older_than: 2026-09-24}", "2026-09-23T20:59:59Z", True),
        ("{older_than: 2026-09-24}", "2026-09-23T21:00:00Z", False),
        ("{newer_than: 2026-09-23}", "2026-09-23T20:59:59Z", False),
        ("{newer_than: 2026-09-23}", "2026-09-23T21:00:00Z", True),
        ("{older_than: '2026-09-24T10:00:00+03:00'}", "2026-09-24T06:59:59Z", True),
        ("2026-09-24", "2026-09-24T00:00:00+03:00", True),
        ("2026-09-24", "2026-09-24T23:59:59+03:00", True),
        ("2026-09-24", "2026-09-25T00:00:00+03:00", False),
        ("[2026-09-24, 2026-09-26]", "2026-09-26T00:00:00+03:00", True),
        ("'2026-09-24T10:00:00+03:00'", "2026-09-24T07:00:00Z", True),
        ("{between: [2026-09-01, 2026-09-24]}", "2026-09-24T20:59:59Z", True),
        ("{between: [2026-09-01, 2026-09-24]}", "2026-09-24T21:00:00Z", False),
        ("{between: [2026-09-01, '2026-09-24T10:00:00Z']}", "2026-09-24T10:00:01Z", False),
        ("{older_than: 30d}", "24.09.2026", None),
        ("{older_than: 30d}", "2026-02-30", None),
        ("{older_than: 30d}", "0000-00-00", None),
        ("{older_than: 30d}", "0001-01-01T00:00:00+03:00", True),
        ("{older_than: 30d}", "9999-12-31T23:59:59-03:00", False),
        ("{older_than: 30d}", 1700000000, None),
        ("{older_than: 30d}", None, None),
        ("{newer_than: 30d}", "", None),
        ("2026-09-24", None, False),
    ],
)
def test_dates(test: str, value: object, expected: bool | None) -> None:
    facts = {"deal.created_time": value}
    assert holds(f"deal.created_time: {test}", facts, head=MOSCOW) is expected


@pytest.mark.parametrize(
    ("test", "value", "expected"),
    [
        ("17", 17, True),
        ("17", 0, False),
        ("17", "0", False),
        ("{is_not: 17}", 0, True),
        ("{none_of: [17]}", "0", True),
        ("{exists: true}", 0, False),
        ("{exists: false}", "0", True),
        ("{exists: true}", "17", True),
        ("{exists: true}", None, False),
        ("{exists: false}", "", True),
        ("{exists: false}", [], True),
        ("{exists: false}", [0, None], True),
        ("{exists: true}", [0, 7], True),
        ("17", [17, 204], True),
        ("17", ["204"], False),
        ("{is_not: 17}", [17, 204], False),
        ("{is_not: 17}", [204, 205], True),
        ("{none_of: [17, 18]}", [1, 18], False),
        ("{not_in_list: vips}", [17, 1], False),
        ("{in_list: vips}", [1, 204], True),
        ("17", [1, "x"], None),
        ("17", ["x", 17], True),
        ("{is_not: 17}", ["x", 1], None),
        ("17", {"3": 17, "5": 1}, True),
        ("17", Unknown("denied"), None),
        ("{is_not: 17}", Unknown("denied"), None),
        ("{exists: false}", Unknown("denied"), None),
    ],
)
def test_references_and_several_values(test: str, value: object, expected: bool | None) -> None:
    head = "lists: {vips: [17, 204]}\n"
    assert holds(f"deal.company_id: {test}", {"deal.company_id": value}, head=head) is expected


@pytest.mark.parametrize(
    ("test", "value", "expected"),
    [
        ("5", "5", True),
        ("5", 5, True),
        ("5", "5.0", True),
        ("5", "five", False),
        ("5", "5 or so", None),
        ("five", "five", True),
        ("007", "007", True),
        ("007", 7, False),
        ("true", "1", True),
        ("true", "Y", True),
        ("false", False, True),
        ("2026-09-24", "2026-09-24T03:00:00+03:00", True),
        ("2026-09-24", "soon", False),
        ("[5, five, 2026-09-24]", "five", True),
        ("[5, five, 2026-09-24]", "six", False),
        ("{over: 5}", "6", True),
        ("{over: 5}", "1000|RUB", None),
        ("{below: 5}", "1|RUB", None),
        ("{between: [1, 5]}", "1|RUB", None),
        ("1000", "1000|RUB", None),
        ("{is_not: 1000}", "1000|RUB", None),
        ("1000|RUB", "1000|RUB", True),
        ("{older_than: 1d}", "2026-09-22T00:00:00+03:00", True),
        ("{contains: fi}", "five", True),
        ("{exists: true}", {"id": 1, "url": "x"}, True),
        ("five", {"id": 1, "url": "x"}, None),
        ("{exists: false}", {}, True),
        ("5", [], False),
        ("5", ["1", "5"], True),
    ],
)
def test_fields_whose_type_only_the_portal_knows(
    test: str, value: object, expected: bool | None
) -> None:
    assert holds(f"deal.uf_crm_1: {test}", {"deal.uf_crm_1": value}) is expected


@pytest.mark.parametrize("name", sorted(OPERATORS.keys() - {"exists"}))
def test_what_is_empty_is_known_to_equality_and_unknown_to_order(name: str) -> None:
    operand = OPERANDS.get(name, "1")
    expected = {
        "is": False,
        "one_of": False,
        "in_list": False,
        "contains": False,
        "starts_with": False,
        "ends_with": False,
        "matches": False,
        "is_not": True,
        "none_of": True,
        "not_in_list": True,
    }.get(name)
    empties: tuple[object, ...] = (None, "", [])
    for empty in empties:
        facts = {"deal.uf_crm_1": empty}
        assert holds(f"deal.uf_crm_1: {{{name}: {operand}}}", facts, head=OFFICE) is expected


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_what_is_absent_is_unknown_to_every_operator(name: str) -> None:
    test = f"deal.uf_crm_1: {{{name}: {OPERANDS.get(name, '1')}}}"
    assert holds(test, {}, head=OFFICE) is None


@pytest.mark.parametrize(
    ("test", "left", "right", "expected"),
    [
        ("is", "7", 7, True),
        ("is", "7", 8, False),
        ("is_not", "7", 8, True),
        ("is", "0", 0, False),
        ("is_not", "0", 0, True),
        ("is_not", "0", 7, True),
        ("is", None, 7, False),
        ("is_not", 7, Unknown("denied"), None),
        ("is_not", Unknown("denied"), 7, None),
        ("is_not", None, Unknown("denied"), None),
        ("is_not", "x", 7, None),
        ("is", "7", [1, 7], True),
        ("is_not", "7", [1, 7], False),
    ],
)
def test_a_fact_is_compared_with_a_fact(
    test: str, left: object, right: object, expected: bool | None
) -> None:
    rule = a_rule(f"deal.moved_by: {{{test}: {{fact: deal.assigned_by_id}}}}")
    rule += "  every_template: true\n"
    facts = {"deal.moved_by": left, "deal.assigned_by_id": right}
    judgement = judged(rule, facts)
    conditions = judgement.conditions or judgement.verdicts[0].conditions
    assert conditions[0].holds is expected


def test_numbers_and_ages_are_ordered_against_facts() -> None:
    facts = {"deal.opportunity": "10", "deal.received_amount": 9, "deal.uf_crm_1": "1|RUB"}
    assert holds("deal.opportunity: {over: {fact: deal.received_amount}}", facts) is True
    assert holds("deal.opportunity: {below: {fact: deal.received_amount}}", facts) is False
    assert holds("deal.opportunity: {over: {fact: deal.uf_crm_1}}", facts) is None
    assert holds("workflow.age: {over: {fact: workflow.idle}}", {}) is True
    assert holds("workflow.started: {older_than: {fact: workflow.modified}}", {}) is True


@given(
    st.sampled_from(["deal.title: '1'", "deal.title: {one_of: [a, '1', 'true']}",
                     "deal.company_id: 1", "deal.closed: true", "deal.uf_a: 1",
                     "deal.uf_a: {over: 0}", "deal.created_time: {older_than: 1d}",
                     "deal.created_time: 2026-09-24"]),
    st.lists(st.sampled_from([1, "1", 1.0, True, False, 0, "0", "Y", None, [], [1], "", "a", DENIED,
                              "2026-09-24", "2026-09-20", "x" * 200]) | st.integers(), max_size=40),
)  # fmt: skip
def test_a_test_answers_as_if_asked_for_the_first_time(test: str, values: list[object]) -> None:
    rules = a_rule(f"{test}, workflow.template_id: 61", mode="observe")
    path = test.partition(":")[0]
    often = a_ruleset(rules)
    for number, value in enumerate(values):
        situation = a_situation({path: value})
        now = NOW + timedelta(days=number)
        again = judge(often, situation, enforcing=True, now=now)
        if number % 8 == 7:
            assert again == judge(a_ruleset(rules), situation, enforcing=True, now=now)


def test_a_test_remembers_few_of_many_answers() -> None:
    rules = a_ruleset(a_rule("deal.id: {over: 500}, workflow.template_id: 61"))
    for number in [*range(450, 550), 500, 501]:
        situation = a_situation({"deal.id": str(number)})
        judgement = judge(rules, situation, enforcing=True, now=NOW)
        assert bool(judgement.verdicts) is (number > 500)
    first = next(iter(rules.rules[0].condition.tests()))
    assert 0 < len(first.answers) <= 32


@pytest.mark.parametrize("text", ["65450449083135.21284909", "007", "65e5a449e8f135.21284909"])
def test_the_id_of_a_workflow_is_text_even_where_it_looks_like_a_number(text: str) -> None:
    judgement = judged(a_rule(f"workflow.id: {text}"), {}, a_workflow(text))
    assert [verdict.workflow.id for verdict in judgement.verdicts] == [text]
    assert judged(a_rule(f"workflow.id: {text}0"), {}, a_workflow(text)).verdicts == ()


@pytest.mark.parametrize(
    ("test", "wording"),
    [
        ("deal.stage_semantic_id: F", "is F"),
        ("deal.category_id: [0, 2]", "one of 0, 2"),
        ("deal.opportunity: {over: 1000}", "over 1000"),
        ("deal.opportunity: {between: [1, 5]}", "between 1 and 5"),
        ("deal.stage_id: {is_not: NEW}", "is not NEW"),
        ("deal.stage_id: {not_in_list: some}", "not in list some"),
        ("deal.company_id: {exists: false}", "does not exist"),
        ("deal.created_time: {older_than: 30d}", "older than 30d"),
        ("deal.title: {matches: ^A}", "matches ^A"),
        ("deal.moved_by: {is: {fact: deal.created_by}}", "is deal.created_by (5)"),
    ],
)
def test_a_test_says_itself_in_words(test: str, wording: str) -> None:
    rule = a_rule(f"{test}, workflow.template_id: 61")
    judgement = judged(rule, {"deal.created_by": 5}, head="lists: {some: [a]}\n")
    assert judgement.conditions[0].test == wording


kleene = st.sampled_from([True, False, None])


class Fixed:
    """A part of a condition with a fixed answer."""

    def __init__(self, answer: bool | None) -> None:
        self.answer = answer
        self.asked = False

    def holds(self, _view: View) -> bool | None:
        self.asked = True
        return self.answer


def parts(answers: list[bool | None]) -> tuple[Fixed, ...]:
    return tuple(map(Fixed, answers))


VIEW = View(facts={}, now=NOW)


@given(st.lists(kleene, max_size=5))
def test_all_is_kleenes_and_ends_at_the_first_false(answers: list[bool | None]) -> None:
    fixed = parts(answers)
    result = All(fixed).holds(VIEW)  # type: ignore[arg-type]  # stands in for a part
    expected = False if False in answers else None if None in answers else True
    assert result is expected
    end = answers.index(False) + 1 if False in answers else len(answers)
    assert [part.asked for part in fixed] == [True] * end + [False] * (len(answers) - end)


@given(st.lists(kleene, max_size=5))
def test_any_is_kleenes_and_ends_at_the_first_true(answers: list[bool | None]) -> None:
    fixed = parts(answers)
    result = AnyOf(fixed).holds(VIEW)  # type: ignore[arg-type]  # stands in for a part
    assert result is (True if True in answers else None if None in answers else False)


@given(kleene)
def test_not_turns_round_what_is_known(answer: bool | None) -> None:
    result = Not(Fixed(answer)).holds(VIEW)  # type: ignore[arg-type]  # stands in for a part
    assert result is (None if answer is None else not answer)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=5,
)


@given(json_values, st.sampled_from(sorted(OPERATORS)))
def test_no_value_of_the_portal_makes_a_test_raise(value: object, name: str) -> None:
    test = f"deal.uf_crm_1: {{{name}: {OPERANDS.get(name, '1')}}}"
    found = holds(test, {"deal.uf_crm_1": value}, head=OFFICE)
    assert found in (True, False, None)


@given(json_values)
def test_an_operator_and_its_negation_never_both_hold(value: object) -> None:
    facts = {"deal.company_id": value}
    one = holds("deal.company_id: 17", facts)
    other = holds("deal.company_id: {is_not: 17}", facts)
    assert (one, other) in ((True, False), (False, True), (None, None))

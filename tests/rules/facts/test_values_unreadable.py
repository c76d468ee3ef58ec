"""Tests of user fields whose values cannot be read as what a rule says: unknown, never false."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.model import Action, Unknown
from responder.rules.decide import judge
from responder.rules.ruleset import load, was_in_force
from tests.rules.make import NOW, a_rule, a_situation, holds, in_a_file, judged

FIELD, OTHER = "deal.uf_crm_1", "deal.uf_crm_2"
LISTS = "lists: {numbers: [1000, 5], days: [2026-09-24], words: [five, six]}\n"
NO_NUMBERS = [
    *("1 000", "1\u00a0000", "1\u202f000", "1,000", "1.000,00", "1e3", "01000", "+1000", " 1000"),
    *("1000 ", "1000|RUB", "1000 RUB", "\u0661\u0660\u0660\u0660", "\u00b9", "24.09.2026"),
    *("2026-09-24", "2026-09-24T00:00:00+03:00", True, {"id": 1000}, [1000], float("nan")),
]
NO_DAYS = [
    *("24.09.2026", "09/24/2026", "24.09.2026 00:00:00", "24 September", "2026-9-24"),
    *("2026-09-24 ", "2026-09-31", "0000-00-00", "20260924", "1790208000", 1790208000, 5),
    *(True, {"id": 1}, ["2026-09-24"], 20260924.0),
]
NUMBERS = [1000, "5", "1000.00", 0, 5.0]
DATES = ["2026-09-24", "2026-09-24T12:00:00+03:00", "2026-09-01T00:00:00+03:00"]


@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize(
    "test",
    [
        *("1000", "'1000'", "{is: 1000}", "{is_not: 1000}", "[1000, 5]", "{none_of: [1000, 5]}"),
        *("{in_list: numbers}", "{not_in_list: numbers}", "[1000, five]", "{over: 5}"),
        *("{at_least: 5}", "{below: 5}", "{at_most: 5}", "{between: [1, 5]}"),
    ],
)
def test_what_is_no_number_is_unknown_where_a_rule_says_one(value: object, test: str) -> None:
    # Within a list, so that a list stands for one value of a field that has several.
    assert holds(f"{FIELD}: {test}", {FIELD: [value]}, head=LISTS) is None
    if not isinstance(value, list):
        assert holds(f"{FIELD}: {test}", {FIELD: value}, head=LISTS) is None
        assert holds(f"{FIELD}: {test}", {FIELD: [None, value, "six"]}, head=LISTS) is None


@pytest.mark.parametrize("value", NO_DAYS)
@pytest.mark.parametrize(
    "test",
    [
        *("2026-09-24", "{is_not: 2026-09-24}", "[2026-09-24, 2026-09-25]", "{in_list: days}"),
        *("{none_of: [2026-09-24]}", "{not_in_list: days}", "'2026-09-24T10:00:00+03:00'"),
        *("{between: [2026-09-01, 2026-09-30]}", "{older_than: 2026-09-24}", "{newer_than: 1d}"),
        "[soon, 2026-09-24]",
    ],
)
def test_what_is_no_date_is_unknown_where_a_rule_says_one(value: object, test: str) -> None:
    assert holds(f"{FIELD}: {test}", {FIELD: [value]}, head=LISTS) is None
    if not isinstance(value, list):
        assert holds(f"{FIELD}: {test}", {FIELD: value}, head=LISTS) is None


@pytest.mark.parametrize("test", ["1000", "[1000, 5]", "2026-09-24", "{in_list: numbers}"])
@pytest.mark.parametrize("value", ["five", "soon", "-", "пять", "N/A", " ", "."])
def test_a_text_without_a_digit_is_surely_neither(value: str, test: str) -> None:
    assert holds(f"{FIELD}: {test}", {FIELD: value}, head=LISTS) is False


@pytest.mark.parametrize(
    ("test", "value", "expected"),
    [
        ("[1000, '1 000']", "1 000", True),
        ("{in_list: words}", "5 or six", False),
        ("24.09.2026", "24.09.2026", True),
        ("1000|RUB", "1000|RUB", True),
        ("five", "5", False),
        ("{contains: '1 0'}", "1 000", True),
        ("{starts_with: '24.'}", "24.09.2026", True),
        ("1000", ["1 000", "1000"], True),
        ("{is_not: 1000}", ["1 000", "1000"], False),
        ("2026-09-24", ["24.09.2026", "2026-09-24"], True),
    ],
)
def test_what_can_be_read_is_known(test: str, value: object, expected: bool) -> None:
    assert holds(f"{FIELD}: {test}", {FIELD: value}, head=LISTS) is expected


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("1 000", 1000, None),
        ("1 000", "1000.00", None),
        ("24.09.2026", "2026-09-24", None),
        ("2026-09-24", 20260924, None),
        ("five", 1000, False),
        ("five", "2026-09-24", False),
        ("five", "five", True),
        ("1 000", "1 000", True),
        ("five", "six", False),
        ("1000.00", 1000, True),
        ("1000.00", "999", False),
        ("2026-09-24T10:00:00+03:00", "2026-09-24T07:00:00Z", True),
        ("2026-09-24T03:00:00+03:00", "2026-09-24", True),
        ("2026-09-24T10:00:00+03:00", "2026-09-24 10:00:00", None),
        ("1|RUB", "1|RUB", True),
        ("1|RUB", 1, None),
        (True, 1, None),
        ({"id": 1}, "1", None),
        ({"id": 1}, {"id": 1}, None),
        ({"id": 1}, "five", None),
    ],
)
def test_two_user_fields_are_compared_as_what_they_look_like(
    left: object, right: object, expected: bool | None
) -> None:
    for one, two in ((left, right), (right, left)):
        facts = {FIELD: one, OTHER: two}
        assert holds(f"{FIELD}: {{is: {{fact: {OTHER}}}}}", facts) is expected
        opposite = None if expected is None else not expected
        assert holds(f"{FIELD}: {{is_not: {{fact: {OTHER}}}}}", facts) is opposite


@pytest.mark.parametrize(
    ("exception", "value"),
    [("2026-09-24", "24.09.2026"), ("1000", "1 000"), ("[2026-09-24, 2026-09-25]", "09/24/2026")],
)
def test_an_exception_that_cannot_be_read_protects(exception: str, value: str) -> None:
    rule = a_rule(more=f"unless: {{{FIELD}: {exception}}}")
    assert judged(rule, {FIELD: value}).verdicts == ()
    guard = a_rule(f"{FIELD}: {exception}", name="guard", when=None, then="leave")
    (verdict,) = judged(guard + a_rule(), {FIELD: value}).verdicts
    assert verdict.action is Action.LEAVE


leaves = st.sampled_from(
    [
        *("5", "{is_not: 5}", "[5, 1000]", "{none_of: [5, 7]}", "{in_list: numbers}"),
        *("{not_in_list: numbers}", "{over: 5}", "{at_least: 5}", "{below: 6}", "{at_most: 1000}"),
        *("{between: [1, 5]}", "{is: {fact: deal.opportunity}}", f"{{is: {{fact: {OTHER}}}}}"),
        *(f"{{is_not: {{fact: {OTHER}}}}}", "{over: {fact: deal.opportunity}}", "2026-09-24"),
        *("{is_not: 2026-09-24}", "[2026-09-24, 5]", "{between: [2026-09-01, 2026-09-24]}"),
        *("{older_than: 2026-09-24}", "{newer_than: 1d}", "{not_in_list: days}"),
        *("{is: {fact: deal.created_time}}", "{is_not: {fact: deal.closedate}}"),
    ]
).map(f"{{{FIELD}: {{}}}}".replace("{}", "%s").__mod__)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"{{any: [{', '.join(parts)}]}}"),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"{{all: [{', '.join(parts)}]}}"),
        inner.map(lambda part: f"{{not: {part}}}"),
    ),
    max_leaves=6,
)
unreadable = st.sampled_from(["24.09.2026", "1 000", "1000|RUB", {"id": 5}, Unknown("denied")])
readable = st.sampled_from([*NUMBERS, *DATES])


def condemns(rules: str, facts: Mapping[str, object]) -> bool:
    # Rules that never hold are among them.
    text = in_a_file(rules, LISTS).encode()
    ruleset = load(text, file="rules.yaml", is_known=was_in_force)
    verdicts = judge(ruleset, a_situation(facts), enforcing=True, now=NOW).verdicts
    return any(verdict.action is Action.KILL for verdict in verdicts)


@given(trees, trees, trees, unreadable, readable, readable)
def test_what_cannot_be_read_condemns_only_what_any_value_would(
    condition: str, exception: str, guard: str, unread: object, value: object, other: object
) -> None:
    rules = a_rule(f"all: [{guard}]", name="guard", when=None, then="leave")
    rules += a_rule(f"all: [{condition}]", more=f"every_template: true\nunless: {exception}")
    known = {
        OTHER: other,
        "deal.opportunity": "5",
        "deal.created_time": DATES[1],
        "deal.closedate": DATES[2],
    }
    if condemns(rules, known | {FIELD: unread}):
        assert condemns(rules, known | {FIELD: value})


@pytest.mark.parametrize(
    ("test", "value", "expected"),
    [
        # The CRM sends Y and N, tasks 1 and 0, some methods true and false: one flag, three ways.
        *(("1", "Y", None), ("0", "N", None), ("1", "N", None), ("1", "true", None)),
        *(("Y", "1", None), ("N", 0, None), ("Y", 0, None), ("N", False, None), ("Y", "y", None)),
        *(("{is_not: 1}", "Y", None), ("[1, 5]", "Y", None), ("{none_of: [Y]}", 1, None)),
        *(("1", "1", True), ("0", 1, False), ("Y", "Y", True), ("Y", "N", False)),
        *(("5", "Y", False), ("Y", "5", False), ("Y", "yes", False), ("1", "yes", False)),
        *(("true", "Y", True), ("true", 1, True), ("false", "0", True), ("true", "N", False)),
        *(("YES", 1, False), ("1", ["N", 1], True), ("Y", [5, "Y"], True)),
    ],
)
def test_yes_and_no_in_another_notation_are_unknown(
    test: str, value: object, expected: bool | None
) -> None:
    assert holds(f"{FIELD}: {test}", {FIELD: value}) is expected


@pytest.mark.parametrize(("left", "right"), [("Y", 1), ("N", "1"), ("0", "n"), (True, "Y")])
def test_two_flags_in_different_notations_are_unknown(left: object, right: object) -> None:
    assert holds(f"{FIELD}: {{is: {{fact: {OTHER}}}}}", {FIELD: left, OTHER: right}) is None
    assert holds(f"{FIELD}: {{is_not: {{fact: {OTHER}}}}}", {FIELD: right, OTHER: left}) is None


@pytest.mark.parametrize("field", [FIELD, "deal.company_id", "starter.department"])
@pytest.mark.parametrize("nothing", [False, [False], [None, False]])
def test_what_php_sends_as_false_may_be_nothing_at_all(field: str, nothing: object) -> None:
    facts = {field: nothing}
    assert holds(f"{field}: {{exists: true}}", facts) is None
    assert holds(f"{field}: {{exists: false}}", facts) is None


@pytest.mark.parametrize("value", [0, "0", 0.0, [0, "0"]])
def test_a_0_in_a_user_field_may_be_a_reference_to_nothing(value: object) -> None:
    assert holds(f"{FIELD}: {{exists: true}}", {FIELD: value}) is None
    assert holds(f"{FIELD}: {{exists: false}}", {FIELD: value}) is None
    assert holds(f"{FIELD}: 0", {FIELD: value}) is True
    assert holds(f"{FIELD}: {{below: 5}}", {FIELD: value}) is True
    several = value if isinstance(value, list) else [value]
    assert holds(f"{FIELD}: {{exists: true}}", {FIELD: [*several, 5]}) is True


@pytest.mark.parametrize("path", ["deal.closed", "document.exists", "deal.opportunity"])
def test_no_and_0_exist_in_fields_that_are_flags_or_numbers(path: str) -> None:
    value: object = 0 if path == "deal.opportunity" else False
    assert holds(f"{path}: {{exists: true}}", {path: value}) is True


@pytest.mark.parametrize(
    ("test", "value", "expected"),
    [
        *(("1000|RUB", "1000.00|RUB", True), ("1000.0|RUB", "1000|rub", True)),
        *(("1000|RUB", "1000|EUR", False), ("1000|RUB", "1001|RUB", False)),
        *(("[5|RUB, 1000|RUB]", "1000.00|RUB", True), ("{is_not: 1000|RUB}", "1000.0|RUB", False)),
        *(("1000|RUB", "1000", None), ("1000|RUB", "1 000|RUB", None), ("1000|RUB", 1000, None)),
        *(("1000|RUB", "1000|", None), ("1000|RUB", "none", False), ("1000|RUB", "|RUB", False)),
    ],
)
def test_money_is_compared_as_an_amount_with_its_currency(
    test: str, value: object, expected: bool | None
) -> None:
    assert holds(f"{FIELD}: {test}", {FIELD: value}) is expected


@pytest.mark.parametrize(
    ("right", "expected"), [("1.00|RUB", True), ("1|EUR", False), ("1", None), ("one", False)]
)
def test_two_amounts_are_compared_with_their_currencies(
    right: object, expected: bool | None
) -> None:
    facts = {FIELD: "1|RUB", OTHER: right}
    assert holds(f"{FIELD}: {{is: {{fact: {OTHER}}}}}", facts) is expected


@pytest.mark.parametrize(
    ("test", "value", "expected"),
    [
        # A link to one kind of item is sent as its number, to one of several with the kind before.
        *(("D_5", "5", None), ("D_5", 5, None), ("D_5", "7", None), ("{is_not: CO_5}", 5, None)),
        *(("5", "D_5", None), ("D_5", "D_5", True), ("D_5", "C_5", False), ("T93_5", ["5"], None)),
        *(("[D_5, CO_7]", "CO_7", True), ("[D_5, CO_7]", "7", None), ("D_5", "none", False)),
        # What people call a day, and how the CRM writes one.
        *(("24.09.2026", "2026-09-24T03:00:00+03:00", None), ("09/24/2026", "2026-09-24", None)),
        *(("{is_not: 24.09.2026}", "2026-09-24T03:00:00+03:00", None), ("A-5", "A-5", True)),
        *(("soon", "2026-09-24", False), ("24.09.2026", "25.09.2026", False)),
        *(("A-5", "A-6", False), ("A-5", 5, False)),
    ],
)
def test_a_link_or_a_day_in_another_notation_is_unknown(
    test: str, value: object, expected: bool | None
) -> None:
    assert holds(f"{FIELD}: {test}", {FIELD: value}) is expected

"""Amounts in user fields are compared in the currency that the rule names, and in no other."""

import pytest

from responder.model import Unknown
from responder.rules.english.paragraphs import paragraph
from tests.rules.make import a_rule, a_ruleset, holds, in_a_file, mistakes_of, the_mistake

PRICE = "deal.uf_crm_price"


@pytest.mark.parametrize(
    ("tests", "value", "expected"),
    [
        ("{over: 100, currency: RUB}", "150|RUB", True),
        ("{over: 100, currency: RUB}", "100|RUB", False),
        ("{at_least: 100, currency: RUB}", "100.00|RUB", True),
        ("{below: 100, currency: rub}", "99.99|RUB", True),
        ("{at_most: -1, currency: RUB}", "-1|rub", True),
        ("{between: [1, 5], currency: RUB}", "5|RUB", True),
        ("{between: [1, 5], currency: RUB}", "5.01|RUB", False),
        ("{currency: EUR, over: 1.5}", "2|EUR", True),
        ("{over: 100, currency: RUB}", "150|USD", None),
        ("{below: 100, currency: RUB}", "150|USD", None),
        ("{over: 100, currency: RUB}", "150", None),
        ("{over: 100, currency: RUB}", 150, None),
        ("{over: 100, currency: RUB}", "many", None),
        ("{over: 100, currency: RUB}", "|RUB", None),
        ("{exists: true}", "|RUB", None),
        ("{exists: false}", "|RUB", None),
        ("{exists: true}", "0|RUB", True),
        ("{over: 100, currency: RUB}", "1 500|RUB", None),
        ("{over: 100, currency: RUB}", None, None),
        ("{over: 100, currency: RUB}", "", None),
        ("{over: 100, currency: RUB}", ["50|RUB", "150|RUB"], True),
        ("{over: 100, currency: RUB}", ["50|RUB", "150|USD"], None),
        ("{over: 100, currency: RUB}", {"0": "50|RUB"}, False),
        ("{over: 100, currency: RUB}", Unknown("denied"), None),
    ],
)
def test_an_amount_is_compared_in_its_currency(
    tests: str, value: object, expected: bool | None
) -> None:
    assert holds(f"{PRICE}: {tests}", {PRICE: value}) is expected


def test_both_tests_of_one_amount_are_in_the_currency_that_stands_beside_them() -> None:
    (rule,) = a_ruleset(
        a_rule(f"{PRICE}: {{over: 5, below: 9, currency: eur}}, workflow.template_id: 61")
    ).rules
    assert "its field uf_crm_price is over 5 EUR and below 9 EUR" in paragraph(rule)
    linked = "deal.company.uf_crm_debt: {over: 5, currency: EUR, exists: true}"
    assert a_ruleset(a_rule(f"{linked}, workflow.template_id: 61")).rules


@pytest.mark.parametrize(
    ("tests", "said", "meant"),
    [
        ("{over: 5, currency: roubles}", "a currency is three letters, such as RUB", "RUB"),
        ("{over: 5, currency: [RUB]}", "a currency is three letters, such as RUB", None),
        ("{currency: RUB}", f"`{PRICE}` has no test", None),
        (
            "{is: 5, currency: RUB}",
            "`is` compares no amounts: `currency` goes with "
            "over, at_least, below, at_most, between",
            None,
        ),
        ("{over: x, currency: RUB}", "`x` is not a number", None),
        ("{between: [5], currency: RUB}", "two values are expected here, such as [1, 5]", None),
    ],
)
def test_what_makes_no_sense_is_a_mistake(tests: str, said: str, meant: str | None) -> None:
    mistake = the_mistake(in_a_file(a_rule(f"{PRICE}: {tests}, workflow.template_id: 61")))
    assert (mistake.message, mistake.suggestion) == (said, meant)


def test_a_field_with_a_currency_of_its_own_names_that() -> None:
    text = in_a_file(a_rule("deal.opportunity: {over: 5, currency: RUB}, workflow.template_id: 61"))
    mistake = next(one for one in mistakes_of(text) if one.severity == "error")
    said = "`currency` is for amounts in user fields, and `deal.opportunity` is none"
    assert mistake.message == f"{said}: `deal.currency_id` is a test of its own"
    assert mistake.suggestion == "deal.opportunity: {over: 5}\ndeal.currency_id: RUB"

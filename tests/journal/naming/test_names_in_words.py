"""What a decision is about is said by names; what is not known is left out."""

import pytest

from responder.journal.naming.names_in_words import about, people, sentence, title_of
from responder.model import Names

DEAL = ("crm", "CCrmDocumentDeal", "DEAL_759")
ALL = Names(
    title="Acme",
    amount="52000.00",
    currency="RUB",
    template="Discount approval",
    starter="Anna P.",
    waiting_for=("Boris K.", "Vera L.", "Gleb M.", "Dina N."),
)


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (ALL, "Discount approval on deal 759 «Acme, 52,000 RUB»"),
        (Names(title="Acme"), "deal 759 «Acme»"),
        (Names(template="Discount approval"), "Discount approval on deal 759"),
        (Names(), "deal 759"),
        (None, "deal 759"),
    ],
)
def test_a_subject_has_what_is_known(names: Names | None, shown: str) -> None:
    assert about(names, DEAL) == about(names, "deal:759") == shown


def test_people_are_named_and_many_are_counted() -> None:
    waits = "waiting for Boris K., Vera L., Gleb M. and 1 more"
    assert people(ALL) == f"started by Anna P., {waits}"
    assert people(Names(waiting_for=("Boris K.",))) == "waiting for Boris K."
    assert people(Names()) == people(None) == ""
    assert sentence(ALL, DEAL).endswith(f"«Acme, 52,000 RUB», started by Anna P., {waits}")


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("24000.5", "RUB", "24,000.50 RUB"),
        ("870000", None, "870,000"),
        ("0", "RUB", ""),
        ("0.00", "RUB", ""),
        ("1e9", "RUB", ""),
        ("a lot", "RUB", ""),
        (None, "RUB", ""),
    ],
)
def test_an_amount_is_grouped_and_nothing_is_no_amount(
    amount: str | None, currency: str | None, shown: str
) -> None:
    assert title_of(Names(amount=amount, currency=currency)) == shown

"""A document may be named as anything that the program prints names it."""

import pytest

from responder.bitrix24.document_names import document_named


@pytest.mark.parametrize(
    ("named", "ref"),
    [
        ("deal:759", "deal:759"),
        (" Deal:759 ", "deal:759"),
        ("DEAL_759", "deal:759"),
        ("deal_759", "deal:759"),
        ("SMART_INVOICE_5", "invoice:5"),
        ("DYNAMIC_147_5", "item_147:5"),
        ("item_147:5", "item_147:5"),
        ("task:9", "task:9"),
        ("deal 759", "deal:759"),
        ("Deal  #759", "deal:759"),
        ("item of smart process 147 5", "item_147:5"),
        ("element of list 23 777", "list_23:777"),
        ("list_23:777", "list_23:777"),
        ('["crm","CCrmDocumentDeal","DEAL_759"]', "deal:759"),
        ('["crm", "CCrmDocumentDeal", "DEAL_759"]', "deal:759"),
        ('["lists", "BizprocDocument", "777"]', "lists|BizprocDocument|777"),
        ("lists|BizprocDocument|777", "lists|BizprocDocument|777"),
        ("crm|CCrmDocumentDeal|DEAL_759", "deal:759"),
    ],
)
def test_a_document_is_known_however_it_is_written(named: str, ref: str) -> None:
    document = document_named(named)
    assert document is not None
    assert document.ref == ref


@pytest.mark.parametrize(
    "named", ["", "759", "deal", "deal:", "deal:x", "LIST_5", "DYNAMIC_5_5", "[", "[1,2,3]", "[]"]
)
def test_what_names_no_document_is_none(named: str) -> None:
    assert document_named(named) is None

"""Which document is meant: triples, references, and the table of events."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.bitrix24 import documents
from responder.model import Document
from responder.rules import triggers
from responder.rules.facts import registry
from tests.bitrix24.nested import document_of_event

CRM = "Bitrix\\Crm\\Integration\\BizProc\\Document\\"
TASK = "Bitrix\\Tasks\\Integration\\Bizproc\\Document\\Task"

TRIPLES = [
    ("lead:777", ("crm", "CCrmDocumentLead", "LEAD_777"), 1),
    ("deal:777", ("crm", "CCrmDocumentDeal", "DEAL_777"), 2),
    ("contact:777", ("crm", "CCrmDocumentContact", "CONTACT_777"), 3),
    ("company:777", ("crm", "CCrmDocumentCompany", "COMPANY_777"), 4),
    ("quote:777", ("crm", CRM + "Quote", "QUOTE_777"), 7),
    ("invoice:3", ("crm", CRM + "SmartInvoice", "SMART_INVOICE_3"), 31),
    ("item_147:1", ("crm", CRM + "Dynamic", "DYNAMIC_147_1"), 147),
    ("item_128:9", ("crm", CRM + "Dynamic", "DYNAMIC_128_9"), 128),
    ("task:49728", ("tasks", TASK, "49728"), None),
]

OTHERS = [
    ("lists", "BizprocDocument", "777"),
    ("lists", "Bitrix\\Lists\\BizprocDocumentLists", "777"),
    ("disk", "Bitrix\\Disk\\BizProcDocument", "777"),
    ("lists", "CCrmDocumentDeal", "DEAL_777"),
    ("crm", "CCrmDocumentDeal", "LEAD_777"),
    ("crm", "CCrmDocumentDeal", "777"),
    ("crm", "CCrmDocumentDeal", "deal_777"),
    ("crm", "CCrmDocumentDeal", "DEAL_0777"),
    ("crm", "CCrmDocumentDeal", "DEAL_"),
    ("crm", "CCrmDocumentDeal", "DEAL_1\n"),
    ("crm", CRM + "Dynamic", "DYNAMIC_36_1"),
    ("crm", CRM + "Dynamic", "DYNAMIC_0147_1"),
    ("crm", CRM + "Dynamic", "DYNAMIC_147_01"),
    ("tasks", TASK, "0"),
    ("lists", "BizprocDocument", "7|7"),
    ("", "", ""),
]


@pytest.mark.parametrize(("ref", "triple", "type_id"), TRIPLES)
def test_a_triple_and_its_reference_name_the_same_document(
    ref: str, triple: tuple[str, str, str], type_id: int | None
) -> None:
    document = documents.from_triple(*triple)
    assert document.ref == ref
    assert document.triple == triple
    assert documents.of_item(document.kind, document.item_id) == document
    assert documents.parse_ref(ref) == document
    assert documents.parse_ref("|".join(triple)) == document
    assert documents.entity_type_id(document.kind) == type_id


@pytest.mark.parametrize("triple", OTHERS)
def test_a_triple_that_no_table_knows_exactly_is_other_and_keeps_its_parts(
    triple: tuple[str, str, str],
) -> None:
    document = documents.from_triple(*triple)
    assert document.kind == "other"
    assert document.item_id == triple[2]
    assert document.triple == triple
    assert documents.parse_ref(document.ref) == document
    assert documents.entity_type_id("other") is None


part = st.text(st.characters(exclude_characters="|"), max_size=12)
known = st.builds(
    lambda row, number: (*row[1][:2], row[1][2].rstrip("0123456789") + number),
    st.sampled_from(TRIPLES),
    st.from_regex(r"[0-9]{1,19}", fullmatch=True),
)


@given(st.one_of(st.tuples(part, part, st.text(max_size=12)), known))
def test_a_reference_reads_back_as_the_document_it_was_made_from(
    triple: tuple[str, str, str],
) -> None:
    document = documents.from_triple(*triple)
    assert document.triple == triple
    assert documents.parse_ref(document.ref) == document


@given(st.text(max_size=40))
def test_any_text_is_a_reference_or_none(ref: str) -> None:
    document = documents.parse_ref(ref)
    assert document is None or isinstance(document, Document)


@pytest.mark.parametrize(
    "ref",
    [
        *("", "deal", "deal:", "deal:0", "deal:-1", "deal:07", "deal:1e3", "deal:5:6", "deal: 5"),
        *("item_:5", "item_5:5", "item_127:5", "item_0147:5", "item_99999999999:5"),
        *("Deal:5", "other:5", "order:5", "a|b"),
        *("deal:5\n", "deal:\u0665", "deal:" + "9" * 19, "x" * 500 + ":5"),
    ],
)
def test_what_names_no_document_gives_none(ref: str) -> None:
    assert documents.parse_ref(ref) is None


def test_an_id_may_have_eighteen_digits_and_no_more() -> None:
    assert documents.of_item("deal", "9" * 18) is not None
    assert documents.of_item("deal", "9" * 19) is None


def test_kinds_are_those_that_rules_know() -> None:
    assert set(documents.KINDS) == set(registry.KINDS)


def test_every_event_that_rules_know_brings_a_document_of_the_kind_they_say() -> None:
    data = {
        "FIELDS": {"ID": "5", "ENTITY_TYPE_ID": "147"},
        "FIELDS_AFTER": {"ID": "6", "TASK_ID": "7"},
    }
    for name in triggers.names():
        trigger = triggers.find(name)
        assert trigger is not None
        for event in trigger.events:
            fields = data
            if name.startswith("invoice."):
                fields = {"FIELDS": {"ID": "5", "ENTITY_TYPE_ID": "31"}}
            document = document_of_event(event, fields)
            assert document is not None, event
            assert trigger.can_bring(document.kind), event


EVENTS: list[tuple[str, str, str | None]] = [
    ("onCrmDealUpdate", "FIELDS.ID=5", "deal:5"),
    (
        "ONCRMDEALMOVETOCATEGORY",
        "FIELDS.ID=5&FIELDS.CATEGORY_ID=1&FIELDS.STAGE_ID=C1:NEW",
        "deal:5",
    ),
    ("ONCRMDYNAMICITEMUPDATE", "FIELDS.ID=5&FIELDS.ENTITY_TYPE_ID=147", "item_147:5"),
    ("ONCRMDYNAMICITEMUPDATE", "FIELDS.ID=5&FIELDS.ENTITY_TYPE_ID=31", "invoice:5"),
    ("ONCRMDYNAMICITEMUPDATE", "FIELDS.ID=5&FIELDS.ENTITY_TYPE_ID=2", None),
    ("ONCRMDYNAMICITEMUPDATE", "FIELDS.ID=5&FIELDS.ENTITY_TYPE_ID=36", None),
    ("ONCRMDYNAMICITEMUPDATE", "FIELDS.ID=5&FIELDS.ENTITY_TYPE_ID=127", None),
    ("ONCRMDYNAMICITEMUPDATE", "FIELDS.ID=5&FIELDS.ENTITY_TYPE_ID=0147", None),
    ("ONCRMDYNAMICITEMUPDATE", "FIELDS.ID=5", None),
    ("ONCRMDYNAMICITEMUPDATE_147", "FIELDS.ID=5&FIELDS.ENTITY_TYPE_ID=147", "item_147:5"),
    ("ONCRMDYNAMICITEMDELETE_31", "FIELDS.ID=5&FIELDS.ENTITY_TYPE_ID=31", "invoice:5"),
    ("ONCRMDYNAMICITEMADD_147", "FIELDS.ID=5", "item_147:5"),
    ("ONCRMDYNAMICITEMADD_147", "FIELDS.ID=5&FIELDS.ENTITY_TYPE_ID=148", None),
    ("ONCRMDYNAMICITEMADD_", "FIELDS.ID=5&FIELDS.ENTITY_TYPE_ID=147", None),
    ("ONCRMDYNAMICITEMADD_147_5", "FIELDS.ID=5", None),
    ("ONCRMDEALUPDATE_147", "FIELDS.ID=5", None),
    ("ONTASKUPDATE", "FIELDS_AFTER.ID=6&FIELDS_BEFORE=undefined", "task:6"),
    ("ONTASKUPDATE", "FIELDS_AFTER=undefined&FIELDS_BEFORE.ID=7", "task:7"),
    ("ONTASKUPDATE", "FIELDS_AFTER.ID=undefined&FIELDS_BEFORE.ID=7", "task:7"),
    ("ONTASKUPDATE", "FIELDS_AFTER=undefined&FIELDS_BEFORE=undefined", None),
    ("ONTASKCOMMENTADD", "FIELDS_AFTER.ID=6&FIELDS_AFTER.TASK_ID=55", "task:55"),
    ("ONTASKCOMMENTDELETE", "FIELDS_AFTER.ID=6&FIELDS_BEFORE.TASK_ID=55", "task:55"),
    ("ONTASKCOMMENTADD", "FIELDS_AFTER.ID=6", None),
    ("ONCRMINVOICEUPDATE", "FIELDS.ID=5", None),
    ("ONCRMINVOICESETSTATUS", "FIELDS.ID=5", None),
    ("ONCRMDEALUPDATE", "", None),
    ("ONCRMDEALUPDATE", "FIELDS=5", None),
    ("ONCRMDEALUPDATE", "FIELDS.ID.x=5", None),
    ("ONCRMDEALUPDATE", "FIELDS.ID=DEAL_5", None),
    ("ONCRMDEALUPDATE", "fields.id=5", None),
    ("", "FIELDS.ID=5", None),
]


def nested(dotted: str) -> dict[str, object]:
    tree: dict[str, object] = {}
    for name, value in parse_qsl(dotted):
        *parents, last = name.split(".")
        below = tree
        for parent in parents:
            child = below.setdefault(parent, {})
            assert isinstance(child, dict)
            below = child
        below[last] = value
    return tree


@pytest.mark.parametrize(("name", "data", "ref"), EVENTS)
def test_an_event_speaks_of_the_document_in_its_data(name: str, data: str, ref: str | None) -> None:
    document = document_of_event(name, nested(data))
    assert (document.ref if document else None) == ref


@pytest.mark.parametrize(
    ("ref", "entity"),
    [("list_23:777", documents.LIST), ("feed_23:777", documents.FEED)],
)
def test_an_element_is_named_with_its_list_which_its_triple_does_not_say(
    ref: str, entity: str
) -> None:
    element = documents.parse_ref(ref)
    assert element is not None
    assert (element.kind, element.item_id, element.ref) == ("list_23", "777", ref)
    assert element.triple == ("lists", entity, "777")
    of_any = documents.from_triple(*element.triple)
    assert of_any.kind == "other"
    assert documents.in_list(of_any, 23) == element


@pytest.mark.parametrize("ref", ["list_0:7", "list_23:x", "list_23:0", "feed_:7", "list_23x:7"])
def test_what_is_no_element_is_no_document(ref: str) -> None:
    assert documents.parse_ref(ref) is None


def test_only_elements_are_of_a_list() -> None:
    file = documents.from_triple("disk", "Bitrix\\Disk\\BizProcDocument", "7")
    assert documents.in_list(file, 23) == file
    assert documents.iblock_of("feed_23") is None

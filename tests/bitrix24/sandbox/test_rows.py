"""Filters of workflows and their tasks in the sandbox: what is dropped, like, cast or exact."""

import pytest

from responder.bitrix24.sandbox import Sandbox
from tests.bitrix24.sandbox.caller import DEAL, ELEMENT, Caller

INSTANCES = "bizproc.workflow.instances"
TRIPLE = dict(zip(("MODULE_ID", "ENTITY", "DOCUMENT_ID"), DEAL, strict=True))
OTHER = ("crm", "CCrmDocumentDeal", "DEAL_760")


def test_a_filter_in_upper_case_without_operators_is_understood(
    sandbox: Sandbox, caller: Caller
) -> None:
    sandbox.start_workflow(DEAL, 61, id="a")
    sandbox.start_workflow(OTHER, 61, id="b")
    sandbox.start_workflow(("lists", "BizprocDocument", "DEAL_759"), 61, id="c")
    assert caller.ids(INSTANCES, {"FILTER": TRIPLE}) == ["a"]
    assert caller.ids(INSTANCES, {"FILTER": {"ID": ["a", "b", "z"]}, "ORDER": {"ID": "ASC"}}) == [
        "a",
        "b",
    ]


@pytest.mark.parametrize(
    "key",
    ["=DOCUMENT_ID", "!=DOCUMENT_ID", "document_id", "=document_id", "%DOCUMENT_ID", "DOCUMENT"],
)
def test_a_filter_not_understood_is_dropped_without_a_word(
    sandbox: Sandbox, caller: Caller, key: str
) -> None:
    sandbox.start_workflow(DEAL, 61)
    sandbox.start_workflow(OTHER, 61)
    answer = caller.call(INSTANCES, {"FILTER": {key: "DEAL_759"}})
    assert answer["total"] == 2


ENTITIES = [
    "Bitrix\\Crm\\Integration\\BizProc\\Document\\Quote",
    "Bitrix\\Crm\\Integration\\BizProc\\Document\\SmartInvoice",
    "Bitrix\\Crm\\Integration\\BizProc\\Document\\Dynamic",
    "Bitrix\\Lists\\BizprocDocumentLists",
    "Bitrix\\Disk\\BizProcDocument",
    "Bitrix\\Tasks\\Integration\\Bizproc\\Document\\Task",
]


@pytest.mark.parametrize("entity", ENTITIES)
def test_an_entity_with_backslashes_never_finds_its_own_rows(
    sandbox: Sandbox, caller: Caller, entity: str
) -> None:
    sandbox.start_workflow(("crm", entity, "777"), 61, id="a")
    assert caller.ids(INSTANCES, {"FILTER": {"ENTITY": entity}}) == []
    assert caller.ids(INSTANCES, {"FILTER": {"ENTITY": [entity, "x"]}}) == []
    doubled = entity.replace("\\", "\\\\")
    assert caller.ids(INSTANCES, {"FILTER": {"ENTITY": doubled}}) == ["a"]
    sandbox.exact_filters = True
    assert caller.ids(INSTANCES, {"FILTER": {"ENTITY": entity}}) == ["a"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("DEAL_1", ["DEALX1", "DEAL_1"]),
        ("deal_1", ["DEALX1", "DEAL_1"]),
        ("DEAL\\_1", ["DEAL_1"]),
        ("DEAL%", ["DEALX1", "DEAL_1", "DEAL_11"]),
        ("%1", ["DEALX1", "DEAL_1", "DEAL_11"]),
        ("DEAL_1_", ["DEAL_11"]),
        ("X\\", ["X\\"]),
        ("X\\\\", ["X\\"]),
        (["DEAL_11", "x%"], ["DEAL_11", "X\\"]),
        ("DEAL", []),
        ("", [None]),
        ([], []),
    ],
)
def test_texts_are_compared_by_like(
    sandbox: Sandbox, caller: Caller, wanted: object, found: list[str | None]
) -> None:
    documents = ("DEALX1", "DEAL_1", "DEAL_11", "X\\", None)
    for number, document in enumerate(documents):
        workflow = sandbox.start_workflow(ELEMENT, 61, id=f"w{number}")
        sandbox.workflows[workflow]["DOCUMENT_ID"] = document
    asked = {"FILTER": {"DOCUMENT_ID": wanted}, "ORDER": {"ID": "ASC"}, "SELECT": ["DOCUMENT_ID"]}
    assert [row["DOCUMENT_ID"] for row in caller.rows(INSTANCES, asked)] == found


def test_what_is_not_like_a_text_is_not_null_either(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.start_workflow(DEAL, 61, id="a")
    sandbox.start_workflow(OTHER, 61, id="b")
    sandbox.start_workflow(DEAL, 61, id="nobodys")
    sandbox.workflows["nobodys"]["DOCUMENT_ID"] = None
    assert caller.ids(INSTANCES, {"FILTER": {"!DOCUMENT_ID": "DEAL_759"}}) == ["b"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("61", ["a"]), (61, ["a"]), ("61x", ["a"]), ("6_", []), (["61", 7], ["a", "b"]), ("", [])],
)
def test_numbers_are_cast_and_not_like_anything(
    sandbox: Sandbox, caller: Caller, wanted: object, found: list[str]
) -> None:
    sandbox.start_workflow(DEAL, 61, id="a")
    sandbox.start_workflow(OTHER, 7, id="b")
    asked = {"FILTER": {"TEMPLATE_ID": wanted}, "ORDER": {"ID": "ASC"}}
    assert caller.ids(INSTANCES, asked) == found


def test_all_filters_can_be_dropped(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.start_workflow(DEAL, 61)
    sandbox.start_workflow(OTHER, 61)
    sandbox.drop_filters = True
    assert caller.call(INSTANCES, {"FILTER": TRIPLE})["total"] == 2


def test_document_ids_are_found_whatever_their_case(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.start_workflow(("crm", "CCrmDocumentDeal", "deal_759"), 61, id="a")
    assert caller.ids(INSTANCES, {"FILTER": {"DOCUMENT_ID": "DEAL_759"}}) == ["a"]


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("<STARTED", "2026-09-02T10:00:00+03:00", ["w1"]),
        ("<=STARTED", "2026-09-02T07:00:00+00:00", ["w1", "w2"]),
        (">STARTED", "2026-09-02T10:00:00+03:00", ["w3"]),
        (">=TEMPLATE_ID", "7", ["w1", "w2", "w3"]),
        (">TEMPLATE_ID", 61, []),
        ("!ID", "w2", ["w1", "w3"]),
        ("<OWNED_UNTIL", "2099-01-01T00:00:00+03:00", []),
    ],
)
def test_order_in_filters(
    sandbox: Sandbox, caller: Caller, key: str, value: object, found: list[str]
) -> None:
    for day in (1, 2, 3):
        sandbox.start_workflow(ELEMENT, 61, id=f"w{day}", started=f"2026-09-0{day}T10:00:00+03:00")
    assert caller.ids(INSTANCES, {"FILTER": {key: value}, "ORDER": {"ID": "ASC"}}) == found


def test_tasks_are_compared_exactly_and_their_names_taken_in_upper_case_alone(
    sandbox: Sandbox, caller: Caller
) -> None:
    for of in ("a_b", "aXb"):
        sandbox.add_bizproc_task(sandbox.start_workflow(ELEMENT, 61, id=of), 9, of)
    found = caller.rows("bizproc.task.list", {"FILTER": {"WORKFLOW_ID": "a_b"}})
    assert [row["NAME"] for row in found] == ["a_b"]
    for dropped in ("workflow_id", "=WORKFLOW_ID", "@WORKFLOW_ID"):
        asked = {"FILTER": {dropped: "a_b"}}
        assert caller.call("bizproc.task.list", asked)["total"] == 2

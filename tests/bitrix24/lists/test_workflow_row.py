"""Tests of a row of the list of workflows: its id, whose it is, the filter that finds it."""

import pytest

from responder.bitrix24.client.answers import Failure, FailureKind
from responder.bitrix24.lists.workflow_row import (
    id_of,
    id_of_whole_row,
    instances,
    triple,
    widest,
    workflow_facts,
)

ROW = {"ID": "65e5a449e8f135.21284909", "MODULE_ID": "crm", "ENTITY": "x", "DOCUMENT_ID": "DEAL_1"}
NOBODYS = {**ROW, "MODULE_ID": None, "ENTITY": None, "DOCUMENT_ID": None}
IDS = {
    "as PHP makes them": ("65e5a449e8f135.21284909", True),
    "any word": ("!~", True),
    "as long as it may be": ("a" * 128, True),
    "longer": ("a" * 129, False),
    "none": ("", False),
    "a number": (65, False),
    "no text": (None, False),
    "two words": ("a b", False),
    "two lines": ("a\n", False),
    "letters of another script": ("ж", False),
}


@pytest.mark.parametrize(("value", "is_one"), IDS.values(), ids=IDS)
def test_what_is_the_id_of_a_workflow(value: object, is_one: bool) -> None:
    assert id_of({**ROW, "ID": value}) == (value if is_one else None)


WHOLE = {
    "it names its document": (ROW, True),
    "it says that it is nobody's": (NOBODYS, True),
    "its module is a number": ({**ROW, "MODULE_ID": 1}, False),
    "its document is missing": ({k: v for k, v in ROW.items() if k != "DOCUMENT_ID"}, False),
    "its id cannot be read": ({**ROW, "ID": 1}, False),
}


@pytest.mark.parametrize(("row", "whole"), WHOLE.values(), ids=WHOLE)
def test_a_row_says_whose_it_is(row: dict[str, object], whole: bool) -> None:
    assert id_of_whole_row(row) == (ROW["ID"] if whole else None)


def test_the_facts_are_what_the_row_holds_and_no_more() -> None:
    row = {**ROW, "TEMPLATE_ID": "61", "STARTED": None, "SECRET": "x"}
    assert workflow_facts(row) == {
        "workflow.id": ROW["ID"],
        "workflow.template_id": "61",
        "workflow.started": None,
    }
    assert triple(row) == ("crm", "x", "DEAL_1")


def test_what_like_would_not_find_is_left_out_of_the_filter() -> None:
    asked = instances({"MODULE_ID": "crm", "ENTITY": "Bitrix\\Crm\\Deal", "DOCUMENT_ID": "DEAL_1"})
    assert asked.params["FILTER"] == {"MODULE_ID": "crm", "DOCUMENT_ID": "DEAL_1"}
    assert "FILTER" not in instances({"ENTITY": "a\\b"}).params
    assert "FILTER" not in instances({}).params


def failure(kind: FailureKind) -> Failure:
    return Failure(kind, kind.value, "so")


PORTAL, BUSY, UNCERTAIN, METHOD, REJECTED = map(
    failure,
    (
        FailureKind.PORTAL,
        FailureKind.BUSY,
        FailureKind.UNCERTAIN,
        FailureKind.METHOD,
        FailureKind.REJECTED,
    ),
)
WIDEST = {
    "nothing failed": ([None, None], None),
    "a refusal is an answer": ([REJECTED, None], None),
    "the portal's is the widest": ([METHOD, UNCERTAIN, BUSY, PORTAL], PORTAL),
    "what was not carried out comes before what may have been": ([UNCERTAIN, BUSY], BUSY),
    "what will not work comes last": ([METHOD, UNCERTAIN], UNCERTAIN),
}


@pytest.mark.parametrize(("failures", "found"), WIDEST.values(), ids=WIDEST)
def test_the_widest_of_several_failures(
    failures: list[Failure | None], found: Failure | None
) -> None:
    assert widest(failures) == found

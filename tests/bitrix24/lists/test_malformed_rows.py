"""Tests of rows that make no sense: what they forbid to conclude from what is not listed."""

import pytest

from responder.bitrix24.lists.malformed_rows import SHOWN_LENGTH, OddRows

ROW = {"ID": "a", "MODULE_ID": "crm", "ENTITY": "CCrmDocumentDeal", "DOCUMENT_ID": "DEAL_1"}
NO_DOCUMENT = "it is listed, and its row names no document"
NAMELESS = "the list of workflows has a row whose id cannot be read"
# a row; whether it is shown in the log, and why `a`, and another one, may run though not listed
ROWS = {
    "it makes sense": (ROW, False, None, None),
    "it is no row": ("a", True, NAMELESS, NAMELESS),
    "it has no id": ({**ROW, "ID": None}, True, NAMELESS, NAMELESS),
    "its id is a number": ({**ROW, "ID": 7}, True, NAMELESS, NAMELESS),
    "its id is several words": ({**ROW, "ID": "a b"}, True, NAMELESS, NAMELESS),
    "its document is a number": ({**ROW, "DOCUMENT_ID": 1}, True, NO_DOCUMENT, None),
    "its module is missing": (
        {"ID": "a", "ENTITY": "x", "DOCUMENT_ID": "y"},
        True,
        NO_DOCUMENT,
        None,
    ),
    "it is nobody's, and says so": (
        {"ID": "a", "MODULE_ID": None, "ENTITY": None, "DOCUMENT_ID": None},
        False,
        NO_DOCUMENT,
        None,
    ),
}


@pytest.mark.parametrize(("row", "shown", "why", "why_another"), ROWS.values(), ids=ROWS)
def test_what_a_row_forbids_to_conclude(
    row: object, shown: bool, why: str | None, why_another: str | None
) -> None:
    odd = OddRows()
    odd.add(row)
    assert bool(odd.rows) == shown
    assert (odd.why("a"), odd.why("b")) == (why, why_another)


def test_a_workflow_that_is_named_is_said_to_be_where_it_is_though_another_has_no_name() -> None:
    odd = OddRows()
    odd.add({**ROW, "ID": None})
    odd.add({**ROW, "ENTITY": 5})
    assert (odd.why("a"), odd.why("b")) == (NO_DOCUMENT, NAMELESS)


def test_a_workflow_of_another_document_runs() -> None:
    odd = OddRows()
    odd.add_elsewhere("a")
    assert odd.why("a") == "it is listed, and not among the workflows of its document"
    odd.add({**ROW, "ENTITY": 5})
    odd.add_elsewhere("a")  # what its own row said counts
    assert odd.why("a") == NO_DOCUMENT


def test_a_row_is_shown_once_and_in_a_short_line() -> None:
    odd = OddRows()
    for _ in range(2):
        odd.add({**ROW, "ID": None, "DOCUMENT_ID": "x\n" * 10_000})
    (line,) = odd.rows
    assert len(line) <= SHOWN_LENGTH
    assert line.isprintable()

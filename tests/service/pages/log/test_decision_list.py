"""The rows of the list: a document that was only looked at has one of them, however often."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from responder.journal.reading.lines import Line
from responder.service.pages import wording
from responder.service.pages.log.decision_list import Row, rows_of

AT = datetime(2026, 9, 24, 12, tzinfo=UTC)
LEFT = Line(
    id="main-9-1",
    at=AT,
    portal="main",
    document="deal:1",
    workflow_id="a",
    template_id="61",
    rule="keep-vip",
    outcome="left",
    detail=None,
    hold=None,
    action="leave",
    due_at=None,
)


def _earlier(line: Line, minutes: int, **other: str | None) -> Line:
    """Return another line so long before."""
    at = line.at - timedelta(minutes=minutes)
    return replace(line, id=f"main-{9 - minutes}-1", at=at, **other)  # type: ignore[arg-type]


def test_a_document_has_one_row_however_often_it_was_looked_at() -> None:
    nothing = _earlier(LEFT, 1, outcome=None, action="none", rule=None)
    killed = _earlier(LEFT, 2, outcome="killed", action="kill")
    another = _earlier(LEFT, 3, document="deal:2")
    again = _earlier(LEFT, 4)
    lines = [LEFT, nothing, killed, another, again]
    assert rows_of(lines) == [
        Row(LEFT, 3, again.at),
        Row(killed, 1, killed.at),
        Row(another, 1, another.at),
    ]
    assert [row.line for row in rows_of(lines, each=True)] == lines


def test_what_names_no_document_has_a_row_of_its_own() -> None:
    lines = [_earlier(LEFT, minutes, document=None, action="none") for minutes in (1, 2)]
    assert [row.line for row in rows_of(lines)] == lines


@pytest.mark.parametrize(
    ("outcome", "hold", "minutes", "words"),
    [
        ("waiting", None, 7, "looked at again"),
        ("waiting", None, -1, "its turn comes, due"),
        ("in_doubt", None, 1, "looked for again"),
        ("held", "approval", 60, "lapses"),
        ("held", "trip", 60, None),
        ("killed", None, 7, None),
        ("waiting", None, None, None),
    ],
)
def test_what_waits_says_what_comes_next(
    outcome: str, hold: str | None, minutes: int | None, words: str | None
) -> None:
    due_at = None if minutes is None else AT + timedelta(minutes=minutes)
    assert wording.due(outcome, hold, due_at, AT) == words

"""Tables fit the terminal, whatever is in them, and nothing that is in them is cut off."""

from collections.abc import Sequence
from contextlib import redirect_stdout

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.adapters.terminal import EscapingStream
from responder.adapters.text_table import Column, Table, display_width, fold
from tests.adapters.test_terminal import Terminal

ROWS = st.lists(st.tuples(*3 * [st.text(max_size=60)]), max_size=5)


def lines(*columns: Column, rows: Sequence[tuple[str, ...]], width: int = 80) -> list[str]:
    written: list[str] = []
    with Table(*columns, write=written.append, width=width) as table:
        for row in rows:
            table.add(*row)
    return written


def test_a_column_is_as_wide_as_what_is_in_it() -> None:
    rows = [("deal:759", "lost-deal"), ("deal:7", "x")]
    assert lines(Column("DOCUMENT"), Column("RULE"), rows=rows) == [
        "DOCUMENT  RULE",
        "deal:759  lost-deal",
        "deal:7    x",
    ]


def test_a_column_that_may_go_on_below_does_so_where_there_is_no_room() -> None:
    rows = [("deal:759", "approvals-that-nobody-has-answered", "killed")]
    columns = (Column("DOCUMENT"), Column("RULE", fold=True), Column("OUTCOME"))
    assert lines(*columns, rows=rows, width=40) == [
        "DOCUMENT  RULE                   OUTCOME",
        "deal:759  approvals-that-        killed",
        "          nobody-has-answered",
    ]


def test_a_spare_column_is_left_out_first() -> None:
    rows = [("deal:759", "65e5a449e8f135.21284909", "lost-deal")]
    columns = (Column("DOCUMENT"), Column("WORKFLOW", spare=True), Column("RULE", fold=True))
    assert lines(*columns, rows=rows, width=40) == ["DOCUMENT  RULE", "deal:759  lost-deal"]
    assert "65e5a449e8f135.21284909" in lines(*columns, rows=rows, width=80)[1]


def test_what_comes_late_and_is_longer_goes_on_below_too() -> None:
    rows = [("short",)] * 300 + [("a-very-long-name-that-came-late",)]
    shown = lines(Column("NAME", fold=True), rows=rows, width=20)
    assert len(shown) == 303
    assert "".join(shown[301:]) == rows[-1][0]


def test_a_table_that_begins_with_no_row_has_room_for_those_that_come() -> None:
    written: list[str] = []
    columns = (Column("AT", usual=19), Column("DECISION", usual=8), Column("RULE", fold=True))
    table = Table(*columns, write=written.append, width=40)
    table.flush()
    table.add("2026-11-28 10:24:50", "main-1-1", "x")
    table.add("2026-11-28 10:24:50", "main-1000-1", "x")
    assert written == [
        "AT                   DECISION  RULE",
        "2026-11-28 10:24:50  main-1-1  x",
        "2026-11-28 10:24:50  main-1000-1  x",
    ]


def test_without_heads_there_is_no_head() -> None:
    assert lines(Column(), Column(), rows=[("a", "b")]) == ["a  b"]
    assert lines(Column("A"), rows=[]) == ["A"]


@given(ROWS, st.integers(40, 100))
def test_no_line_is_wider_than_the_terminal(rows: list[tuple[str, ...]], width: int) -> None:
    columns = (Column("A"), Column("B", fold=True), Column("C", spare=True))
    assert all(display_width(line) <= width for line in lines(*columns, rows=rows, width=width))


@given(st.text(max_size=80), st.integers(2, 30))
def test_nothing_is_lost_where_a_text_is_broken(text: str, width: int) -> None:
    parts = list(fold(text, width))
    assert all(display_width(part) <= width for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "wide"), [("abc", 3), ("\u0441\u0434\u0435", 3), ("\u4f60", 2), ("e\u0301", 1)]
)
def test_how_many_places_a_text_takes(text: str, wide: int) -> None:
    assert display_width(text) == wide


def test_a_cell_is_coloured_and_its_column_stays_straight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with redirect_stdout(EscapingStream(stream)):
        columns = (Column(style=lambda cell: "red" if cell == "killed" else None), Column())
        with Table(*columns, write=print, width=80) as table:
            table.add("killed", "a")
            table.add("left", "b")
    assert stream.getvalue() == "\x1b[31mkilled\x1b[0m  a\nleft    b\n"

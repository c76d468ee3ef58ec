"""Lays out tables for people: no line is longer than the terminal is wide, and nothing is cut off.

A column is as wide as what is in it. Where all of them together are too wide, those that are
`spare` are left out, the last first; then what is in those that `fold` goes on in further lines,
the widest first; and if that does not suffice, in all others too. The first rows decide, for a
table may be long, and is printed while it is read; what is longer in later ones gets more room
where there is some.
"""

import re
import textwrap
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from types import TracebackType
from typing import Self

from responder.adapters.printable_text import printable
from responder.adapters.terminal import Style, columns, styled

_GAP = "  "
_NARROWEST = 8
_ROWS_THAT_DECIDE = 200
# where a text is broken: after a space or a sign, else anywhere
_PIECE = re.compile(r"[^\s\-_/.,:|]*[\-_/.,:|]+|[^\s\-_/.,:|]+|\s+")

Row = Sequence[str]
Write = Callable[[str], object]


def _unstyled(_cell: str) -> Style | None:
    return None


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its head, how it gives way where there is no room, and the style of each cell.

    `usual` is how wide it is before there is any row.
    """

    head: str = ""
    usual: int = 0
    fold: bool = False
    spare: bool = False
    style: Callable[[str], Style | None] = _unstyled


class Table:
    """A table that is written row by row, within a `with` block."""

    def __init__(self, *all_columns: Column, write: Write, width: int | None = None) -> None:
        self._columns = all_columns
        self._write = write
        self._width = columns() if width is None else width
        self._first: list[tuple[Row, str]] = []
        self._widths: list[int] | None = None  # 0 for a column that is left out

    def add(self, *cells: str, note: str = "") -> None:
        """Write a row, or keep it until enough are there to lay out the table by.

        A note stands in lines of its own below the row.
        """
        row = [printable(cell) for cell in cells]
        if self._widths is not None:
            _widen(self._widths, row, self._width)
            self._write_row(row, self._widths, printable(note))
            return
        self._first.append((row, printable(note)))
        if len(self._first) >= _ROWS_THAT_DECIDE:
            self.flush()

    def flush(self) -> None:
        """Write all rows that were kept, and the head before them."""
        if self._widths is not None:
            return
        self._widths = layout(self._columns, [row for row, _ in self._first], self._width)
        heads = [column.head for column in self._columns]
        if any(heads):
            self._write_lines(heads, self._widths, ["bold"] * len(heads))
        for row, note in self._first:
            self._write_row(row, self._widths, note)
        self._first.clear()

    def _write_row(self, row: Row, widths: Sequence[int], note: str) -> None:
        styles = [column.style(cell) for column, cell in zip(self._columns, row, strict=True)]
        self._write_lines(row, widths, styles)
        for line in fold(note, self._width - len(_GAP)) if note else ():
            self._write(_GAP + styled(line, "dim"))

    def _write_lines(self, row: Row, widths: Sequence[int], styles: Sequence[Style | None]) -> None:
        there = [(c, w, s) for c, w, s in zip(row, widths, styles, strict=True) if w]
        folded = [list(fold(cell, width)) for cell, width, _ in there]
        for pieces in zip_longest(*folded, fillvalue=""):
            line, gap = "", ""
            for piece, (_, width, style) in zip(pieces, there, strict=True):
                if piece:
                    shown = styled(piece, style) if style else piece
                    line += gap + shown
                    gap = ""
                gap += " " * (width - display_width(piece)) + _GAP
            self._write(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.flush()


def layout(all_columns: Sequence[Column], rows: Sequence[Row], width: int) -> list[int]:
    """Return how wide each column is, so that they have room in `width`; 0 for one left out."""
    widths = [max(display_width(one.head), 0 if rows else one.usual) for one in all_columns]
    for row in rows:
        widths = [max(width, display_width(cell)) for width, cell in zip(widths, row, strict=True)]
    for place in reversed([n for n, column in enumerate(all_columns) if column.spare]):
        if _total(widths) > width:
            widths[place] = 0
    folding = [n for n, column in enumerate(all_columns) if column.fold]
    for places in (folding, range(len(widths))):
        _narrow(widths, places, width)
    return widths


def _narrow(widths: list[int], places: Sequence[int], width: int) -> None:
    """Make columns narrower, always the widest of them, until all have room."""
    while (over := _total(widths) - width) > 0:
        widest = max(places, key=lambda n: widths[n], default=None)
        if widest is None or widths[widest] <= _NARROWEST:
            return
        next_one = max((widths[n] for n in places if n != widest), default=0)
        floor = max(_NARROWEST, min(next_one, widths[widest] - 1))
        widths[widest] = max(floor, widths[widest] - over)


def _widen(widths: list[int], row: Row, width: int) -> None:
    """Make the columns wider in which a cell of this row has no room, while there is some."""
    for place, cell in enumerate(row):
        more = display_width(cell) - widths[place]
        if widths[place] and more > 0:
            widths[place] += max(0, min(more, width - _total(widths)))


def _total(widths: Sequence[int]) -> int:
    there = [one for one in widths if one]
    return sum(there) + len(_GAP) * (len(there) - 1)


def display_width(text: str) -> int:
    """Return how many places of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(_places(character) for character in text)


def _places(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def fold(text: str, width: int) -> Iterator[str]:
    """Yield a text in lines that are no wider than `width`, broken where it disturbs least."""
    if display_width(text) <= width:
        yield text
        return
    line = ""
    for piece in _PIECE.findall(text):
        for part in _parts(piece, width):
            if display_width(line + part.rstrip()) > width:
                yield line.rstrip()
                line = ""
            if line or not part.isspace():
                line += part
    if line:
        yield line.rstrip()


def wrapped(head: str, text: str, indent: int | None = None) -> list[str]:
    """Return a sentence in lines as wide as the terminal, broken between words, behind its head.

    The lines after the first are indented as far as the head is long, or by `indent`.
    """
    further = " " * (len(head) if indent is None else indent)
    lines = textwrap.wrap(
        text,
        columns(),
        initial_indent=head,
        subsequent_indent=further,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines or [head.rstrip()]


def _parts(piece: str, width: int) -> Iterator[str]:
    """Yield a piece in parts that are no wider than `width`."""
    part = ""
    for character in piece:
        if part and display_width(part + character) > width:
            yield part
            part = ""
        part += character
    yield part

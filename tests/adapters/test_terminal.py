"""Tests of the stream that commands write to: what a terminal would obey is written out."""

import sys
from contextlib import redirect_stdout
from io import BytesIO, StringIO, TextIOWrapper

import pytest

from responder.adapters.terminal import EscapingStream, columns, styled

SAID = {
    "plain text\nand lines\n": "plain text\nand lines\n",
    "\rprogress": "\rprogress",
    "windows\r\n": "windows\r\n",
    "x\ry\x1b\x9b": "x\\u000dy\\u001b\\u009b",
    "\u202e\u2028\ud800": "\\u202e\\u2028\\ud800",
    "\U000e0001": "\\udb40\\udc01",
    "10\u00a0000 \u20bd, \u0444, \U0001f600\t.": "10\u00a0000 \u20bd, \u0444, \U0001f600\t.",
}  # fmt: skip


@pytest.mark.parametrize(("given", "shown"), SAID.items())
def test_what_is_written_out_is_what_hides_or_moves_and_nothing_else(
    given: str, shown: str
) -> None:
    written = StringIO(newline="")
    EscapingStream(written).write(given)
    assert written.getvalue() == shown


def test_what_a_terminal_cannot_show_is_written_out_too() -> None:
    raw = BytesIO()
    ascii_alone = TextIOWrapper(raw, encoding="ascii", newline="")
    stream = EscapingStream(ascii_alone)
    stream.write("1\u2026 \U0001f600\n")
    stream.write("plain\n")
    stream.flush()
    assert raw.getvalue() == b"1\\u2026 \\ud83d\\ude00\nplain\n"


def test_it_is_a_stream_like_the_one_behind_it() -> None:
    plain = EscapingStream(sys.stdout)
    assert plain.encoding == sys.stdout.encoding
    with pytest.raises(TypeError):
        plain.write(b"bytes")  # type: ignore[arg-type]  # which click finds out so


class Terminal(StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def shown_on(stream: StringIO, name: str) -> str:
    """Write a name of others, and a word of ours in red, and return what came out."""
    with redirect_stdout(EscapingStream(stream)):
        print(name, styled("killed", "red"), styled("plain"))  # noqa: T201 -- it is a test of that
    return stream.getvalue()


def test_our_colours_are_shown_on_a_terminal_and_those_of_others_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    others = "\x1b[32mfine\x1b[0m"
    red = "\x1b[31mkilled\x1b[0m plain\n"
    assert shown_on(Terminal(), others) == f"\\u001b[32mfine\\u001b[0m {red}"
    assert shown_on(StringIO(), "x") == "x killed plain\n"
    monkeypatch.setenv("TERM", "dumb")
    assert shown_on(Terminal(), "x") == "x killed plain\n"
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert shown_on(Terminal(), "x") == "x killed plain\n"


@pytest.mark.parametrize(
    ("given", "wide"), [("", 80), ("132", 132), ("x", 80), ("0", 80), ("7", 40)]
)
def test_lines_are_as_wide_as_the_terminal_or_80(
    monkeypatch: pytest.MonkeyPatch, given: str, wide: int
) -> None:
    monkeypatch.setenv("COLUMNS", given)
    with redirect_stdout(StringIO()):
        assert columns() == wide

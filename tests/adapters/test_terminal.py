"""Tests of the stream that commands write to: what a terminal would obey is written out."""

import sys
from io import StringIO

import pytest

from responder.adapters.terminal import EscapingStream

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


def test_it_is_a_stream_like_the_one_behind_it() -> None:
    plain = EscapingStream(sys.stdout)
    assert plain.encoding == sys.stdout.encoding
    with pytest.raises(TypeError):
        plain.write(b"bytes")  # type: ignore[arg-type]  # which click finds out so

"""Escapes, in all that commands print, the characters that a terminal would obey.

Every command prints texts of others: names, messages, titles. A terminal obeys some characters,
others reverse the direction of reading, and those that cannot be encoded end the program. So they
are printed as JSON escapes them, and within JSON they remain what they were.
"""

import re
import sys
import unicodedata
from typing import Any, TextIO

# A carriage return may begin what is written (a line is drawn again) or belong to a line's end.
_MAY_BE_OBEYED = re.compile(r"(?!\A\r)(?!\r\n)[^\n\t\x20-\x7e]")
_OBEYED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class EscapingStream:
    """A text stream that escapes characters that a terminal would obey."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text with escapes, and return the length of what was written."""
        return self._stream.write(_MAY_BE_OBEYED.sub(_shown, text))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- all else is the stream's own
        return getattr(self._stream, name)


def _shown(found: re.Match[str]) -> str:
    character = found[0]
    if unicodedata.category(character) not in _OBEYED:
        return character
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def escape_output() -> None:
    """Replace stdout and stderr by streams that escape."""
    if not isinstance(sys.stdout, EscapingStream):
        sys.stdout = EscapingStream(sys.stdout)
    if not isinstance(sys.stderr, EscapingStream):
        sys.stderr = EscapingStream(sys.stderr)


def print_verbatim(text: str) -> None:
    """Print a text unchanged into a file or a pipe; on a terminal it is escaped."""
    if sys.stdout.isatty():
        sys.stdout.write(text)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()

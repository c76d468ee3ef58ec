"""Writes to the terminal: what others wrote is escaped, what we colour is coloured.

Every command prints texts of others: names, messages, titles. A terminal obeys some characters,
others reverse the direction of reading, and those that cannot be encoded end the program. So they
are printed as JSON escapes them, and within JSON they remain what they were. Our own colours begin
with a mark that is different in each process, so that no text of others can have it.
"""

import contextlib
import os
import re
import sys
import unicodedata
from typing import Any, Literal, TextIO

Style = Literal["bold", "dim", "red", "green", "yellow"]

USUAL_COLUMNS = 80
_FEWEST_COLUMNS = 40  # in a narrower terminal lines are broken by it

_CODES: dict[Style, str] = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
_MARK = f"\0{os.urandom(8).hex()}:"

# A carriage return may begin what is written (a line is drawn again) or belong to a line's end.
_MAY_BE_OBEYED = re.compile(r"(?!\A\r)(?!\r\n)[^\n\t\x20-\x7e]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_OBEYED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class EscapingStream:
    """A text stream that escapes characters that a terminal would obey."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text with escapes, and return the length of what was written."""
        pieces = (_MAY_BE_OBEYED.sub(_shown, piece) for piece in text.split(_MARK))
        escaped = "\x1b[".join(pieces)
        try:
            return self._stream.write(escaped)
        except UnicodeEncodeError:  # a terminal that is not set to UTF-8
            return self._stream.write(_NOT_ASCII.sub(_written_out, escaped))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- all else is the stream's own
        return getattr(self._stream, name)


def _shown(found: re.Match[str]) -> str:
    character = found[0]
    return _written_out(found) if unicodedata.category(character) in _OBEYED else character


def _written_out(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
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


def styled(text: str, *styles: Style) -> str:
    """Return a text for stdout in a style; unchanged where no terminal shows it in colour."""
    if not styles or not _shows_colours(sys.stdout):
        return text
    codes = ";".join(_CODES[style] for style in styles)
    return f"{_MARK}{codes}m{text}{_MARK}0m"


def _shows_colours(stream: TextIO) -> bool:
    """Return whether a stream is a terminal whose user wants colours (https://no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def columns() -> int:
    """Return how wide lines may be: as the terminal, or 80 where stdout is none."""
    given = os.environ.get("COLUMNS", "")
    found = int(given) if given.isascii() and given.isdigit() else 0
    if not found:
        with contextlib.suppress(OSError, ValueError):
            found = os.get_terminal_size(sys.stdout.fileno()).columns
    return max(found or USUAL_COLUMNS, _FEWEST_COLUMNS)


def close_output() -> bool:
    """Write what is still to be written; return whether somebody is there to read it.

    Where nobody is (`responder decisions | head -1`), all that comes is thrown away, so that the
    interpreter has nothing to complain of at its end.
    """
    heard = [_flushed(stream) for stream in (sys.stdout, sys.stderr)]
    return all(heard)


def _flushed(stream: TextIO) -> bool:
    try:
        stream.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        return False
    return True

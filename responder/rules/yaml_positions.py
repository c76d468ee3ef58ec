"""Defines the tree of a rules file, whose nodes know their lines and columns, and its mistakes."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal

from responder.rules.load import plain_words

NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
# The breaks that libyaml counts as lines, so that our line numbers are its.
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")

_NEGATIONS = frozenset({"not", "no", "non", "none", "never", "without", "dont", "isnt", "doesnt"})

Severity = Literal["error", "warning"]
Kind = Literal["null", "truth", "number", "text", "broken"]


@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake in a file: its place (from 1), its severity, and the nearest right name.

    `is_new` is true where an older version of the program loaded a file with this mistake.
    `is_followed` is true where the suggestion was followed, and mends it; `corrected` are the lines
    that come of it, where it stands for another stretch than the one that is marked.
    """

    file: str
    line: int
    column: int
    severity: Severity
    message: str
    suggestion: str | None = None
    length: int = 1
    is_new: bool = False
    corrected: tuple[str, ...] = ()
    is_followed: bool = False

    def __str__(self) -> str:
        """Return the mistake in one line, as compilers write it."""
        meant = (self.suggestion or "").replace("\n", "`, `")
        hint = f" (did you mean `{meant}`?)" if meant else ""
        place = f"{self.file}:{self.line}:{self.column}"
        return f"{place}: {self.severity}: {self.message}{hint}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A part of the file: the place of its first character, and its last line, counted from 1."""

    line: int
    column: int
    length: int
    last_line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar(Node):
    """One value as it is written. Kind `broken` is a value that was reported already."""

    text: str
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Items(Node):
    """A list."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Node):
    """A map, in the order of the file, each key once."""

    pairs: tuple[tuple[Scalar, Node], ...]

    def get(self, key: str) -> Node | None:
        """Return the value under a key."""
        for name, value in self.pairs:
            if name.text == key:
                return value
        return None

    def key(self, key: str) -> Scalar | None:
        """Return the node of a key itself, for its place."""
        return next((name for name, _ in self.pairs if name.text == key), None)


@dataclass(slots=True)
class Mistakes:
    """The mistakes found in one file so far.

    `forgives_new` is set for a file that an older version loaded: what has become an error since is
    a warning there.
    """

    file: str
    found: list[Mistake] = field(default_factory=list)
    forgives_new: bool = False

    def error(
        self, node: Node, message: str, suggestion: str | None = None, *, new: bool = False
    ) -> None:
        """Add an error at a node, unless that node was reported already.

        `new` is true where an older version of the program loaded a file with this mistake.
        """
        if isinstance(node, Scalar) and node.kind == "broken":
            return
        severity: Severity = "warning" if new and self.forgives_new else "error"
        said = None
        if isinstance(node, Scalar):
            is_number = "is not a number" in message
            said = plain_words.of_text(node.text, suggestion, is_number=is_number)
        column = node.column
        if said is not None:
            message, suggestion = said.message, said.suggestion or suggestion
            column += said.column
        place = (self.file, node.line, column)
        self.found.append(Mistake(*place, severity, message, suggestion, node.length, new))

    def warn(self, node: Node, message: str, suggestion: str | None = None) -> None:
        """Add a warning: the file loads, but this is probably not what its author meant."""
        place = (self.file, node.line, node.column)
        self.found.append(Mistake(*place, "warning", message, suggestion, node.length))

    def at(
        self,
        line: int,
        column: int,
        message: str,
        suggestion: str | None = None,
        length: int = 1,
        *,
        new: bool = False,
    ) -> None:
        """Add an error at a place that has no node; `new` as in `error`."""
        place = (self.file, line, column)
        self.found.append(Mistake(*place, "error", message, suggestion, length, new))

    def in_order(self) -> tuple[Mistake, ...]:
        """Return the errors in the order of the file, and then the warnings."""
        return tuple(sorted(self.found, key=lambda one: (one.severity, one.line, one.column)))

    @property
    def fatal(self) -> bool:
        """Return whether any mistake is an error, so that the file cannot be loaded."""
        return any(mistake.severity == "error" for mistake in self.found)


def nearest(word: str, names: Iterable[str], *, likeness: float = 0.6) -> str | None:
    """Return the name that is nearest to a wrong word, or None. `likeness` is from 0 to 1.

    A word that says no is only near to a name that does: no suggestion is better than the opposite.
    """
    if _says_no(word):
        names = filter(_says_no, names)
    found = get_close_matches(word, list(names), n=1, cutoff=likeness)
    return found[0] if found else None


def _says_no(word: str) -> bool:
    words = re.split(r"[^a-z]+", word.lower())
    return not _NEGATIONS.isdisjoint(words) or words[0].startswith(("un", "dis"))


def lines(text: str) -> list[str]:
    """Split a text into the lines that a `Mistake` counts."""
    return _BREAK.split(text)


def truth(scalar: Scalar) -> bool:
    """Return the value of a scalar whose kind is `truth`."""
    return TRUTHS[scalar.text]

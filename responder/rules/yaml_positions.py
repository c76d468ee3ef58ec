"""Parses the bytes of a rules file into a tree whose nodes know their lines and columns.

Scalars follow the core schema of YAML 1.2, with one narrowing: only decimal numbers without leading
zeros are numbers, everything else that is not null or a truth is text (`on`, `18:00`, `0123`,
`1e3`). Other YAML (aliases, tags, several documents) is a mistake, because it lets a line mean
something that its reader does not see. The parser's events are handled with a stack of our own, so
that no depth of nesting can exhaust Python's.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal, Protocol

import yaml

from responder.rules.load import plain_words

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
_TOO_DEEP = f"this nests deeper than {MAX_DEPTH} levels"

NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
# The breaks that libyaml counts as lines, so that our line numbers are its.
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_NEGATIONS = frozenset({"not", "no", "non", "none", "never", "without", "dont", "isnt", "doesnt"})

Severity = Literal["error", "warning"]
Kind = Literal["null", "truth", "number", "text", "broken"]


@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake in a file: its place (from 1), its severity, and the nearest right name.

    `is_new` is true where an older version of the program loaded a file with this mistake.
    """

    file: str
    line: int
    column: int
    severity: Severity
    message: str
    suggestion: str | None = None
    length: int = 1
    is_new: bool = False

    def __str__(self) -> str:
        """Return the mistake in one line, as compilers write it."""
        hint = f" (did you mean `{self.suggestion}`?)" if self.suggestion else ""
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
        said = plain_words.of_text(node.text) if isinstance(node, Scalar) else None
        column = node.column
        if said is not None:
            message, suggestion, column = said.message, said.suggestion, column + said.column
        place = (self.file, node.line, column)
        self.found.append(Mistake(*place, severity, message, suggestion, node.length, new))

    def warn(self, node: Node, message: str) -> None:
        """Add a warning: the file loads, but this is probably not what its author meant."""
        self.found.append(
            Mistake(self.file, node.line, node.column, "warning", message, None, node.length)
        )

    def at(
        self, line: int, column: int, message: str, suggestion: str | None = None, length: int = 1
    ) -> None:
        """Add an error at a place that has no node."""
        self.found.append(Mistake(self.file, line, column, "error", message, suggestion, length))

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


def read(data: bytes, mistakes: Mistakes) -> Node | None:
    """Return the tree of one YAML document; None when nothing of it can be used."""
    if len(data) > MAX_BYTES:
        mistakes.at(1, 1, "the file is larger than 1 MiB")
        return None
    text = _text(data, mistakes)
    if text is None:
        return None
    text = _with_plain_spaces(text, mistakes)
    builder = _Builder(mistakes)
    try:
        for event in _events(text):
            builder.add_event(event)
    except _TooDeepError:
        return None
    except yaml.MarkedYAMLError as error:
        _not_yaml(error, text, mistakes)
        return None
    except yaml.YAMLError as error:
        mistakes.at(1, 1, f"this is not YAML: {error}")
        return None
    root = builder.root
    if root is None or (isinstance(root, Scalar) and root.kind == "null"):
        mistakes.at(1, 1, "the file is empty")
        return None
    return root


def _with_plain_spaces(text: str, mistakes: Mistakes) -> str:
    """Replace the no-break spaces that stand where YAML wants spaces, so that the rest is read."""
    if plain_words.NO_BREAK_SPACE not in text:
        return text
    for number, line in enumerate(lines(text), start=1):
        column = plain_words.no_break_space_in(line)
        if column is not None:
            mistakes.at(number, column + 1, plain_words.SPACE_SAID)
            text = text.replace(line, line.replace(plain_words.NO_BREAK_SPACE, " "), 1)
    return text


def _text(data: bytes, mistakes: Mistakes) -> str | None:
    if plain_words.is_utf_16(data):
        mistakes.at(1, 1, "the file is written in UTF-16: save it as UTF-8")
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line, column = _position_after(data[: error.start].decode())
        mistakes.at(line, column, f"byte 0x{data[error.start]:02x} here is not valid UTF-8")
        return None
    # A byte order mark is what some editors put before the first character; it is not a text.
    text = text.removeprefix("\ufeff")
    wrong = _FORBIDDEN.search(text)
    if wrong is None:
        return text
    line, column = _position_after(text[: wrong.start()])
    name = "NUL" if wrong[0] == "\0" else f"U+{ord(wrong[0]):04X}"
    mistakes.at(line, column, f"the character {name} is not allowed in a rules file")
    return None


def _position_after(before: str) -> tuple[int, int]:
    split = lines(before)
    return len(split), len(split[-1]) + 1


def _events(text: str) -> Iterator[yaml.Event]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    yield from yaml.parse(text, Loader=loader)


def _not_yaml(error: yaml.MarkedYAMLError, text: str, mistakes: Mistakes) -> None:
    line, column = _line_and_column(error.problem_mark or error.context_mark)
    if error.problem and "nesting depth" in error.problem:
        mistakes.at(line, column, _TOO_DEEP)
        return
    split = lines(text)
    # YAML often stumbles in the line after the one that is wrong.
    for at in (line, _line_and_column(error.context_mark)[0], line - 1):
        plain = plain_words.of_line(split[at - 1]) if 0 < at <= len(split) else None
        if plain is not None:
            mistakes.at(at, plain.column + 1, plain.message, plain.suggestion)
            return
    of_parser = plain_words.Parser(
        error.problem or "", error.context or "", _line_and_column(error.context_mark)
    )
    found = plain_words.of_parser(of_parser, split, (line, column))
    mistakes.at(*found.place, found.message)


class _Mark(Protocol):
    line: int
    column: int


def _line_and_column(mark: _Mark | None) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


class _TooDeepError(Exception):
    """The file nests deeper than `MAX_DEPTH`."""


@dataclass(slots=True)
class _Open:
    """A list or map whose end was not parsed yet. A map's parts are keys and values in turn."""

    event: yaml.CollectionStartEvent
    parts: list[Node] = field(default_factory=list)


class _Builder:
    """A builder of the tree from the parser's events."""

    def __init__(self, mistakes: Mistakes) -> None:
        self.root: Node | None = None
        self._mistakes = mistakes
        self._open: list[_Open] = []
        self._documents = 0

    def add_event(self, event: yaml.Event) -> None:
        """Add one event to the tree."""
        match event:
            case yaml.DocumentStartEvent():
                self._document(event)
            case yaml.AliasEvent():
                self._refuse(event, "an alias (`*`) is not allowed: write the value out")
                self._add(_scalar(event, f"*{event.anchor}", "broken"))
            case yaml.ScalarEvent():
                refused = self._refuse_anchor_or_tag(event)
                self._add(_scalar(event, event.value, "broken" if refused else _kind(event)))
            case yaml.CollectionStartEvent():
                self._start(event)
            case yaml.CollectionEndEvent():
                self._end(event)
            case _:
                pass

    def _document(self, event: yaml.DocumentStartEvent) -> None:
        self._documents += 1
        if self._documents == 2:
            self._refuse(event, "a rules file is one document: this starts a second")

    def _start(self, event: yaml.CollectionStartEvent) -> None:
        self._refuse_anchor_or_tag(event)
        if len(self._open) == MAX_DEPTH:
            self._refuse(event, _TOO_DEEP)
            raise _TooDeepError
        self._open.append(_Open(event))

    def _end(self, event: yaml.CollectionEndEvent) -> None:
        done = self._open.pop()
        line, column = _line_and_column(done.event.start_mark)
        # A block collection ends where the next node begins; its last line for a reader is that
        # of its last part.
        last = max([line, *(part.last_line for part in done.parts)])
        if done.event.flow_style:
            last, _ = _line_and_column(event.end_mark)
        place = {"line": line, "column": column, "length": 1, "last_line": last}
        if isinstance(done.event, yaml.SequenceStartEvent):
            self._add(Items(items=tuple(done.parts), **place))
        else:
            self._add(Table(pairs=tuple(self._pairs(done.parts)), **place))

    def _pairs(self, parts: list[Node]) -> Iterator[tuple[Scalar, Node]]:
        seen: dict[str, int] = {}
        names = [key.text if isinstance(key, Scalar) else "" for key in parts[::2]]
        second = plain_words.second_item(names)
        for place, (key, value) in enumerate(zip(parts[::2], parts[1::2], strict=True)):
            if place == second and isinstance(value, Scalar):
                said = plain_words.without_dash(names[place], value.text)
                self._mistakes.error(key, said.message, said.suggestion)
                return
            if not isinstance(key, Scalar):
                self._mistakes.error(key, "a key must be a plain word")
            elif key.text in seen:
                first = seen[key.text]
                self._mistakes.error(key, f"`{key.text}` is here twice, first on line {first}")
            else:
                seen[key.text] = key.line
                yield key, value

    def _add(self, node: Node) -> None:
        if self._open:
            self._open[-1].parts.append(node)
        elif self._documents == 1:
            self.root = node

    def _refuse_anchor_or_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> bool:
        """Refuse what gives a node another meaning than it has by its looks; return whether so."""
        if event.anchor is not None:
            self._refuse(event, "an anchor (`&`) is not allowed: write the value out")
        if event.tag is not None:
            meant = f"{{is_not: {event.tag[1:]}}}" if event.tag[1:].isalnum() else None
            said = "a tag (`!`) is not allowed: values are what they look like"
            self._refuse(event, said, meant)
        return event.anchor is not None or event.tag is not None

    def _refuse(self, event: yaml.Event, message: str, meant: str | None = None) -> None:
        self._mistakes.at(*_line_and_column(event.start_mark), message, meant)


def _scalar(event: yaml.NodeEvent, text: str, kind: Kind) -> Scalar:
    line, column = _line_and_column(event.start_mark)
    end_line, end_column = _line_and_column(event.end_mark)
    # A block scalar's end mark is at the start of the line after it.
    last = end_line - 1 if end_column == 1 and end_line > line else end_line
    length = max(end_column - column, 1) if end_line == line else 1
    return Scalar(line=line, column=column, length=length, last_line=last, text=text, kind=kind)


def _kind(event: yaml.ScalarEvent) -> Kind:
    if event.style not in (None, ""):
        return "text"
    if event.value in _NULLS:
        return "null"
    if event.value in _TRUTHS:
        return "truth"
    return "number" if NUMBER.fullmatch(event.value) else "text"


def truth(scalar: Scalar) -> bool:
    """Return the value of a scalar whose kind is `truth`."""
    return _TRUTHS[scalar.text]

"""Builds the tree of a rules file from the events of the parser of YAML.

Scalars follow the core schema of YAML 1.2, with one narrowing: only decimal numbers without leading
zeros are numbers, everything else that is not null or a truth is text (`on`, `18:00`, `0123`,
`1e3`). Other YAML (aliases, tags, several documents) is a mistake, because it lets a line mean
something that its reader does not see. The parser's events are handled with a stack of our own, so
that no depth of nesting can exhaust Python's.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import yaml

from responder.rules.load import plain_words
from responder.rules.load.suggestions import yaml_text
from responder.rules.load.syntax import bare_words, quotes
from responder.rules.load.syntax.bare_words import Pair
from responder.rules.load.syntax.edits import Broken, Edit
from responder.rules.yaml_positions import (
    NUMBER,
    TRUTHS,
    Items,
    Kind,
    Mistakes,
    Node,
    Scalar,
    Table,
)

MAX_DEPTH = 32
TOO_DEEP = f"this nests deeper than {MAX_DEPTH} levels"
EXPRESSION = "expressions of the designer mean nothing here: another fact is {fact: …}"
_BEFORE_BRACKETS = re.compile(r"([\w.]+) +([\[{].*)")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


class _Mark(Protocol):
    line: int
    column: int


def place_of(mark: _Mark | None) -> tuple[int, int]:
    """Return the line and column of a mark, from 1."""
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


class TooDeepError(Exception):
    """The file nests deeper than `MAX_DEPTH`."""


@dataclass(slots=True)
class _Open:
    """A list or map whose end was not parsed yet. A map's parts are keys and values in turn."""

    event: yaml.CollectionStartEvent
    parts: list[Node] = field(default_factory=list)


class Builder:
    """A builder of the tree from the parser's events.

    `edits` are the changes made to single lines, by number; places are those before them.
    """

    def __init__(self, mistakes: Mistakes, edits: Mapping[int, Edit]) -> None:
        self.root: Node | None = None
        self.sentences: list[int] = []  # the lines of texts that are read as something else
        self.broken: list[Broken] = []  # lines that YAML reads, and nobody meant so
        self._mistakes, self._edits = mistakes, edits
        self._open: list[_Open] = []
        self._documents = 0

    def add_event(self, event: yaml.Event) -> None:
        """Add one event to the tree."""
        match event:
            case yaml.DocumentStartEvent():
                self._document(event)
            case yaml.AliasEvent():
                said = "an alias (`*`) is not allowed: write the value out"
                self._refuse(event, said, self._ending_meant(event))
                self._add(self._scalar(event, f"*{event.anchor}", "broken"))
            case yaml.ScalarEvent():
                refused = self._refuse_anchor_or_tag(event)
                self._add(self._scalar(event, event.value, "broken" if refused else _kind(event)))
            case yaml.CollectionStartEvent():
                self._start(event)
            case yaml.CollectionEndEvent():
                self._end(event)
            case _:
                pass

    def _ending_meant(self, event: yaml.AliasEvent) -> str | None:
        """Return the test that is meant by `deal.title: *Tender`."""
        key = self._open[-1].parts[-1:] if self._open else []
        of_a_fact = bool(key) and isinstance(key[0], Scalar) and "." in key[0].text
        return f"{{ends_with: {event.anchor}}}" if of_a_fact else None

    def _document(self, event: yaml.DocumentStartEvent) -> None:
        self._documents += 1
        if self._documents == 2:
            self._refuse(event, "a rules file is one document: this starts a second")

    def _start(self, event: yaml.CollectionStartEvent) -> None:
        self._refuse_anchor_or_tag(event)
        if len(self._open) == MAX_DEPTH:
            self._refuse(event, TOO_DEEP)
            raise TooDeepError
        self._open.append(_Open(event))

    def _end(self, event: yaml.CollectionEndEvent) -> None:
        done = self._open.pop()
        line, column = self._place(done.event.start_mark)
        # A block collection ends where the next node begins; its last line for a reader is that
        # of its last part.
        last = max([line, *(part.last_line for part in done.parts)])
        if done.event.flow_style:
            last, _ = self._place(event.end_mark)
        place = {"line": line, "column": column, "length": 1, "last_line": last}
        if isinstance(done.event, yaml.SequenceStartEvent):
            self._add(Items(items=tuple(done.parts), **place))
            return
        if done.event.flow_style and isinstance(next(iter(done.parts), None), Table):
            # `{{=Document:ID}}`: what is wrong is said, and there is nothing else to read in it.
            self._mistakes.at(line, column, EXPRESSION)
            self._add(Scalar(text="", kind="broken", **place))
            return
        found: Iterable[Pair] = self._pairs(done.parts)
        if done.event.flow_style:
            found = bare_words.mended(list(found), self._mistakes)
        self._add(Table(pairs=tuple(self._each_once(found, done.event)), **place))

    def _pairs(self, parts: list[Node]) -> Iterator[Pair]:
        for key, value in zip(parts[::2], parts[1::2], strict=True):
            if isinstance(key, Scalar):
                kind = value.kind if isinstance(value, Scalar) else None
                if (key.text in quotes.TEXT_KEYS and kind in (None, "broken", "null")) or (
                    "." in key.text and kind == "null"
                ):
                    self.sentences.append(key.line)
                self._check_brackets(key)
                yield key, value
            else:
                self._mistakes.error(key, "a key must be a plain word")

    def _check_brackets(self, key: Scalar) -> None:
        """Note a key without its colon before a map or list in brackets: `limit {per_hour: 5}`."""
        found = _BEFORE_BRACKETS.match(key.text)
        if found is not None and key.length == len(key.text):
            end = key.column - 1 + len(found[1])
            edit = Edit(key.line, end, end, ":")
            message, meant = f"a colon is missing after `{found[1]}`", None
            self.broken.append(Broken(key.line, end + 1, message, meant, edit))

    def _each_once(self, pairs: Iterable[Pair], event: yaml.CollectionStartEvent) -> Iterator[Pair]:
        pairs, seen, found = list(pairs), dict[str, int](), list[Pair]()
        second = plain_words.second_item([key.text for key, _ in pairs])
        for place, (key, value) in enumerate(pairs):
            if place == second and isinstance(value, Scalar):
                self._second_item(key, value, event)
                break
            if key.text in seen:
                self._twice(key, value, *found[seen[key.text]])
                self._go_on(found, seen[key.text], value)
            else:
                seen[key.text] = len(found)
                found.append((key, value))
        yield from found

    def _second_item(self, key: Scalar, value: Scalar, event: yaml.CollectionStartEvent) -> None:
        """Record that the dash of a second rule or test is missing; it is read with one then."""
        said = plain_words.without_dash(key.text, value.text)
        around = self._open[-1].event if self._open else event
        dash, end = self._place(around.start_mark)[1] - 1, key.column - 1
        if event.flow_style or self._mistakes.forgives_new or dash >= end:
            self._mistakes.error(key, said.message, said.suggestion)
            return
        edit = Edit(key.line, dash, end, "-".ljust(end - dash))
        self.broken.append(Broken(key.line, key.column, said.message, said.suggestion, edit))

    def _twice(self, key: Scalar, value: Node, first: Scalar, other: Node) -> None:
        """Record a key that is in a map twice."""
        message = f"`{key.text}` is here twice, first on line {first.line}"
        lists = isinstance(value, Items) and isinstance(other, Items)
        items = [*_items(other), *_items(value)]
        texts = [one for one in items if isinstance(one, Scalar)]
        if len(texts) == len(items) and (lists or "." in key.text):
            both = yaml_text.in_brackets(map(yaml_text.written, texts))
            message += f": delete this one, and write `{key.text}: {both}` there"
        elif lists:
            message += ": its items belong below those"
        self._mistakes.error(key, message)

    def _go_on(self, found: list[Pair], place: int, value: Node) -> None:
        """Read the items of a list whose key is there twice, so that they are checked too."""
        key, other = found[place]
        if isinstance(value, Items) and isinstance(other, Items):
            items = (*other.items, *value.items)
            found[place] = key, replace(other, items=items, last_line=value.last_line)

    def _add(self, node: Node) -> None:
        if self._open:
            self._open[-1].parts.append(node)
        elif self._documents == 1:
            self.root = node

    def _scalar(self, event: yaml.NodeEvent, text: str, kind: Kind) -> Scalar:
        line, column = self._place(event.start_mark)
        end_line, end_column = self._place(event.end_mark)
        # A block scalar's end mark is at the start of the line after it.
        last = end_line - 1 if end_column == 1 and end_line > line else end_line
        length = max(end_column - column, 1) if end_line == line else 1
        return Scalar(line=line, column=column, length=length, last_line=last, text=text, kind=kind)

    def _place(self, mark: _Mark | None) -> tuple[int, int]:
        """Return the line and column of a mark, as its author wrote the line."""
        line, column = place_of(mark)
        edit = self._edits.get(line)
        return (line, column) if edit is None else (line, edit.column_before(column))

    def _refuse_anchor_or_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> bool:
        """Refuse what gives a node another meaning than it has by its looks; return whether so."""
        if event.anchor is not None:
            self._refuse(event, "an anchor (`&`) is not allowed: write the value out")
        if event.tag is not None:
            meant = f"{{is_not: {event.tag[1:]}}}" if event.tag[1:].isalnum() else None
            said = "a tag (`!`) is not allowed: values are what they look like"
            if event.tag.startswith("!=") and isinstance(event, yaml.ScalarEvent):
                said, meant = "a comparison is a map", f"{{is_not: {event.tag[2:] or event.value}}}"
            self._refuse(event, said, meant)
        return event.anchor is not None or event.tag is not None

    def _refuse(self, event: yaml.Event, message: str, meant: str | None = None) -> None:
        self._mistakes.at(*self._place(event.start_mark), message, meant)


def _kind(event: yaml.ScalarEvent) -> Kind:
    if event.style not in (None, ""):
        return "text"
    if event.value in _NULLS:
        return "null"
    if event.value in TRUTHS:
        return "truth"
    return "number" if NUMBER.fullmatch(event.value) else "text"


def _items(node: Node) -> Sequence[Node]:
    return node.items if isinstance(node, Items) else (node,)

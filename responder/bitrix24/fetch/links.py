"""Reads what documents are linked to: their companies, contacts and people, one link far.

Companies and contacts of many documents are read fifty a command (`item_pages`), users by their ids
(`people`). A link that is empty has empty fields. What cannot be read is unknown, whatever the
reason: a list leaves out what does not exist and what we may not see (docs: crm-item-list.md), and
users that the portal hides are never shown (docs: user-get.md).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from responder.bitrix24 import documents
from responder.bitrix24.client.answers import Answer, Command, Failure
from responder.bitrix24.fetch.item_pages import ItemsRead
from responder.bitrix24.fetch.items import ItemRead
from responder.bitrix24.fetch.people import People
from responder.bitrix24.lists.requests import Source
from responder.model import Document, Unknown
from responder.rules.facts import links
from responder.rules.facts.fields import Type
from responder.rules.facts.links import Linked
from responder.rules.facts.values import is_empty

_NUMBER = re.compile("[1-9][0-9]{0,17}")
_NOWHERE = Unknown("the link does not lead to a number")


class LinksRead:
    """What the documents of one gathering are linked to.

    `users` are the people of whom more than the number is needed; `people` reads them.
    """

    def __init__(self, people: People) -> None:
        self.users: dict[str, None] = {}
        self._people = people
        self._items = ItemsRead()
        self._wanted: dict[Document, frozenset[str]] = {}

    def ask(self, item: ItemRead | None, paths: frozenset[str]) -> None:
        """Plan the reads of what one document is linked to, once its own fields are known."""
        for linked in () if item is None else links.among(paths, item.document.kind):
            assert item is not None
            end = _end(item, linked)
            if end is None or isinstance(end, Unknown) or linked.name == "id":
                continue
            if linked.link.target == links.USER:
                self.users[end] = None
            elif (target := documents.of_item(linked.link.target, end)) is not None:
                path = f"{target.kind}.{linked.name}"
                self._wanted[target] = self._wanted.get(target, frozenset()) | {path}

    def source(self) -> ItemsRead:
        """Return the read of companies and contacts, once all documents have been asked for."""
        self._items.ask(self._wanted)
        return self._items

    def facts(
        self, item: ItemRead | None, paths: frozenset[str]
    ) -> tuple[Mapping[str, object], Sequence[Failure]]:
        """Return the linked facts of one document, and the failures behind unknown ones."""
        if item is None:
            return {}, ()
        facts: dict[str, object] = {}
        failures: list[Failure] = []
        for linked in links.among(paths, item.document.kind):
            facts[linked.path], failure = self._fact(item, linked)
            failures += [failure] if failure is not None else []
        return facts, failures

    def _fact(self, item: ItemRead, linked: Linked) -> tuple[object, Failure | None]:
        end = _end(item, linked)
        if end is None or isinstance(end, Unknown):
            return end, None  # why the item itself could not be read is said beside it
        if linked.name == "id":
            return item.value(linked.link.field), None
        if linked.link.target == links.USER:
            return self._people.person(end, linked.name)
        target = documents.of_item(linked.link.target, end)
        read = None if target is None else self._items.read(target)
        return (_NOWHERE, None) if read is None else (read.value(linked.name), read.failure)


def _end(item: ItemRead, linked: Linked) -> str | Unknown | None:
    """Return the number of what a document's link leads to; None where the link is empty."""
    value = item.value(linked.link.field)
    if isinstance(value, Unknown):
        return value
    if is_empty(value, Type.REFERENCE):
        return None
    number = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return number if _NUMBER.fullmatch(number) else _NOWHERE


@dataclass(slots=True)
class WholeSource:
    """A source as a read, for `paged.read_all`: each round has all the commands that it has."""

    source: Source
    _asked: list[int] = field(default_factory=list)

    def next_commands(self) -> list[Command]:
        """Return the next commands of the source."""
        numbered = self.source.next_commands(_ALL)
        self._asked = [number for number, _ in numbered]
        return [command for _, command in numbered]

    def accept(self, answers: Sequence[Answer]) -> None:
        """Accept the answers to those commands."""
        for number, answer in zip(self._asked, answers, strict=True):
            self.source.accept(number, answer)


_ALL = 10_000  # commands: more than the documents of one gathering can need

"""Reads the names of documents, templates and people for the log, in one request.

Names decide nothing. So this is no `Read` that goes on until it knows: each thing is asked for
once, in lists of fifty, and what an answer does not have stays without a name. Users that the
portal hides are never shown (docs: user-get.md), items that do not exist or may not be read are
left out of a list (docs: crm-item-list.md), and a filter that was not understood returns others:
so every row is compared with what was asked for.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeVar

from responder.bitrix24 import documents
from responder.bitrix24.client.answers import Answer, Command, Failure
from responder.bitrix24.document_titles import Title, plain, title_fields, title_in
from responder.bitrix24.fetch import list_elements
from responder.bitrix24.fetch.item_pages import IDS, items_of_ids, tasks_of_ids
from responder.bitrix24.fetch.items import camel
from responder.bitrix24.fetch.people import USERS, users_of_ids
from responder.bitrix24.fetch.templates import Label, templates_of_ids
from responder.model import Document

T = TypeVar("T")
Kind = Literal["user", "template"]


class _Asked(NamedTuple):
    """One command, and what reads its answer."""

    command: Command
    accept: Callable[[object], None]


@dataclass(slots=True)
class NamesRead:
    """The names that one request found. Of what the portal did not show the label is None.

    `answered` has each method that was called, with the first failure of its commands, or None.
    """

    titles: dict[Document, Title] = field(default_factory=dict)
    labels: dict[Label, str | None] = field(default_factory=dict)
    answered: dict[str, Failure | None] = field(default_factory=dict)
    _asked: list[_Asked] = field(default_factory=list)

    def ask(
        self,
        untitled: Iterable[Document],
        unlabelled: Iterable[Label],
        without: Collection[str] = (),
    ) -> list[Command]:
        """Return the commands for these documents, users and templates, without some methods."""
        wanted = list(unlabelled)
        every = [*self._of_labels(wanted, "template"), *self._of_labels(wanted, "user")]
        every += self._of_documents(untitled)
        self._asked = [asked for asked in every if asked.command.method not in without]
        return [asked.command for asked in self._asked]

    def accept(self, answers: Sequence[Answer]) -> None:
        """Find the names in the answers to the first of these commands; not all need be sent."""
        for asked, answer in zip(self._asked, answers, strict=False):
            method, failure = asked.command.method, answer.failure
            self.answered[method] = self.answered.get(method) or failure
            if failure is None:
                asked.accept(answer.value)

    def _of_labels(self, wanted: Iterable[Label], what: Kind) -> Iterator[_Asked]:
        named, command = (
            (_person, users_of_ids) if what == "user" else (_template, templates_of_ids)
        )
        for some in _chunks([number for kind, number in wanted if kind == what], USERS):

            def accept(value: object, some: Sequence[str] = some) -> None:
                rows = {str(row.get("ID")): row for row in _rows(value)}
                if len(some) == 1 or any(one in rows for one in some):  # else it took no several
                    self.labels |= {(what, one): named(rows.get(one, {})) for one in some}

            yield _Asked(command(some), accept)

    def _of_documents(self, wanted: Iterable[Document]) -> Iterator[_Asked]:
        by_kind: dict[tuple[str, str], list[Document]] = {}
        for document in wanted:
            if title_fields(document.kind):
                by_kind.setdefault((document.kind, document.entity), []).append(document)
        for (kind, _), same in by_kind.items():
            for some in _chunks(same, IDS):

                def accept(value: object, some: Sequence[Document] = some) -> None:
                    found = ((one, _title(one, value)) for one in some)
                    self.titles |= {one: title for one, title in found if title is not None}

                yield _Asked(_titles_of(kind, some), accept)


def _titles_of(kind: str, some: Sequence[Document]) -> Command:
    if documents.iblock_of(kind) is not None:
        return list_elements.elements_of_ids(some)
    ids = [int(document.item_id) for document in some]
    names = ["id", *title_fields(kind)]
    if kind == "task":
        return tasks_of_ids(ids, [name.upper() for name in names])
    return items_of_ids(documents.entity_type_id(kind), ids, [camel(name) for name in names])


def _title(document: Document, value: object) -> Title | None:
    """Return a document's title in an answer; None where it is not there."""
    row: Mapping[str, object] | None
    if documents.iblock_of(document.kind) is not None:
        row = list_elements.row_of(document, value)
        return None if row is None else title_in(document.kind, row.get)
    holder = "tasks" if document.kind == "task" else "items"
    rows = _rows(value.get(holder)) if isinstance(value, dict) else ()
    row = next((one for one in rows if str(one.get("id")) == document.item_id), None)
    if row is None:
        return None
    fields = row
    return title_in(document.kind, lambda name: fields.get(camel(name)))


def _person(row: Mapping[str, object]) -> str | None:
    parts = (plain(row.get("NAME")), plain(row.get("LAST_NAME")))
    return " ".join(part for part in parts if part) or None


def _template(row: Mapping[str, object]) -> str | None:
    return plain(row.get("NAME"))


def _rows(value: object) -> Sequence[Mapping[str, object]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _chunks(some: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(some), size):
        yield some[start : start + size]

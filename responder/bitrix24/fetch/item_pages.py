"""Reads the fields of thousands of documents, fifty a command, and single ones where that fails.

A list leaves out items that do not exist or may not be read, and a filter that the portal did not
understand returns others. So every row is compared with the ids that were asked for, and a document
that is not among them is asked for by its own id: only that distinguishes "not found" from
"denied".
https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-list.html: `@` takes several
values; fields of `select` that a kind does not have are dropped. In tasks.task.list it is the bare
name that takes several (module tasks, CTasks::FilterCreate).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from responder.bitrix24 import documents
from responder.bitrix24.client.answers import Answer, Command, FailureKind, uncertain
from responder.bitrix24.document_titles import title_fields
from responder.bitrix24.fetch import list_elements
from responder.bitrix24.fetch.items import ItemRead, camel, naming
from responder.bitrix24.fetch.list_elements import item_read
from responder.bitrix24.fetch.smart_types import TypesRead
from responder.bitrix24.fetch.stages import SEMANTIC, StagesRead
from responder.model import Document
from responder.rules.facts import links

IDS = 50

# The fields that a stage's meaning is looked up by, where the item does not contain it.
_STAGE = frozenset({"stage_id", "category_id"})


def items_of_ids(type_id: int | None, ids: Sequence[int], fields: Sequence[str]) -> Command:
    """Return the command for these fields of the items of a type that have these ids."""
    return Command(
        "crm.item.list",
        {
            "entityTypeId": type_id,
            "filter": {"@id": list(ids)},
            "select": list(fields),
            "order": {"id": "ASC"},
            "useOriginalUfNames": "Y",
        },
    )


def tasks_of_ids(ids: Sequence[int], fields: Sequence[str]) -> Command:
    """Return the command for these fields of the tasks that have these ids."""
    params = {"filter": {"ID": list(ids)}, "select": list(fields), "order": {"ID": "asc"}}
    return Command("tasks.task.list", params)


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Up to fifty documents of one kind, of which the same fields are needed.

    If `titled`, the fields that name them to people are read with them.
    """

    documents: tuple[Document, ...]
    paths: frozenset[str]
    titled: bool = False

    @property
    def kind(self) -> str:
        return self.documents[0].kind

    @property
    def is_of_a_list(self) -> bool:
        return documents.iblock_of(self.kind) is not None

    @property
    def names(self) -> frozenset[str]:
        names = set(links.own_fields(self.paths, self.kind))
        if SEMANTIC in names and self.kind != "task":
            names |= _STAGE
        if self.titled:
            names |= set(title_fields(self.kind))
        return frozenset(names | {"id"})

    def command(self) -> Command:
        if self.is_of_a_list:
            return list_elements.elements_of_ids(self.documents)
        ids = [int(document.item_id) for document in self.documents]
        names = sorted(self.names)
        if self.kind == "task":
            return tasks_of_ids(ids, [name.upper() for name in names])
        type_id = documents.entity_type_id(self.kind)
        return items_of_ids(type_id, ids, [_as_selected(name) for name in names])

    def halves(self) -> Iterator["_Chunk"]:
        middle = len(self.documents) // 2
        for part in (self.documents[:middle], self.documents[middle:]):
            yield _Chunk(part, self.paths, self.titled)

    def answers(self, value: object) -> dict[Document, Mapping[str, object]] | None:
        """Return the rows of these documents in an answer; None where it is no list."""
        if self.is_of_a_list:
            return self._elements(value)
        holder = "tasks" if self.kind == "task" else "items"
        rows = value.get(holder) if isinstance(value, dict) else None
        if not isinstance(rows, list):
            return None
        wanted = {document.item_id: document for document in self.documents}
        names, name_of = self.names | {"entity_type_id"}, naming(self.kind, self.names)
        found: dict[Document, Mapping[str, object]] = {}
        for row in rows:
            document = wanted.get(str(row.get("id"))) if isinstance(row, dict) else None
            if document is not None:
                # Other fields, where the portal sends them all the same, would only take room.
                found[document] = {
                    key: field for key, field in row.items() if name_of(key) in names
                }
        return found

    def _elements(self, value: object) -> dict[Document, Mapping[str, object]] | None:
        if not isinstance(value, list):
            return None
        rows = ((one, list_elements.row_of(one, value)) for one in self.documents)
        kept = self.names | {"id"}
        return {
            document: {name: field for name, field in row.items() if name in kept}
            for document, row in rows
            if row is not None
        }


class ItemsRead:
    """The fields of many documents, as a source for `SharedRequests`; if `titled`, titles too."""

    def __init__(self, *, titled: bool = False) -> None:
        self._titled = titled
        self._paths: dict[Document, frozenset[str]] = {}
        self._ahead: list[_Chunk] = []
        self._asked: dict[int, _Chunk | Document | _List] = {}
        self._lists: list[_List] = []
        self._described: dict[_List, Answer] = {}
        self._single: list[Document] = []
        self._number = 0
        self._found: dict[Document, Mapping[str, object] | Answer] = {}

    def ask(self, wanted: Mapping[Document, frozenset[str]]) -> None:
        """Plan the reads of these documents, as far as the paths need them."""
        alike: dict[tuple[_List, frozenset[str]], list[Document]] = {}
        for document, paths in wanted.items():
            if item_read(document, paths) is not None:
                self._paths[document] = paths
                alike.setdefault((_list_of(document), paths), []).append(document)
        named = dict.fromkeys(one for one, _ in alike if documents.iblock_of(one.kind) is not None)
        self._lists += named
        for (_, paths), same in alike.items():
            for start in range(0, len(same), IDS):
                some = tuple(same[start : start + IDS])
                self._ahead.append(_Chunk(some, paths, self._titled))

    @property
    def are_needed(self) -> bool:
        """Return whether anything is read of any document."""
        return bool(self._paths)

    def next_commands(self, room: int) -> list[tuple[int, Command]]:
        """Return the next lists, and with what is left of the room, single items."""
        described, self._lists = self._lists[:room], self._lists[room:]
        room -= len(described)
        chunks, self._ahead = self._ahead[:room], self._ahead[room:]
        left = room - len(chunks)
        singles, self._single = self._single[:left], self._single[left:]
        commands = [self._numbered(one, one.command()) for one in described]
        commands += [self._numbered(chunk, chunk.command()) for chunk in chunks]
        return commands + [self._numbered(one, self._get(one)) for one in singles]

    def accept(self, number: int, answer: Answer) -> None:
        """Accept the answer to a list or to a single item."""
        asked = self._asked.pop(number)
        if isinstance(asked, _List):
            self._described[asked] = answer
        elif isinstance(asked, Document):
            self._found[asked] = answer
        elif answer.failure is None:
            self._accept_list(asked, answer)
        elif answer.failure.code == "too_big" and len(asked.documents) > 1:
            self._ahead += asked.halves()
        elif answer.failure.kind is FailureKind.REJECTED and not asked.is_of_a_list:
            # The refusal of a list says nothing of one document ("not found" is its type).
            self._single += asked.documents
        else:
            self._found.update(dict.fromkeys(asked.documents, answer))

    def _accept_list(self, chunk: _Chunk, answer: Answer) -> None:
        found = chunk.answers(answer.value)
        if found is None:
            failed = Answer(failure=uncertain("wrong_type", "the answer is no list of items"))
            self._found.update(dict.fromkeys(chunk.documents, failed))
        else:
            self._found.update(found)
            self._single += [one for one in chunk.documents if one not in found]

    def _numbered(
        self, asked: "_Chunk | Document | _List", command: Command
    ) -> tuple[int, Command]:
        self._number += 1
        self._asked[self._number] = asked
        return self._number, command

    def _get(self, document: Document) -> Command:
        read = item_read(document, self._paths[document])
        assert read is not None
        return read.next_commands()[0]

    def ask_more(self, stages: StagesRead, types: TypesRead) -> None:
        """Plan the reads of what the items' own answers lack: meanings of stages, absent types."""
        for document, paths in self._paths.items():
            found = self._found[document]
            if f"{document.kind}.{SEMANTIC}" in paths or isinstance(found, Answer):
                read = self.read(document)
                if read is not None:
                    read.ask_more(paths, stages, types)

    def read(self, document: Document) -> ItemRead | None:
        """Return the finished read of one document; None where none was needed."""
        if document not in self._paths:
            return None
        read = item_read(document, self._paths[document])
        assert read is not None
        read.next_commands()
        answers = [_as_single(document, self._found[document])]
        described = self._described.get(_list_of(document))
        read.accept(answers if described is None else [*answers, described])
        return read


class _List(NamedTuple):
    """What documents must have in common to be read by one command: the kind, and the entity."""

    kind: str
    example: Document

    def command(self) -> Command:
        """Return the command for the fields that elements of this list have."""
        return list_elements.fields_of(self.example)


def _list_of(document: Document) -> _List:
    return _List(document.kind, replace(document, item_id="", id=""))


def _as_single(document: Document, found: Mapping[str, object] | Answer) -> Answer:
    """Return a row of a list as the answer that a get of it would have had."""
    if isinstance(found, Answer):
        return found
    if documents.iblock_of(document.kind) is not None:
        row = {name.upper(): field for name, field in found.items()}
        return Answer(value=[row])
    return Answer(value={"task" if document.kind == "task" else "item": dict(found)})


def _as_selected(name: str) -> str:
    """Return a field's name as a list's `select` has it: user fields in upper case."""
    return name.upper() if name.startswith("uf_") else camel(name)

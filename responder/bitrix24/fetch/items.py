"""Reads a document's own fields: items of the CRM, and tasks."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from responder.bitrix24 import documents
from responder.bitrix24.client.answers import (
    Answer,
    Command,
    Failure,
    FailureKind,
    as_list,
    explain,
    uncertain,
)
from responder.bitrix24.fetch.smart_types import TypesRead
from responder.bitrix24.fetch.stages import SEMANTIC, STAGE, StagesRead
from responder.model import ABSENT, Document, Unknown
from responder.rules.facts import links

_EXISTS = "document.exists"
_MAY_BE_HIDDEN = ("task", "element")  # of these, what may not be read is answered like nothing
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[a-z])(?=[0-9])")


def snake(name: str) -> str:
    """Return a field's name as rules write it: `stageId` → stage_id, `parentId147` → parent_id_147.

    User fields keep their own names in lower case: `UF_CRM_10_DIGIT10` → uf_crm_10_digit10.
    """
    if name.startswith("UF_"):
        return name.lower()
    return _HUMP.sub("_", name).lower()


def camel(name: str) -> str:
    """Return a field's name as the portal writes it: stage_id → `stageId`, the inverse of `snake`.

    Of user fields it is no inverse: uf_task2_x → `ufTask2X` (module main, Response/Converter).
    """
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def naming(kind: str, asked: Iterable[str]) -> Callable[[str], str]:
    """Return a function from a field's name in an answer to its name in rules.

    Tasks have even their user fields in camelCase, which hides where the underscores were. So those
    are found among the fields that were `asked` for; two that would have one name are neither.
    """
    if kind != "task":
        return snake
    names: dict[str, str] = {}
    for name in asked:
        names[camel(name)] = "" if camel(name) in names else name
    return lambda key: names.get(key, snake(key))


def item_of(type_id: int, item_id: int) -> Command:
    """Return the command for all fields of one item of the CRM."""
    params = {"entityTypeId": type_id, "id": item_id, "useOriginalUfNames": "Y"}
    return Command("crm.item.get", params)


def task_of(task_id: int, fields: Sequence[str]) -> Command:
    """Return the command for these fields of one task."""
    return Command("tasks.task.get", {"taskId": task_id, "select": list(fields)})


class ItemRead:
    """The read of one document's item: its fields by their names in rules, or why there are none.

    The document does not exist only if a get by id was answered NOT_FOUND and its type exists.
    """

    def __init__(
        self, document: Document, command: Command, holder: str, names: Sequence[str]
    ) -> None:
        self.document = document
        self._name = naming(document.kind, names)
        self._exists: bool | Unknown = Unknown("it was not read")
        self._command: Command | None = command
        self._holder = holder
        self._fields: dict[str, object] | None = None
        self._why = "it was not read"
        self._failure: Failure | None = None

    @classmethod
    def of(cls, document: Document, paths: frozenset[str]) -> "ItemRead | None":
        """Return the read that these facts need; None where they need none, or can have none."""
        names = _names(document, paths)
        if not names and _EXISTS not in paths:
            return None
        if document.kind == "task":
            select = ["ID", *sorted(name.upper() for name in names if name != "id")]
            command = task_of(int(document.item_id), select)
            return cls(document, command, "task", names)
        type_id = documents.entity_type_id(document.kind)
        if type_id is None:
            return None
        return cls(document, item_of(type_id, int(document.item_id)), "item", names)

    def next_commands(self) -> list[Command]:
        """Return the one command, until it is answered."""
        return [] if self._command is None else [self._command]

    def accept(self, answers: Sequence[Answer]) -> None:
        """Accept its answer."""
        self._command = None
        (answer,) = answers
        if answer.failure is not None:
            self._refused(answer.failure)
            return
        holder = answer.value if isinstance(answer.value, dict) else {}
        item = holder.get(self._holder)
        if isinstance(item, dict) and self._is_mine(item):
            self._exists = True
            self._fields = {self._name(key): as_list(value) for key, value in item.items()}
        elif isinstance(item, dict):
            self._failed(uncertain("wrong_id", "the portal answered for another document"))
        elif self._holder in _MAY_BE_HIDDEN and not holder:
            # `[]`: there is none, or we may not read it (docs: tasks-task-get.md).
            self._unreadable(f"the {self._holder} does not exist or may not be read")
        else:
            self._failed(uncertain("wrong_type", "the answer has no fields of the document"))

    @property
    def failure(self) -> Failure | None:
        """Return the failure that kept the item from being read; None where it was refused."""
        return self._failure

    @property
    def has_all_fields(self) -> bool:
        """Return whether every field of the item is known: those of tasks are chosen."""
        return self.was_read and self._holder == "item"

    @property
    def was_read(self) -> bool:
        """Return whether the portal answered with the fields of the item."""
        return self._fields is not None

    def value(self, name: str) -> object:
        """Return the value of one of the fields that were asked for, or `Unknown`."""
        return Unknown(self._why) if self._fields is None else self._fields.get(name, ABSENT)

    def _is_mine(self, item: Mapping[str, object]) -> bool:
        type_id = documents.entity_type_id(self.document.kind)
        same_type = type_id is None or str(item.get("entityTypeId", type_id)) == str(type_id)
        return same_type and str(item.get("id")) == self.document.item_id

    def _refused(self, failure: Failure) -> None:
        if failure.kind is not FailureKind.REJECTED:
            self._failed(failure)
            return
        self._unreadable(explain(failure))
        if failure.code == "NOT_FOUND" and self._holder == "item":
            self._exists = False

    def _failed(self, failure: Failure) -> None:
        self._failure = failure
        self._unreadable(explain(failure))

    def _unreadable(self, why: str) -> None:
        self._why = why
        self._exists = Unknown(why)

    def ask_more(self, paths: frozenset[str], stages: StagesRead, types: TypesRead) -> None:
        """Plan the reads of what the item's own answer lacks.

        That is the meaning of its stage, and, where it was not found, whether its type exists.
        """
        if self._lacks_meaning(paths) and self._fields is not None:
            stages.ask(self.document.kind, self._fields)
        type_id = documents.entity_type_id(self.document.kind)
        if self._exists is False and type_id is not None:
            types.ask(type_id)

    def facts(
        self, paths: frozenset[str], stages: StagesRead, types: TypesRead
    ) -> tuple[dict[str, object], Failure | None]:
        """Return the facts asked for, and the failure that kept one from being read.

        A fact that the answer did not have is absent.
        """
        kind, names = self.document.kind, _names(self.document, paths)
        if not names and _EXISTS not in paths:
            return {}, None
        exists, failure = self._existence(types)
        facts: dict[str, object] = {_EXISTS: exists}
        if self._fields is None:
            return facts | {f"{kind}.{name}": Unknown(self._why) for name in names}, failure
        for name in names:
            if (value := self.value(name)) is not ABSENT:
                facts[f"{kind}.{name}"] = value
        if not self._lacks_meaning(paths):
            return facts, self._failure
        facts[f"{kind}.{SEMANTIC}"], failure = stages.meaning(kind, self._fields)
        return facts, failure

    def _existence(self, types: TypesRead) -> tuple[bool | Unknown, Failure | None]:
        type_id = documents.entity_type_id(self.document.kind)
        if self._exists is not False or type_id is None:
            return self._exists, self._failure
        known, failure = types.exists(type_id)
        return (known if isinstance(known, Unknown) else False), failure

    def _lacks_meaning(self, paths: frozenset[str]) -> bool:
        wanted = f"{self.document.kind}.{SEMANTIC}" in paths and self._holder == "item"
        if not wanted or self._fields is None:
            return False
        meaning = self._fields.get(SEMANTIC)
        return SEMANTIC not in self._fields or (
            meaning in (None, "") and bool(self._fields.get(STAGE))
        )


def _names(document: Document, paths: frozenset[str]) -> tuple[str, ...]:
    """Return the names of the document's own fields that these facts need."""
    return links.own_fields(paths, document.kind)

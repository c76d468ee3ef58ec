"""Reads which fields a list of a portal has: only the portal knows them, and their numbers differ.

https://apidocs.bitrix24.com/api-reference/lists/fields/lists-field-get.html
"""

from collections.abc import Mapping, Sequence

from responder.bitrix24 import documents
from responder.bitrix24.client.answers import Answer, Command, Failure, FailureKind
from responder.bitrix24.lists.paged import Send, read_all
from responder.rules.facts.fields import Field, Type


class ListFieldsRead:
    """The read of the fields of one list, for `read_all`: its type first, then its fields."""

    def __init__(self, kind: str) -> None:
        self._number = documents.iblock_of(kind)
        self._ahead: Command | None = Command(
            "lists.get.iblock.type.id", {"IBLOCK_ID": self._number}
        )
        self._rows: Mapping[str, object] = {}
        self._failure: Failure | None = None

    def next_commands(self) -> list[Command]:
        """Return the next command; none when both are answered, or one was refused."""
        ahead, self._ahead = self._ahead, None
        return [] if ahead is None else [ahead]

    def accept(self, answers: Sequence[Answer]) -> None:
        """Accept the list's type, which is null for what we may not read, or its fields."""
        (answer,) = answers
        if answer.failure is not None:
            self._failure = answer.failure
        elif isinstance(answer.value, str):
            named = {"IBLOCK_TYPE_ID": answer.value, "IBLOCK_ID": self._number}
            self._ahead = Command("lists.field.get", named)
        elif isinstance(answer.value, dict):
            self._rows = answer.value
        else:
            why = f"list {self._number} is not there, or we may not read it"
            self._failure = Failure(FailureKind.REJECTED, "", why)

    def found(self) -> Mapping[str, str] | Failure:
        """Return the names of the fields by their ids in the portal, or why there are none."""
        names = {
            str(key): str(row.get("NAME") or key)
            for key, row in self._rows.items()
            if isinstance(row, Mapping)
        }
        return self._failure or names

    @property
    def amounts(self) -> frozenset[str]:
        """Return the ids of the fields that hold amounts."""
        return frozenset(key for key, row in self._rows.items() if _type(row) == "S:Money")

    def facts(self) -> tuple[Field, ...] | Failure:
        """Return the properties as facts, in the portal's words, or why there are none."""
        names = self.found()
        if isinstance(names, Failure):
            return names
        return tuple(
            Field(key.lower(), Type.ANY, f"{name} ({_type(self._rows[key])}).")
            for key, name in names.items()
            if key.startswith("PROPERTY_")
        )


def _type(row: object) -> str:
    """Return a field's type, and the values of an enumeration with their numbers."""
    fields = row if isinstance(row, Mapping) else {}
    choices = fields.get("DISPLAY_VALUES_FORM")
    if fields.get("TYPE") != "L" or not isinstance(choices, Mapping) or not choices:
        return str(fields.get("TYPE"))
    return f"L: {', '.join(f'{key} is {text}' for key, text in choices.items())}"


async def facts_of_list(send: Send, kind: str) -> tuple[Field, ...] | Failure:
    """Read the fields of the list of a kind (`list_23`) as facts."""
    read = ListFieldsRead(kind)
    await read_all(send, [read])
    return read.facts()

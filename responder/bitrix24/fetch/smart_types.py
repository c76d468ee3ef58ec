"""Finds out whether a type of CRM items exists, where an item of it was not found.

`crm.item.get` answers NOT_FOUND for an item that is gone, and also for any item of a smart process
that the portal does not have (module crm, lib/controller/item.php, Service/Container.php; smart
invoices are a type as well). So NOT_FOUND means that a document does not exist only where its type
does: then a list of that type is answered, be it empty. A type that exists is remembered for a
while; it can only be deleted once it has no items, so an item that was not found in it meanwhile is
gone all the same.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from responder.bitrix24.client.answers import Answer, Command, Failure, explain, uncertain
from responder.bitrix24.lists.paged import unless_rejected
from responder.model import Unknown

KNOWN_FOR = timedelta(minutes=10)

_ALWAYS_THERE = frozenset({1, 2, 3, 4, 7})  # leads, deals, contacts, companies, quotes


def type_check(type_id: int) -> Command:
    """Return the command that lists no item of a type, and is refused where there is no such type.

    It asks for an item with the id 0, which none has.
    """
    params = {"entityTypeId": type_id, "filter": {"id": 0}, "select": ["id"]}
    return Command("crm.item.list", params)


class TypeRead:
    """The read of one type, for `paged.read_all`."""

    def __init__(self, type_id: int) -> None:
        self.type_id = type_id
        self.failure: Failure | None = uncertain("", "it was not read")
        self._asked = False

    def next_commands(self) -> list[Command]:
        """Return the command, the first time; nothing after that."""
        if self._asked:
            return []
        self._asked = True
        return [type_check(self.type_id)]

    def accept(self, answers: Sequence[Answer]) -> None:
        """Accept the answer, which is a list where the type exists."""
        (answer,) = answers
        self.failure = answer.failure
        listed = answer.value.get("items") if isinstance(answer.value, dict) else None
        if answer.failure is None and not isinstance(listed, list):
            self.failure = uncertain("wrong_type", "the answer is no list of items")


class TypesRead:
    """The types that one gathering needs. `known` is remembered for the next."""

    def __init__(self, known: dict[int, datetime], now: datetime) -> None:
        self._known = known
        self._now = now
        self._reads: dict[int, TypeRead] = {}

    def ask(self, type_id: int) -> None:
        """Plan a read of whether a type exists, unless that is remembered."""
        if not self._remembers(type_id):
            self._reads.setdefault(type_id, TypeRead(type_id))

    def reads(self) -> list[TypeRead]:
        """Return the planned reads, one a type."""
        return list(self._reads.values())

    def keep(self) -> None:
        """Remember the types that exist."""
        for type_id, read in self._reads.items():
            if read.failure is None:
                self._known[type_id] = self._now

    def exists(self, type_id: int) -> tuple[bool | Unknown, Failure | None]:
        """Return whether a type exists, and the failure that kept it from being read."""
        read = self._reads.get(type_id)
        if read is None or read.failure is None:
            return True, None
        why = f"it was not found, and no more was its type {type_id}: {explain(read.failure)}"
        return Unknown(why), unless_rejected(read.failure)

    def _remembers(self, type_id: int) -> bool:
        if type_id in _ALWAYS_THERE:
            return True
        at = self._known.get(type_id)
        return at is not None and timedelta(0) <= self._now - at < KNOWN_FOR

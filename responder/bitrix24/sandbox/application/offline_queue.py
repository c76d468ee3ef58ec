"""Keeps what happened for an application that asks for it: the queue of offline events.

A row that nobody has reserved is merged with the next of the same event and data: it keeps its
number, and gets the newer time and actor. `clear=0` reserves rows under a process id; they never
come back by themselves, and every row is deleted 34 days after its time.
"""

import hashlib
import itertools
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

RETENTION_SECONDS = 2_952_000
RETENTION_BY_THE_DOCS = 30 * 24 * 3600


@dataclass(slots=True, kw_only=True)
class OfflineRow:
    """Something that happened; `process_id` is empty until it is reserved."""

    id: int
    at: float
    event: str
    data: Mapping[str, object] | None
    user_id: int | None
    message_id: str
    connector: str = ""
    process_id: str = ""
    error: int = 0


class OfflineQueue:
    """The rows of one application.

    The documentation and the module differ. With `by_the_docs` a confirmation by `id` counts (in
    the module one by `message_id` does), what an application did itself comes back to it where it
    has no connector, and reserved rows are kept for 30 days. With `keeps_cleared` a confirmation
    is answered as ever, and removes nothing.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.by_the_docs = False
        self.keeps_cleared = False
        self.rows: list[OfflineRow] = []
        self._ids = itertools.count(1)
        self._processes = itertools.count(1)

    def put(
        self,
        event: str,
        data: Mapping[str, object] | None,
        user_id: int | None,
        connector: str = "",
    ) -> None:
        """Add what happened, or merge it into the row that says so already."""
        self.forget_old()
        message_id = _message_id(event, data)
        for row in self.rows:
            # A row that was marked as an error swallows the later ones as well.
            if (row.message_id, row.connector, row.process_id) == (message_id, connector, ""):
                row.at, row.user_id = self.clock(), user_id
                return
        self.rows.append(
            OfflineRow(
                id=next(self._ids),
                at=self.clock(),
                event=event,
                data=data,
                user_id=user_id,
                message_id=message_id,
                connector=connector,
            )
        )

    def reserve(self, rows: Iterable[OfflineRow]) -> str:
        """Put rows under a process id of their own, and return it."""
        process_id = f"SandboxProcess{next(self._processes):018d}"
        for row in rows:
            row.process_id = process_id
        return process_id

    def of(self, process_id: str, connector: str) -> list[OfflineRow]:
        """Return the rows of a process; the empty one has all that are not reserved."""
        return [
            row for row in self.rows if (row.process_id, row.connector) == (process_id, connector)
        ]

    def delete(self, rows: Collection[OfflineRow]) -> None:
        """Delete rows."""
        numbers = {row.id for row in rows}
        self.rows = [row for row in self.rows if row.id not in numbers]

    def mark_errors(self, rows: Collection[OfflineRow]) -> None:
        """Set rows aside as errors, and delete newer rows of the same objects."""
        numbers, messages = {row.id for row in rows}, {row.message_id for row in rows}
        self.rows = [
            row for row in self.rows if row.id in numbers or row.message_id not in messages
        ]
        for row in rows:
            row.error, row.process_id = 1, ""

    def forget_old(self) -> None:
        """Delete what is too old, reserved or not."""
        oldest = self.clock() - RETENTION_SECONDS
        reserved = self.clock() - (RETENTION_BY_THE_DOCS if self.by_the_docs else RETENTION_SECONDS)
        self.rows = [row for row in self.rows if row.at >= (reserved if row.process_id else oldest)]


def _message_id(event: str, data: Mapping[str, object] | None) -> str:
    text = event + json.dumps(data, sort_keys=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

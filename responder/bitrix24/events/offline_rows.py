"""Reads the rows of offline events that a portal keeps, and says how they are removed there.

A row means that something changed: later changes are merged into it for as long as nobody has
reserved it. Values are forgiven, as in what is posted (`payload`): ids may be numbers, and
EVENT_DATA may be `false`. A row that names no event, or cannot be named itself, is told of as odd.
https://apidocs.bitrix24.com/api-reference/events/event-offline-get.html
"""

import contextlib
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from responder.bitrix24 import documents
from responder.bitrix24.client.answers import Command, clipped
from responder.bitrix24.payload import MOST_KEPT
from responder.model import Document

GET = "event.offline.get"
PAGE = 50  # of `event.offline.list`, and of `event.offline.get` by default
MOST_AT_ONCE = 250  # asked of `event.offline.get`, whose answer then stays far below 1 MiB
_LONGEST_WORD = 255
_SHOWN_LENGTH = 300
_CODE = re.compile(r"[!-~]{1,255}")

_IN_SHORT = reprlib.Repr()
_IN_SHORT.maxdict, _IN_SHORT.maxlevel, _IN_SHORT.maxstring = 12, 3, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineRow:
    """One kept event. `process_id` is that of its reservation, None where it has none.

    `event` is None where the row names none that could be stored. `changed_at` is the portal's
    text: the time of the last change that was merged into the row. `form` is what is stored.
    """

    id: int
    message_id: str | None
    process_id: str | None
    changed_at: str
    event: str | None
    document: Document | None
    form: bytes

    @property
    def key(self) -> tuple[int, str]:
        """Return what distinguishes the row from itself after a later change."""
        return (self.id, self.changed_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One answer with rows. `odd` shows those that say nothing, in short.

    `size` counts all rows, so that a page that is not full is known to be the last.
    """

    rows: tuple[OfflineRow, ...]
    odd: tuple[str, ...]
    size: int

    @property
    def is_full(self) -> bool:
        """Return whether there may be more."""
        return self.size >= PAGE

    @property
    def events(self) -> tuple[OfflineRow, ...]:
        """Return the rows that name an event, which are stored."""
        return tuple(row for row in self.rows if row.event is not None)

    @property
    def unreserved(self) -> tuple[OfflineRow, ...]:
        """Return the rows that nobody has reserved."""
        return tuple(row for row in self.rows if row.process_id is None)

    @property
    def reserved(self) -> tuple[OfflineRow, ...]:
        """Return the rows that somebody has reserved."""
        return tuple(row for row in self.rows if row.process_id is not None)


def page_of(value: object) -> Page | None:
    """Return the rows of an answer to `event.offline.list` or `.get`; None where it has no shape.

    A row of `get` has the process id of the whole answer.
    """
    process_id = None
    if isinstance(value, Mapping) and "events" in value:
        process_id = _code(value.get("process_id"))
        value = value["events"]
    if isinstance(value, Mapping):  # PHP writes a list with gaps as an object
        value = list(value.values())
    if not isinstance(value, list):
        return None
    read = [_row(one, process_id) for one in value]
    rows = tuple(row for row in read if row is not None)
    odd = tuple(
        clipped(_IN_SHORT.repr(one), _SHOWN_LENGTH)
        for one, row in zip(value, read, strict=True)
        if row is None or row.event is None
    )
    return Page(rows=rows, odd=odd, size=len(value))


def _row(value: object, process_id: str | None) -> OfflineRow | None:
    row = value if isinstance(value, Mapping) else {}
    row_id = _number(row.get("ID"))
    if row_id is None:
        return None
    event = _event_name(row.get("EVENT_NAME"))
    values = _value_at(row.get("EVENT_DATA"))
    changed_at = _word(row.get("TIMESTAMP_X")) or ""
    return OfflineRow(
        id=row_id,
        message_id=_code(row.get("MESSAGE_ID")),
        process_id=process_id or _code(row.get("PROCESS_ID")),
        changed_at=changed_at,
        event=event,
        document=None if event is None else documents.document_at(event, values),
        form=b"" if event is None else _form(event, values, changed_at),
    )


def _number(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST_WORD else None


def _code(value: object) -> str | None:
    """Return an id that is sent back to the portal, None where it is not written as one."""
    return value if isinstance(value, str) and _CODE.fullmatch(value) else None


def _event_name(value: object) -> str | None:
    name = _word(value)
    if name is None:
        return None
    # as `payload` has it: upper case of ASCII alone, and nothing that cannot be stored
    encoded = name.encode("utf-8", "replace").upper()
    return encoded.decode().replace("\0", "\ufffd")


def _value_at(data: object) -> Callable[[documents.Path], str | None]:
    """Return what `documents` asks for values: a row's EVENT_DATA is what is posted as `data`."""

    def value_at(path: documents.Path) -> str | None:
        here = data
        for name in path[1:]:
            here = here.get(name) if isinstance(here, Mapping) else None
        if isinstance(here, int) and not isinstance(here, bool):
            return str(here)
        return _word(here)

    return value_at


def _form(event: str, value_at: Callable[[documents.Path], str | None], changed_at: str) -> bytes:
    """Return a row as if it had been posted: the event, its document, its time."""
    pairs = [("event", event)]
    for path in documents.PATHS:
        value = value_at(path)
        if value is not None:
            pairs.append((path[0] + "".join(f"[{name}]" for name in path[1:]), value))
    with contextlib.suppress(ValueError, OverflowError, OSError):  # it is stored without it
        pairs.append(("ts", str(int(datetime.fromisoformat(changed_at).timestamp()))))
    form = urlencode(pairs, errors="replace").encode()
    return form if len(form) <= MOST_KEPT else b""


def read_command(*, reserve: bool, first: int = 0, last: int = 0) -> Command:
    """Return the call that reserves the oldest rows, or takes those from one id to another."""
    if reserve:
        return Command(GET, {"clear": 0, "limit": MOST_AT_ONCE})
    taken: dict[str, object] = {
        "clear": 1,
        "filter": {">=ID": first, "<=ID": last},
        "order": {"ID": "ASC"},
        "limit": PAGE,
    }
    return Command(GET, taken)


def list_command(*, reserved: bool = False, start: int = 0) -> Command:
    """Return the call that lists rows and changes nothing: all, or the reserved ones alone."""
    params: dict[str, object] = {"order": {"ID": "ASC"}, "start": start}
    if reserved:
        params["filter"] = {">PROCESS_ID": ""}
    return Command("event.offline.list", params)


def clear_commands(rows: Iterable[OfflineRow]) -> list[Command]:
    """Return the calls that remove reserved rows: these alone, and never a whole reservation.

    The documentation identifies rows by `id`, the portal's code by `message_id`; where both are
    sent, the latter wins there.
    """
    by_process: dict[tuple[str, bool], list[OfflineRow]] = {}
    for row in rows:
        if row.process_id is not None:
            by_process.setdefault((row.process_id, row.message_id is not None), []).append(row)
    return [_clear(process_id, some) for (process_id, _), some in by_process.items()]


def _clear(process_id: str, rows: Sequence[OfflineRow]) -> Command:
    params: dict[str, object] = {"process_id": process_id, "id": [row.id for row in rows]}
    message_ids = [row.message_id for row in rows if row.message_id is not None]
    if message_ids:
        params["message_id"] = message_ids
    return Command("event.offline.clear", params)

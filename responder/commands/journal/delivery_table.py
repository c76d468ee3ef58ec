"""Prints what was received, and the evaluation that concluded each delivery."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from functools import partial
from itertools import islice

from responder.adapters import local_time
from responder.adapters.printable_text import printable, to_json
from responder.bitrix24 import documents
from responder.journal import names
from responder.journal.reading import names_in_words
from responder.model import Document
from responder.store.canonical_json import instant_text
from responder.store.database.database import Database
from responder.store.inbox import inbox
from responder.store.inbox.inbox import Delivery

_AT_ONCE = 100
_ROW = "{:<19}  {:<8}  {:<10}  {:<28}  {:<18}  {}"


def show(
    database: Database,
    since: datetime | None,
    document: str | None,
    *,
    as_json: bool,
    write: Callable[[str], object],
    zone: tzinfo = UTC,
) -> int:
    """Print deliveries, the oldest first, with times in a zone; return their number."""
    if not as_json:
        received = f"RECEIVED ({local_time.zone_label(datetime.now(UTC), zone)})"
        write(_ROW.format(received, "DELIVERY", "PORTAL", "EVENT", "DOCUMENT", "EVALUATION"))
    count = 0
    found = inbox.received(database, since=since, document=document)
    while some := list(islice(found, _AT_ONCE)):
        titles = {} if as_json else _titles(database, some)
        for delivery in some:
            write(_json(delivery) if as_json else _line(delivery, zone, titles))
        count += len(some)
    return count


def _titles(database: Database, some: Sequence[Delivery]) -> dict[str, str]:
    """Return the titles of the documents on which something was condemned, by evaluation."""
    evaluations = {one.evaluation for one in some if one.evaluation is not None}
    named = database.read(partial(names.of_evaluations, evaluations=evaluations))
    return {name: names_in_words.title_of(one) for name, one in named.items()}


def ref_of(named: str) -> str:
    """Return the reference of a document, in whichever way it is written.

    `deal:759` is that of events, `DEAL_759` that of the table of decisions, the triple that of
    their JSON. Raise ValueError for a text that names no document.
    """
    for document in _meant(named.strip()):
        if document is not None:
            return document.ref
    raise ValueError(f"{named!r} names no document; write it as deal:759 or DEAL_759")


def _meant(named: str) -> Iterator[Document | None]:
    if named.startswith("["):
        yield _of_triple(named)
    yield documents.parse_ref(named if "|" in named else named.lower())
    match = re.fullmatch(r"(?:DYNAMIC_([0-9]+)|[A-Z_]+)_([0-9]+)", named.upper())
    if match is not None:
        for kind in (f"item_{match[1]}", *documents.KINDS):
            found = documents.of_item(kind, match[2])
            yield found if found is not None and found.id == named.upper() else None


def _of_triple(named: str) -> Document | None:
    try:
        parts = json.loads(named)
    except (ValueError, RecursionError):
        return None
    if isinstance(parts, list) and len(parts) == 3 and all(isinstance(p, str) for p in parts):
        return documents.from_triple(*parts)
    return None


def _line(delivery: Delivery, zone: tzinfo, titles: Mapping[str, str]) -> str:
    title = titles.get(delivery.evaluation or "")
    row = _ROW.format(
        local_time.in_table(delivery.received_at, zone),
        delivery.id,
        delivery.portal,
        printable(delivery.event or f"({delivery.trigger})"),
        printable(delivery.document or "-"),
        delivery.evaluation or "waiting",
    )
    return f"{row}  «{printable(title)}»" if title else row


def _json(delivery: Delivery) -> str:
    return to_json(
        {
            "id": delivery.id,
            "received_at": instant_text(delivery.received_at),
            "portal": delivery.portal,
            "trigger": delivery.trigger,
            "event": delivery.event,
            "document": delivery.document,
            "workflow_id": delivery.workflow_id,
            "evaluation": delivery.evaluation,
        }
    )

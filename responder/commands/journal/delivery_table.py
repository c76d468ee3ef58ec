"""Prints what was received, and the evaluation that concluded each delivery."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, tzinfo
from functools import partial
from itertools import islice

from responder.adapters import local_time
from responder.adapters.printable_text import to_json
from responder.adapters.text_table import Column, Table
from responder.journal.naming import names, names_in_words
from responder.store.canonical_json import instant_text
from responder.store.database.database import Database
from responder.store.inbox import inbox
from responder.store.inbox.inbox import Delivery

_AT_ONCE = 100
_COLUMNS = (
    Column("DELIVERY"),
    Column("PORTAL", spare=True),
    Column("EVENT", fold=True),
    Column("DOCUMENT", fold=True),
    Column("EVALUATION"),
)


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
    received = Column(f"RECEIVED ({local_time.zone_label(datetime.now(UTC), zone)})")
    table = None if as_json else Table(received, *_COLUMNS, write=write)
    count = 0
    found = inbox.received(database, since=since, document=document)
    while some := list(islice(found, _AT_ONCE)):
        titles = {} if table is None else _titles(database, some)
        for delivery in some:
            if table is None:
                write(_json(delivery))
            else:
                table.add(*_cells(delivery, zone), note=titles.get(delivery.evaluation or "", ""))
        count += len(some)
    if table is not None:
        table.flush()
    return count


def _titles(database: Database, some: Sequence[Delivery]) -> dict[str, str]:
    """Return the titles of the documents on which something was condemned, by evaluation."""
    evaluations = {one.evaluation for one in some if one.evaluation is not None}
    named = database.read(partial(names.of_evaluations, evaluations=evaluations))
    titles = {name: names_in_words.title_of(one) for name, one in named.items()}
    return {name: f"«{title}»" for name, title in titles.items() if title}


def _cells(delivery: Delivery, zone: tzinfo) -> tuple[str, ...]:
    return (
        local_time.in_table(delivery.received_at, zone),
        str(delivery.id),
        delivery.portal,
        delivery.event or f"({delivery.trigger})",
        delivery.document or "-",
        delivery.evaluation or "waiting",
    )


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

"""Prints what was received, and the evaluation that concluded each delivery."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import partial
from itertools import islice

from responder.adapters import local_time
from responder.adapters.printable_text import to_json
from responder.adapters.text_table import Column, Table
from responder.journal import chain_ends
from responder.journal.naming import names, names_in_words
from responder.model import Document
from responder.store.canonical_json import instant_text
from responder.store.database.database import Connection, Database
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """The deliveries that the options ask for; of these, `limit` wants so many of the newest."""

    since: datetime | None = None
    portal: str | None = None
    document: Document | None = None
    limit: int | None = None


def show(
    database: Database,
    chosen: Filter,
    *,
    as_json: bool,
    write: Callable[[str], object],
    zone: tzinfo = UTC,
) -> int:
    """Print deliveries, the oldest first, with times in a zone; return their number."""
    received = Column(f"RECEIVED ({local_time.zone_label(datetime.now(UTC), zone)})")
    table = None if as_json else Table(received, *_COLUMNS, write=write)
    count = 0
    found = inbox.received(
        database,
        since=chosen.since,
        portal=chosen.portal,
        document=None if chosen.document is None else chosen.document.ref,
        newest=chosen.limit,
    )
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


def portals(conn: Connection) -> set[str]:
    """Return the portals from which anything was received, or of which anything is in the log."""
    return {*inbox.portals(conn), *chain_ends.portals(conn)}


def no_delivery(chosen: Filter) -> str:
    """Return the line for no delivery found."""
    of = "" if chosen.document is None else f" of {chosen.document.ref}"
    where = "" if chosen.portal is None else f" from portal {chosen.portal}"
    return f"Nothing was received{of}{where}."


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

"""Lists what was received, and the evaluation that concluded each delivery."""

from collections.abc import Callable
from datetime import UTC, datetime

from responder.authoring.plain import printable, to_json
from responder.store import inbox
from responder.store.database import Database
from responder.store.inbox import Delivery

_ROW = "{:<19}  {:<8}  {:<10}  {:<28}  {:<18}  {}"


def show(
    database: Database,
    since: datetime | None,
    document: str | None,
    *,
    as_json: bool,
    write: Callable[[str], object],
) -> None:
    """Print deliveries, oldest first."""
    if not as_json:
        write(_ROW.format("RECEIVED", "DELIVERY", "PORTAL", "EVENT", "DOCUMENT", "EVALUATION"))
    for delivery in inbox.received(database, since=since, document=document):
        write(_json(delivery) if as_json else _line(delivery))


def _line(delivery: Delivery) -> str:
    return _ROW.format(
        delivery.received_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"),
        delivery.id,
        delivery.portal,
        printable(delivery.event or f"({delivery.trigger})"),
        printable(delivery.document or "-"),
        delivery.evaluation or "waiting",
    )


def _json(delivery: Delivery) -> str:
    return to_json(
        {
            "id": delivery.id,
            "received_at": delivery.received_at.astimezone(UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "portal": delivery.portal,
            "trigger": delivery.trigger,
            "event": delivery.event,
            "document": delivery.document,
            "workflow_id": delivery.workflow_id,
            "evaluation": delivery.evaluation,
        }
    )

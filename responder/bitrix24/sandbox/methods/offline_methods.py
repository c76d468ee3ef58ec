"""Implements the queue of offline events: https://apidocs.bitrix24.com/api-reference/events/."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from responder.bitrix24.sandbox import php
from responder.bitrix24.sandbox.answers import Answer, RefusedError
from responder.bitrix24.sandbox.application.offline_queue import OfflineQueue, OfflineRow
from responder.bitrix24.sandbox.faults import REFUSALS
from responder.bitrix24.sandbox.methods.event_methods import application, upper
from responder.bitrix24.sandbox.rows import PAGE, Listing, ListParams, matching, page
from responder.bitrix24.sandbox.state import State

_OPERATORS = ("<=", ">=", "<", ">", "=")
_FIELDS = ("ID", "TIMESTAMP_X", "EVENT_NAME", "EVENT_DATA", "EVENT_ADDITIONAL", "MESSAGE_ID")
_OF_ROWS = (*_FIELDS, "PROCESS_ID", "ERROR")
_SEARCHED = ("ID", "TIMESTAMP_X", "EVENT_NAME", "MESSAGE_ID")
_GET = Listing(
    fields=_SEARCHED, select=_FIELDS, order=(("TIMESTAMP_X", "ASC"),), operators=_OPERATORS
)
_LIST = Listing(
    fields=(*_SEARCHED, "PROCESS_ID", "ERROR"),
    select=_OF_ROWS,
    order=(("ID", "ASC"),),
    operators=_OPERATORS,
)


def take(state: State, params: Mapping[str, object]) -> Answer:
    """Take rows out of the queue, or with `clear=0` reserve them under a process id.

    With a `process_id` those of that process are read again, and with `clear=1` all of it deleted,
    however few `limit` returns; the empty one is every row that nobody has reserved.
    """
    queue, asked = _queue(state), upper(params)
    clear = php.integer(asked.get("CLEAR", 1)) != 0
    if not clear and "rest_offline_extended" not in state.features:
        raise REFUSALS["license"].error()
    limit = php.integer(asked.get("LIMIT", PAGE))
    again = asked.get("PROCESS_ID") is not None
    of_process = queue.of(php.text(asked.get("PROCESS_ID")), _connector(asked))
    error = int(php.integer(asked.get("ERROR")) == 1)
    known = {str(row.id): row for row in of_process if row.error == error}
    found = matching([_row(state, row) for row in known.values()], _searched(asked, _GET), _GET)
    found = found[:limit] if limit > 0 else found
    taken = [known[php.text(row["ID"])] for row in found]
    process_id = php.text(asked.get("PROCESS_ID"))
    if not again and not clear:
        process_id = queue.reserve(taken)
    if clear:
        queue.delete(of_process if again else taken)
    events = [{name: row[name] for name in _FIELDS} for row in found]
    shown = process_id if again or not clear else None
    return Answer(value={"process_id": shown, "events": events})


def rows(state: State, params: Mapping[str, object]) -> Answer:
    """List rows, reserved ones among them, and change nothing."""
    queue, asked = _queue(state), upper(params)
    connector = _connector(asked)
    found = [_row(state, row) for row in queue.rows if row.connector == connector]
    return page(found, _searched(asked, _LIST), _LIST)


def clear(state: State, params: Mapping[str, object]) -> Answer:
    """Delete rows of a process: all, or those that are named. The result is always true."""
    queue, asked = _queue(state), upper(params)
    if not queue.keeps_cleared:
        queue.delete(_named(queue, asked, _of_process(queue, asked)))
    return Answer(value=True)


def mark_errors(state: State, params: Mapping[str, object]) -> Answer:
    """Set rows of a process aside. Newer rows of the same objects are lost by that."""
    queue, asked = _queue(state), upper(params)
    messages = php.texts(asked.get("MESSAGE_ID"))
    of_process = _of_process(queue, asked)
    queue.mark_errors([row for row in of_process if row.message_id in messages])
    return Answer(value=True)


def _queue(state: State) -> OfflineQueue:
    if not state.actor.admin:
        raise RefusedError(403, "ACCESS_DENIED", "Access denied!")
    queue = application(state).offline
    queue.forget_old()
    return queue


def _connector(asked: Mapping[str, object]) -> str:
    return php.text(asked.get("AUTH_CONNECTOR"))


def _of_process(queue: OfflineQueue, asked: Mapping[str, object]) -> list[OfflineRow]:
    if asked.get("PROCESS_ID") is None:
        raise RefusedError(400, "ERROR_ARGUMENT", "Argument 'PROCESS_ID' is null or empty")
    return queue.of(php.text(asked["PROCESS_ID"]), _connector(asked))


def _named(
    queue: OfflineQueue, asked: Mapping[str, object], of_process: Sequence[OfflineRow]
) -> list[OfflineRow]:
    """Return the rows that are to go. Where both are given, docs and module obey another one."""
    ids, messages = php.texts(asked.get("ID")), php.texts(asked.get("MESSAGE_ID"))
    if ids and (queue.by_the_docs or not messages):
        return [row for row in of_process if str(row.id) in ids]
    return [row for row in of_process if not messages or row.message_id in messages]


def _searched(asked: Mapping[str, object], listing: Listing) -> ListParams:
    """Return filter and order, whose mistakes are refused here and not dropped as elsewhere."""
    wanted, order = php.mapping(asked.get("FILTER")), php.mapping(asked.get("ORDER"))
    for key, value in wanted.items():
        if listing.split(key) is None or isinstance(value, list | dict):
            raise RefusedError(400, "ERROR_ARGUMENT", f"Wrong filter: {key}")
    for key, way in order.items():
        if listing.field(key) is None or php.text(way).upper() not in ("ASC", "DESC"):
            raise RefusedError(400, "ERROR_ARGUMENT", f"Wrong order: {key}")
    return ListParams(filter=wanted, order=order, select=(), start=php.integer(asked.get("START")))


def _row(state: State, row: OfflineRow) -> dict[str, object]:
    return {
        "ID": str(row.id),
        "TIMESTAMP_X": state.instant(datetime.fromtimestamp(row.at, UTC)),
        "EVENT_NAME": row.event,
        "EVENT_DATA": dict(row.data) if row.data is not None else False,
        "EVENT_ADDITIONAL": {"user_id": row.user_id} if row.user_id is not None else False,
        "MESSAGE_ID": row.message_id,
        "PROCESS_ID": row.process_id,
        "ERROR": str(row.error),
    }

"""Implements https://apidocs.bitrix24.com/api-reference/crm/crm-stage-history-list.html."""

from collections.abc import Mapping

from responder.bitrix24.sandbox import php
from responder.bitrix24.sandbox.answers import Answer, RefusedError
from responder.bitrix24.sandbox.contents.stage_history import StageChange
from responder.bitrix24.sandbox.rows import Listing, ListParams, page
from responder.bitrix24.sandbox.state import DEAL, INVOICE, LEAD, State

SMART_PROCESSES = 128
OLD_INVOICE = 5
_COMMON = ("ID", "TYPE_ID", "OWNER_ID", "CREATED_TIME")
_OF_LEADS = (*_COMMON, "STATUS_SEMANTIC_ID", "STATUS_ID")
_OF_OTHERS = (*_COMMON, "CATEGORY_ID", "STAGE_SEMANTIC_ID", "STAGE_ID")


def changes(state: State, params: Mapping[str, object]) -> Answer:
    """List when items came into their stages; it goes with the item, and says not who moved it."""
    if "entityTypeId" not in params:
        raise RefusedError(400, "100", "Could not find value for parameter {entityTypeId}")
    type_id = php.integer(params["entityTypeId"])
    if type_id not in (LEAD, DEAL, OLD_INVOICE, INVOICE) and type_id < SMART_PROCESSES:
        raise RefusedError(400, "ERROR_ARGUMENT", "The type has no history of stages")
    names = _OF_LEADS if type_id == LEAD else _OF_OTHERS
    rows = [
        {name: value for name, value in _row(one).items() if name in names}
        for one in state.stage_history.changes
        if one.entity_type_id == type_id and _is_readable(state, one)
    ]
    found = page(
        rows,
        ListParams(
            filter={} if state.drop_filters else php.mapping(params.get("filter")),
            order=php.mapping(params.get("order")),
            select=php.texts(params.get("select")),
            start=php.integer(params.get("start")),
        ),
        Listing(fields=names, select=names, order=(("ID", "ASC"),)),
    )
    return Answer(value={"items": found.value}, total=found.total, next=found.next)


def _is_readable(state: State, change: StageChange) -> bool:
    item = (change.entity_type_id, change.owner_id)
    return item in state.items and item not in state.denied_items


def _row(change: StageChange) -> dict[str, object]:
    return {
        "ID": change.id,
        "TYPE_ID": change.type,
        "OWNER_ID": change.owner_id,
        "CREATED_TIME": change.created,
        "CATEGORY_ID": change.category_id,
        "STAGE_SEMANTIC_ID": change.semantics,
        "STAGE_ID": change.stage_id,
        "STATUS_SEMANTIC_ID": change.semantics,
        "STATUS_ID": change.stage_id,
    }

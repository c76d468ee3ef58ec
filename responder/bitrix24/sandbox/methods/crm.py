"""Implements the methods of CRM: https://apidocs.bitrix24.com/api-reference/crm/universal/."""

import re
from collections.abc import Iterable, Mapping, Sequence

from responder.bitrix24.sandbox import php
from responder.bitrix24.sandbox.answers import Answer, RefusedError
from responder.bitrix24.sandbox.rows import Listing, ListParams, page
from responder.bitrix24.sandbox.state import State

DEAL = 2
_MONEY = re.compile(r"-?[0-9.]+\|[A-Z]{3}")

_STATUS_FIELDS = (
    "ID",
    "ENTITY_ID",
    "STATUS_ID",
    "NAME",
    "NAME_INIT",
    "SORT",
    "SYSTEM",
    "CATEGORY_ID",
    "COLOR",
    "SEMANTICS",
    "EXTRA",
)
_STATUSES = Listing(fields=_STATUS_FIELDS, select=_STATUS_FIELDS, order=(("SORT", "ASC"),))


def item_get(state: State, params: Mapping[str, object]) -> Answer:
    """Read one item: camelCase names and typed values.

    NOT_FOUND is the code for an item that is not there and for a type that is not.
    """
    type_id = _type(state, params)
    if "id" not in params:
        raise RefusedError(400, "100", "Could not find value for parameter {id}")
    item_id = php.integer(params["id"])
    item = state.items.get((type_id, item_id))
    if item is None:
        raise RefusedError(400, "NOT_FOUND", "Element not found")
    if (type_id, item_id) in state.denied_items:
        raise RefusedError(400, "ACCESS_DENIED", "Access denied")
    return Answer(value={"item": _named(item, params)})


def item_list(state: State, params: Mapping[str, object]) -> Answer:
    """List items of one type, without those that may not be read."""
    type_id = _type(state, params)
    keys = sorted(key for key in state.items if key[0] == type_id and key not in state.denied_items)
    names = _names(state.items[key] for key in keys)
    shown = tuple(dict.fromkeys(_shown(name, params) for name in names))
    listing = Listing(fields=shown, select=shown, order=(("id", "ASC"),))
    filters = {} if state.drop_filters else php.mapping(params.get("filter"))
    found = page(
        [_named(state.items[key], params) for key in _candidates(keys, filters)],
        ListParams(
            filter=filters,
            order=php.mapping(params.get("order")),
            select=[name for name in php.texts(params.get("select")) if name != "*"],
            start=php.integer(params.get("start")),
        ),
        listing,
    )
    return Answer(value={"items": found.value}, total=found.total, next=found.next)


def _candidates(
    keys: Sequence[tuple[int, int]], filters: Mapping[str, object]
) -> Sequence[tuple[int, int]]:
    """Return the items that a filter by ids may find, as a database has an index of them."""
    asked = next((filters[key] for key in ("@id", "=id", "id") if key in filters), None)
    if asked is None:
        return keys
    ids = set(php.texts(asked))
    return [key for key in keys if str(key[1]) in ids]


def item_fields(state: State, params: Mapping[str, object]) -> Answer:
    """Describe the fields of a type, as far as the sandbox's items have them."""
    type_id = _type(state, params)
    items = [_named(item, params) for key, item in state.items.items() if key[0] == type_id]
    fields = {
        name: {
            "type": _type_of(item.get(name) for item in items),
            "isMultiple": False,
            "title": name,
            "upperName": original(name),
        }
        for name in _names(items)
    }
    return Answer(value={"fields": php.array(fields)})


def _type_of(values: Iterable[object]) -> str:
    """Return the type of a field with these values: of amounts `money`, of all others `string`."""
    return "money" if any(_MONEY.fullmatch(str(value)) for value in values) else "string"


def category_list(state: State, params: Mapping[str, object]) -> Answer:
    """List the pipelines of a type: the general one, and those that have items or stages."""
    type_id = _type(state, params)
    items = (item for key, item in state.items.items() if key[0] == type_id)
    stages = "DEAL_STAGE_" if type_id == DEAL else f"DYNAMIC_{type_id}_STAGE_"
    entities = (str(row.get("ENTITY_ID")) for row in state.statuses)
    with_stages = (one.removeprefix(stages) for one in entities if one.startswith(stages))
    with_items = (item.get("categoryId") for item in items)
    numbers = {0, *map(php.integer, with_stages), *map(php.integer, with_items)}
    rows = [
        {
            "id": number,
            "name": f"Pipeline {number}" if number else "General",
            "entityTypeId": type_id,
            "isDefault": "N" if number else "Y",
        }
        for number in sorted(numbers)
    ]
    return Answer(value={"categories": rows})


def status_list(state: State, params: Mapping[str, object]) -> Answer:
    """List directory items, stages among them; SEMANTICS is S, F or null."""
    asked = {name.lower(): value for name, value in params.items()}
    return page(
        state.statuses,
        ListParams(
            filter={} if state.drop_filters else php.mapping(asked.get("filter")),
            order=php.mapping(asked.get("order")),
            select=(),
            start=php.integer(asked.get("start")),
        ),
        _STATUSES,
    )


def deal_get(state: State, params: Mapping[str, object]) -> Answer:
    """Read a deal the deprecated way: all strings, and errors without a code."""
    asked = php.integer({name.lower(): value for name, value in params.items()}.get("id"))
    if asked <= 0:
        raise RefusedError(400, "", "ID is not defined or invalid.")
    deal = state.items.get((DEAL, asked))
    if deal is None:
        raise RefusedError(400, "", "Not found")
    if (DEAL, asked) in state.denied_items:
        raise RefusedError(400, "", "Access denied")
    named = {original(name): _string(value) for name, value in deal.items()}
    named.pop("ENTITY_TYPE_ID", None)
    return Answer(value=named)


def _type(state: State, params: Mapping[str, object]) -> int:
    if "entityTypeId" not in params:
        raise RefusedError(400, "100", "Could not find value for parameter {entityTypeId}")
    type_id = php.integer(params["entityTypeId"])
    if type_id not in state.types:
        raise RefusedError(400, "NOT_FOUND", "SPA not found")
    return type_id


def _named(item: Mapping[str, object], params: Mapping[str, object]) -> dict[str, object]:
    return {_shown(name, params): value for name, value in item.items()}


def _shown(name: str, params: Mapping[str, object]) -> str:
    if not _is_user_field(name):
        return name
    as_they_are = params.get("useOriginalUfNames") in ("Y", True, "1", 1)
    return original(name) if as_they_are else camel(name)


def _names(items: Iterable[Mapping[str, object]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for item in items for name in item))


def _is_user_field(name: str) -> bool:
    return name[:2] in ("UF", "uf")


def original(name: str) -> str:
    """Convert `stageId` to `STAGE_ID`, `ufCrm2_16` to `UF_CRM_2_16`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[a-z])(?=[0-9])", "_", name).upper()


def camel(name: str) -> str:
    """Convert `UF_CRM_16` to `ufCrm_16`, `UF_CRM_2_16` to `ufCrm2_16`."""
    if name[:2] != "UF":
        return name
    first, *rest = name.lower().split("_")
    last = len(rest) - 1
    return first + "".join(
        f"_{part}" if part.isdigit() and number == last else part.capitalize()
        for number, part in enumerate(rest)
    )


def _string(value: object) -> object:
    if value is None or isinstance(value, list | dict):
        return value
    if isinstance(value, bool):
        return "Y" if value else "N"
    return f"{value:.2f}" if isinstance(value, float) else str(value)

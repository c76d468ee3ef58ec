"""Implements the methods of lists: https://apidocs.bitrix24.com/api-reference/lists/."""

from collections.abc import Mapping

from responder.bitrix24.sandbox import php
from responder.bitrix24.sandbox.answers import Answer, RefusedError
from responder.bitrix24.sandbox.contents.lists import Element, ListBlock, ListField
from responder.bitrix24.sandbox.rows import Listing, ListParams, page
from responder.bitrix24.sandbox.state import State

# The module has more (lib/Rest/RestService.php `getSanitizeFilter`: `%`, `><`, `*`), but no `@`,
# which the documentation has. Those that the sandbox lacks are refused like unknown ones.
_OPERATORS = (">=", "<=", ">", "<", "=", "!")
_ALWAYS = ("ID", "IBLOCK_ID", "NAME", "IBLOCK_SECTION_ID", "CREATED_BY", "BP_PUBLISHED", "CODE")


def iblock_type_id(state: State, params: Mapping[str, object]) -> Answer:
    """Return the type of a list; null for one that is not there, or that we may not read."""
    block = state.lists.blocks.get(php.integer(_required(params, "IBLOCK_ID")["IBLOCK_ID"]))
    return Answer(value=block.type if block and block.readable else None)


def fields(state: State, params: Mapping[str, object]) -> Answer:
    """Describe the fields of a list by their names, or one field by its type."""
    block = _block(state, params)
    wanted = php.text(params.get("FIELD_ID"))
    if not wanted:
        rows = {one.field_id: _field(one) for one in block.fields.values()}
    else:
        one = block.fields.get(wanted)
        rows = {one.type: _field(one)} if one else {}
    return Answer(value=php.array(rows))


def elements(state: State, params: Mapping[str, object]) -> Answer:
    """List elements. Unpublished ones show only to who may edit the list."""
    block = _block(state, params)
    wanted = _filter(block, php.mapping(params.get("FILTER")))
    if not php.is_empty(params.get("ELEMENT_ID")):
        wanted["ID"] = params["ELEMENT_ID"]
    shown = [one for one in block.elements.values() if one.published or block.editable]
    names = _selected(block, params)
    searched = tuple(dict.fromkeys((*_ALWAYS, *block.fields)))
    order = php.mapping(params.get("ELEMENT_ORDER"))
    rows = {str(one.id): _row(block, one) for one in shown}
    found = page(
        [{**row, **_searched(row)} for row in rows.values()],
        ListParams(
            filter={} if state.drop_filters else wanted,
            order=order,
            select=("ID",),
            start=php.integer(params.get("start")),
        ),
        Listing(fields=searched, select=("ID",), order=(("ID", "ASC"),), operators=_OPERATORS),
    )
    ids = [php.text(row["ID"]) for row in map(php.mapping, php.mapping(found.value).values())]
    if not ids:
        return Answer(value=[])
    picked = [{name: rows[one][name] for name in names if name in rows[one]} for one in ids]
    return Answer(value=picked, total=found.total, next=found.next)


def _required(params: Mapping[str, object], *names: str) -> Mapping[str, object]:
    for name in names:
        if php.is_empty(params.get(name)):
            text = f"Required parameter `{name}` is missing"
            raise RefusedError(400, "ERROR_REQUIRED_PARAMETERS_MISSING", text)
    return params


def _block(state: State, params: Mapping[str, object]) -> ListBlock:
    """Return the list that is asked for: by number, type, and for one of a group by the group."""
    _required(params, "IBLOCK_TYPE_ID", "IBLOCK_ID")
    block = state.lists.blocks.get(php.integer(params["IBLOCK_ID"]))
    if block is None or block.type != php.text(params["IBLOCK_TYPE_ID"]):
        raise RefusedError(400, "ERROR_IBLOCK_NOT_FOUND", "Iblock not found")
    if not state.lists.on_plan:
        raise RefusedError(403, "ACCESS_DENIED", "Available only on extended plans")
    if not block.readable or block.group_id != php.integer(params.get("SOCNET_GROUP_ID")):
        raise RefusedError(400, "ACCESS_DENIED", "Access denied")
    return block


def _filter(block: ListBlock, given: Mapping[str, object]) -> dict[str, object]:
    """Return a filter; other prefixes and fields than those allowed are refused."""
    for key in given:
        name = key.lstrip("!<>=%*@?~")
        prefix = key[: len(key) - len(name)]
        if prefix and prefix not in _OPERATORS:
            raise RefusedError(400, "ERROR_ARGUMENT", f"Filter operation not allowed: {prefix}")
        if name not in (*_ALWAYS, *block.fields):
            raise RefusedError(400, "ERROR_ARGUMENT", f"Filter field not allowed: {name}")
    return dict(given)


def _selected(block: ListBlock, params: Mapping[str, object]) -> list[str]:
    """Return the names of the answer. One of unknown names alone still selects the ID."""
    names = list(dict.fromkeys((*_ALWAYS, *block.fields)))
    if not isinstance(params.get("SELECT"), list | dict):
        return names
    select = php.texts(params["SELECT"])
    chosen = [name for name in names if name in select]
    own = [name for name in chosen if not name.startswith("PROPERTY_")]
    return chosen if own else ["ID", *chosen]


def _row(block: ListBlock, element: Element) -> dict[str, object]:
    return {
        "ID": str(element.id),
        "IBLOCK_ID": str(block.id),
        "NAME": element.name,
        "IBLOCK_SECTION_ID": None,
        "CREATED_BY": str(element.created_by),
        "BP_PUBLISHED": "Y" if element.published else "N",
        "CODE": element.code or None,
        **{name: _plain(name, values) for name, values in element.properties.items()},
    }


def _plain(name: str, values: Mapping[str, str]) -> object:
    # A field of the portal's own (DATE_CREATE) has no map: it is not a property.
    return dict(values) if name.startswith("PROPERTY_") else next(iter(values.values()))


def _searched(row: Mapping[str, object]) -> dict[str, object]:
    """Return properties as they are compared: their values, not their map."""
    return {name: list(one.values()) for name, one in row.items() if isinstance(one, dict)}


def _field(field: ListField) -> dict[str, object]:
    row: dict[str, object] = {
        "FIELD_ID": field.field_id,
        "SORT": "10",
        "NAME": field.name,
        "IS_REQUIRED": "N",
        "MULTIPLE": "Y" if field.multiple else "N",
        "DEFAULT_VALUE": "",
        "TYPE": field.type,
    }
    if field.field_id.startswith("PROPERTY_"):
        row["ID"] = field.field_id.removeprefix("PROPERTY_")
        row["CODE"] = ""
    if field.choices:
        row["DISPLAY_VALUES_FORM"] = dict(field.choices)
    return row

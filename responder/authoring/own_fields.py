"""Reads what only a portal knows, for `responder fields --portal`: fields it added, templates.

https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-fields.html
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from responder.authoring.list_fields import facts_of_list
from responder.bitrix24 import documents
from responder.bitrix24.client.answers import Command, Failure
from responder.bitrix24.fetch.templates import template_list
from responder.bitrix24.lists.paged import Listing, Row, Send, read_all
from responder.rules.facts import registry
from responder.rules.facts.fields import Field, Type


def can_be_read(kind: str) -> bool:
    """Return whether a portal tells which fields of its own a kind has."""
    return registry.is_of_a_list(kind) or documents.entity_type_id(kind) is not None


async def own_fields(send: Send, kind: str) -> tuple[Field, ...] | Failure:
    """Read a kind's own fields as facts, in the portal's words, or why they cannot be read."""
    if registry.is_of_a_list(kind):
        return await facts_of_list(send, kind)
    type_id = documents.entity_type_id(kind)
    params = {"entityTypeId": type_id, "useOriginalUfNames": "Y"}
    (answer,) = await send([Command("crm.item.fields", params)])
    return answer.failure or tuple(_facts(answer.value))


class Template(NamedTuple):
    """A workflow template: its number, its name, and the type of document that it is for."""

    id: str
    name: str
    document_type: str


async def templates(send: Send) -> tuple[Template, ...] | Failure:
    """Read the templates that a portal lists, by their numbers; those of robots it does not."""
    listing = Listing(template_list("ID", "NAME", "DOCUMENT_TYPE"), id_of=_row_id)
    await read_all(send, [listing])
    return listing.failure or tuple(
        Template(number, str(row.get("NAME") or ""), _last_part(row.get("DOCUMENT_TYPE")))
        for number, row in listing.rows.items()
    )


def _row_id(row: Row) -> str | None:
    value = row.get("ID")
    return str(value) if isinstance(value, str | int) else None


def _last_part(document_type: object) -> str:
    """Return `DEAL` of the triple `crm`, `CCrmDocumentDeal`, `DEAL`."""
    return str(document_type[-1]) if isinstance(document_type, list) and document_type else ""


def _facts(value: object) -> Iterator[Field]:
    described = value.get("fields") if isinstance(value, Mapping) else None
    for name, row in described.items() if isinstance(described, Mapping) else ():
        if str(name).upper().startswith("UF_") and isinstance(row, Mapping):
            yield Field(str(name).lower(), Type.ANY, f"{row.get('title') or name} ({_type(row)}).")


def _type(row: Mapping[str, object]) -> str:
    """Return a field's type, and the values of an enumeration with their numbers."""
    items = row.get("items")
    several = ", several values" if row.get("isMultiple") is True else ""
    choices = [
        f"{item.get('ID')} is {item.get('VALUE')}"
        for item in (items if isinstance(items, list) else [])
        if isinstance(item, Mapping)
    ]
    of_money = "; name the `currency`" if row.get("type") == "money" else ""
    listed = f": {', '.join(choices)}" if choices else ""
    return f"{row.get('type')}{several}{listed}{of_money}"

"""Finds, among a document's fields, those by which people know it: its title, and its amount.

Which fields a kind has: https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-fields.html
"""

from collections.abc import Callable
from typing import NamedTuple

from responder.bitrix24 import documents

LONGEST = 200  # characters of a name that are kept


class Title(NamedTuple):
    """The title of a document, and its amount where its kind has one; None where it is unknown."""

    title: str | None = None
    amount: str | None = None
    currency: str | None = None


def title_fields(kind: str) -> tuple[str, ...]:
    """Return the fields, as rules call them, that name a document of a kind; `()` for `other`."""
    if kind in ("task", "company"):
        return ("title",)
    if kind == "contact":
        return ("name", "last_name")
    if documents.iblock_of(kind) is not None:
        return ("name",)
    if documents.entity_type_id(kind) is not None:
        return ("title", "opportunity", "currency_id")
    return ()


def title_in(kind: str, value: Callable[[str], object]) -> Title | None:
    """Return the title that a document's fields give; None where they give none.

    `value` returns a field's value by its name in rules, or something that is no text.
    """
    names = title_fields(kind)
    words = [plain(value(name)) for name in names if name in ("title", "name", "last_name")]
    title = " ".join(word for word in words if word) or None
    if "opportunity" not in names:
        return None if title is None else Title(title)
    found = Title(title, plain(value("opportunity")), plain(value("currency_id")))
    return found if any(found) else None


def plain(value: object) -> str | None:
    """Return a name that a portal sent as one short line; None for an empty one, or no text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    line = " ".join(str(value)[: 4 * LONGEST].split())
    return line[:LONGEST] or None

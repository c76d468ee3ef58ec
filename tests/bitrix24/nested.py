"""Reads an event's document the long way, from nested data, to hold the short way against it."""

from collections.abc import Mapping

from responder.bitrix24 import documents
from responder.model import Document


def document_of_event(name: str, data: Mapping[str, object]) -> Document | None:
    """Return the document that an event speaks of, from its nested `data`."""

    def value_at(path: documents.Path) -> str | None:
        value: object = data
        for part in path[1:]:
            value = value.get(part) if isinstance(value, Mapping) else None
        return value if isinstance(value, str) else None

    return documents.document_at(name.upper(), value_at)

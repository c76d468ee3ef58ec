"""Parses the name of a document: `deal:759`, as it is printed everywhere, or as a portal writes it.

Bitrix24 itself writes `DEAL_759`, and JSON of the decision log has the portal's own triple.
"""

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from responder.model import Document


def document_of(named: str) -> "Document":
    """Return the document that is meant; raise ValueError for a text that names none."""
    for document in _meant(named.strip()):
        if document is not None:
            return document
    raise ValueError(f"{named!r} names no document; write it as deal:759 or DEAL_759")


def _meant(named: str) -> "Iterator[Document | None]":
    from responder.bitrix24 import documents

    if named.startswith("["):
        yield _of_triple(named)
    yield documents.parse_ref(named if "|" in named else named.lower())
    match = re.fullmatch(r"(?:DYNAMIC_([0-9]+)|[A-Z_]+)_([0-9]+)", named.upper())
    if match is not None:
        for kind in (f"item_{match[1]}", *documents.KINDS):
            found = documents.of_item(kind, match[2])
            yield found if found is not None and found.id == named.upper() else None


def _of_triple(named: str) -> "Document | None":
    from responder.bitrix24 import documents

    try:
        parts = json.loads(named)
    except (ValueError, RecursionError):
        return None
    if isinstance(parts, list) and len(parts) == 3 and all(isinstance(p, str) for p in parts):
        return documents.from_triple(*parts)
    return None


class DocumentName(click.ParamType["Document"]):
    """The type of options that name a document."""

    name = "document"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> "Document":
        """Return the document, or end the program with how one is written."""
        from responder.model import Document

        if isinstance(value, Document):
            return value
        try:
            return document_of(str(value))
        except ValueError as error:
            option = "" if param is None else f"{param.opts[0]}: "
            raise click.UsageError(f"{option}{error}", ctx) from None


DOCUMENT = DocumentName()

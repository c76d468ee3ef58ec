"""Finds the document that a person means, in whichever way it is written.

We write `deal:759`, and `deal 759` in sentences; Bitrix24 writes `DEAL_759`, and the portal's own
triple stands in the JSON of the decision log.
"""

import json
import re
from collections.abc import Iterator

from responder.bitrix24 import documents
from responder.model import Document

# how sentences call what has a number and no name of its own
_IN_WORDS = (("item of smart process ", "item_"), ("element of list ", "list_"))


def document_named(text: str) -> Document | None:
    """Return the document that is meant, or None for a text that names none."""
    return next((found for found in _meant(text.strip()) if found is not None), None)


def _meant(text: str) -> Iterator[Document | None]:
    if text.startswith("["):
        yield _of_triple(text)
    if "|" in text:
        yield documents.parse_ref(text)
    yield _of_portal_id(text.upper())
    words = " ".join(text.lower().split())
    for phrase, prefix in _IN_WORDS:
        words = words.replace(phrase, prefix)
    yield documents.parse_ref(re.sub(r"[ _:#]+(?=[0-9]+$)", ":", words))


def _of_portal_id(text: str) -> Document | None:
    """Return the document whose id in the portal this is: `DEAL_759`, `DYNAMIC_147_5`."""
    match = re.fullmatch(r"(?:DYNAMIC_([0-9]+)|[A-Z_]+)_([0-9]+)", text)
    if match is None:
        return None
    kinds = (f"item_{match[1]}", *documents.KINDS)
    there = (documents.of_item(kind, match[2]) for kind in kinds)
    return next((one for one in there if one is not None and one.id == text), None)


def _of_triple(text: str) -> Document | None:
    try:
        parts = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(parts, list) and len(parts) == 3 and all(isinstance(p, str) for p in parts):
        return documents.from_triple(*parts)
    return None

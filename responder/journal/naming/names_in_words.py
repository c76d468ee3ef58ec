"""Says what a decision is about by the names that people know, as far as they were recorded."""

import json
import re
from decimal import Decimal

from responder.bitrix24.documents import from_triple, parse_ref
from responder.model import Document, Names
from responder.rules.english.kind_names import kind_in_words

_AMOUNT = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,6})?")


def about(names: Names | None, document: object) -> str:
    """Return the subject of a decision: `Discount approval on deal 759 «Acme, 52,000 RUB»`.

    The document is given by reference or triple; without the template's name, it stands alone.
    """
    titled = document_in_words(document)
    if names is not None and (title := title_of(names)):
        titled = f"{titled} «{title}»"
    return f"{names.template} on {titled}" if names is not None and names.template else titled


def people(names: Names | None) -> str:
    """Return who is concerned: `started by Anna P., waiting for Boris K.`; empty where unknown."""
    if names is None:
        return ""
    parts = [f"started by {names.starter}"] if names.starter else []
    if names.waiting_for:
        shown, more = names.waiting_for[:3], len(names.waiting_for) - 3
        others = f" and {more} more" if more > 0 else ""
        parts.append(f"waiting for {', '.join(shown)}{others}")
    return ", ".join(parts)


def sentence(names: Names | None, document: object) -> str:
    """Return subject and people in one line."""
    return ", ".join(part for part in (about(names, document), people(names)) if part)


def title_of(names: Names) -> str:
    """Return a document's title and amount, `Acme, 52,000 RUB`; empty where both are unknown."""
    amount = _amount_in_words(names.amount, names.currency)
    return ", ".join(part for part in (names.title, amount) if part)


def _amount_in_words(amount: str | None, currency: str | None) -> str | None:
    """Return an amount for people, `52,000 RUB`; None where there is none, or it is nothing."""
    if amount is None or not _AMOUNT.fullmatch(amount):
        return None
    exact = Decimal(amount)
    if not exact:
        return None
    whole = exact == exact.to_integral_value()
    shown = f"{exact:,.0f}" if whole else f"{exact:,.2f}"
    return f"{shown} {currency}" if currency else shown


def document_in_words(document: object) -> str:
    """Return the name of a document, given by reference or triple: `deal 759`."""
    found: Document | None = None
    if isinstance(document, str):
        found = parse_ref(document)
    elif isinstance(document, list | tuple) and len(document) == 3:
        found = from_triple(*(str(part) for part in document))
    if found is None:
        shown = document if isinstance(document, str) else json.dumps(document, ensure_ascii=False)
        return shown if document else "no document"
    if found.kind == "other":
        return f"document {found.id} of {found.module}"
    return f"{kind_in_words(found.kind)} {found.item_id}"

"""Converts between the id of a decision (`main-17-1`) and the key of its row."""

from sqlalchemy import ColumnElement, and_

from responder.store.database.tables import decisions

Place = tuple[str, int, int]


def decision_name(portal: str, seq: int, n: int) -> str:
    """Return the id of a decision: `main-17-1`."""
    return f"{portal}-{seq}-{n}"


def place_of(decision_id: str) -> Place | None:
    """Return portal, seq and n of a decision id, or None where the text is not one."""
    parts = decision_id.rsplit("-", 2)
    if len(parts) != 3 or not all(_is_number(part) for part in parts[1:]):
        return None
    return parts[0], int(parts[1]), int(parts[2])


def is_decision(place: Place) -> ColumnElement[bool]:
    """Return the SQL condition that selects this decision's row."""
    portal, seq, n = place
    return and_(decisions.c.portal == portal, decisions.c.seq == seq, decisions.c.n == n)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9

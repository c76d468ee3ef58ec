"""The names of decisions, and where they stand."""

from sqlalchemy import ColumnElement, and_

from responder.store.database.tables import decisions

Place = tuple[str, int, int]


def decision_name(portal: str, seq: int, n: int) -> str:
    """Name a decision: `main-17-1`."""
    return f"{portal}-{seq}-{n}"


def place_of(decision_id: str) -> Place | None:
    """Read a decision's name; None where it is none."""
    parts = decision_id.rsplit("-", 2)
    if len(parts) != 3 or not all(_is_number(part) for part in parts[1:]):
        return None
    return parts[0], int(parts[1]), int(parts[2])


def is_decision(place: Place) -> ColumnElement[bool]:
    """Say in SQL: this decision."""
    portal, seq, n = place
    return and_(decisions.c.portal == portal, decisions.c.seq == seq, decisions.c.n == n)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9

"""The names of decisions, and where they stand."""

import json
from collections.abc import Iterable

from sqlalchemy import BigInteger, ColumnElement, Connection, and_, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from responder.store.tables import decisions

Place = tuple[str, int, int]

_MOST = 10_000_000  # decisions in one evaluation, and more


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


def not_among(dialect: str, name: str) -> ColumnElement[bool]:
    """Say in SQL: none of the decisions in the parameter of this name, made by `numbered`.

    However many they are, they are one parameter: of a list of thousands PostgreSQL's planner alone
    would take seconds.
    """
    number = decisions.c.seq * _MOST + decisions.c.n
    if dialect == "postgresql":
        given = func.unnest(bindparam(name, type_=ARRAY(BigInteger))).column_valued("number")
        return number.not_in(select(given))
    told = func.json_each(bindparam(name)).table_valued("value")
    return number.not_in(select(told.c.value))


def numbered(conn: Connection, names: Iterable[str]) -> object:
    """Return the parameter that `not_among` takes; what is no decision's name is left out."""
    places = [place for name in names if (place := place_of(name)) is not None]
    numbers = [seq * _MOST + n for _, seq, n in places]
    return numbers if conn.dialect.name == "postgresql" else json.dumps(numbers)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9

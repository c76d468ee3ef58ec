"""Tells what is damaged in a database from a database that is away."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DatabaseError as SQLDatabaseError

from responder.store.database.engines import StoreUnavailable

T = TypeVar("T")

NOT_AS_WRITTEN = (TypeError, ValueError, LookupError, AttributeError, OverflowError)


class Damaged(Exception):  # noqa: N818 -- it says a state, not a mistake
    """Something in the database is not what can ever have been written there."""


def undamaged(read: Callable[[], T]) -> T:
    """Read; raise Damaged where what is read cannot be as it was written."""
    try:
        return read()
    except NOT_AS_WRITTEN:
        raise Damaged from None
    except StoreUnavailable as error:
        if _is_damage(error.__cause__):
            raise Damaged from None
        raise


def _is_damage(cause: BaseException | None) -> bool:
    """Tell whether a page or a text of a SQLite file is broken."""
    return type(cause) is SQLDatabaseError or "UTF-8" in str(cause)

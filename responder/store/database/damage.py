"""Distinguishes a damaged database from one that cannot be reached."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DatabaseError as SQLDatabaseError

from responder.store.database.engines import StoreUnavailable

T = TypeVar("T")

NOT_AS_WRITTEN = (TypeError, ValueError, LookupError, AttributeError, OverflowError)


class Damaged(Exception):  # noqa: N818 -- it says a state, not a mistake
    """A state: something in the database cannot have been written there by us."""


def undamaged(read: Callable[[], T]) -> T:
    """Return what `read` returns; raise Damaged where what was stored cannot be understood."""
    try:
        return read()
    except NOT_AS_WRITTEN:
        raise Damaged from None
    except StoreUnavailable as error:
        if _is_damage(error.__cause__):
            raise Damaged from None
        raise


def _is_damage(cause: BaseException | None) -> bool:
    """Return whether a page or a text of a SQLite file is broken."""
    return type(cause) is SQLDatabaseError or "UTF-8" in str(cause)

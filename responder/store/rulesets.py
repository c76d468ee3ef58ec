"""Stores the text of every ruleset by which a decision was made."""

from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime

from sqlalchemy import Connection, select

from responder.rules.revision import SHOWN_DIGITS, revision_of, shown
from responder.store.database.database import Database
from responder.store.database.engines import DatabaseError
from responder.store.database.tables import insert, rulesets

_DIGITS = frozenset("0123456789abcdef")


def keep(tx: Connection, revision: str, text: str, at: datetime) -> None:
    """Insert a ruleset's text, unless it is stored already."""
    tx.execute(
        insert(tx, rulesets).values(revision=revision, text=text, at=at).on_conflict_do_nothing()
    )


def text(conn: Connection, revision: str) -> str | None:
    """Return the text of the only ruleset whose revision is this or begins so, else None."""
    found = matching(conn, revision)
    return found[0][1] if len(found) == 1 else None


def newest(conn: Connection, most: int) -> list[tuple[str, datetime]]:
    """Return the newest revisions, each with the time of its first decision."""
    query = select(rulesets.c.revision, rulesets.c.at).order_by(rulesets.c.at.desc())
    return [(row.revision, row.at) for row in conn.execute(query.limit(most))]


def holds(conn: Connection, revision: str) -> bool:
    """Return whether a decision was made by this very text; `revision` is its whole name.

    What an older version kept under the first digits alone is compared by its text.
    """
    named = rulesets.c.revision.in_([revision, shown(revision)])
    texts = conn.execute(select(rulesets.c.text).where(named)).scalars()
    return any(revision_of(text.encode()) == revision for text in texts)


def knower_at(url: str) -> Callable[[str], bool]:
    """Return the function that opens the database at `url` and returns whether it holds a revision.

    Where there is none, or none that can be read, it holds nothing.
    """

    def is_known(revision: str) -> bool:
        try:
            database = Database(url)
            if database.path is not None and not database.path.exists():
                return False
            with closing(database):
                database.open()
                return database.read(lambda conn: holds(conn, revision))
        except DatabaseError:
            return False

    return is_known


def matching(conn: Connection, revision: str) -> Sequence[tuple[str, str]]:
    """Return (revision, text) of every ruleset whose revision is this, or begins so.

    A full match comes alone. There may be several others, where somebody has made files whose
    revisions begin alike. The log of an older version names rulesets by their first digits.
    """
    if len(revision) < SHOWN_DIGITS or not _DIGITS.issuperset(revision):
        return []
    begins = rulesets.c.revision.startswith(revision)
    rows = conn.execute(select(rulesets.c.revision, rulesets.c.text).where(begins)).all()
    found = [(row.revision, row.text) for row in rows]
    return [one for one in found if one[0] == revision] or found

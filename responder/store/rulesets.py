"""The text of every ruleset that a decision was made by."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from responder.rules.revision import SHOWN_DIGITS
from responder.store.database.tables import insert, rulesets

_DIGITS = frozenset("0123456789abcdef")


def keep(tx: Connection, revision: str, text: str, at: datetime) -> None:
    """Keep a ruleset's text, unless it is kept already."""
    tx.execute(
        insert(tx, rulesets).values(revision=revision, text=text, at=at).on_conflict_do_nothing()
    )


def text(conn: Connection, revision: str) -> str | None:
    """Return the text of a ruleset that the log names, by an older version's short name too."""
    found = kept(conn, revision)
    return found[0][1] if len(found) == 1 else None


def kept(conn: Connection, revision: str) -> Sequence[tuple[str, str]]:
    """Return the revisions, with their texts, that this may name: by all or its first digits.

    There may be several, where somebody has made files whose revisions begin alike. A text that
    was kept by an older version has a short name; it is the one that is meant by just that.
    """
    if len(revision) < SHOWN_DIGITS or not _DIGITS.issuperset(revision):
        return []
    begins = rulesets.c.revision.startswith(revision)
    rows = conn.execute(select(rulesets.c.revision, rulesets.c.text).where(begins)).all()
    found = [(row.revision, row.text) for row in rows]
    return [one for one in found if one[0] == revision] or found

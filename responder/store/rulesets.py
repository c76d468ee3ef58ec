"""The text of every ruleset that a decision was made by."""

from datetime import datetime

from sqlalchemy import Connection, select

from responder.store.tables import insert, rulesets


def keep(tx: Connection, revision: str, text: str, at: datetime) -> None:
    """Keep a ruleset's text, unless it is kept already."""
    tx.execute(
        insert(tx, rulesets).values(revision=revision, text=text, at=at).on_conflict_do_nothing()
    )


def text(conn: Connection, revision: str) -> str | None:
    """Return a ruleset's text."""
    found: str | None = conn.execute(
        select(rulesets.c.text).where(rulesets.c.revision == revision)
    ).scalar()
    return found

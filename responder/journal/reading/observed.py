"""Reads how long observing rules were observed, and how often one would have gone over a limit.

Both are bounded, whatever the length of the log: a rule's age is looked for in the newest
revisions of the rules file, some millions of characters at most, and its limits in its newest
decisions.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, tuple_

from responder.model import WOULD_OUTCOMES
from responder.store.database.columns import EPOCH, LAST
from responder.store.database.tables import decisions, rulesets

WINDOW = 300  # decisions of a rule
_REVISIONS = 30
_CHARACTERS = 4_000_000
_FORESEEN = "enforced, the "  # how the limiter begins what would have held a set


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """How many of a rule's newest would-kills its limits would have held, and the last reason.

    `looked_at` is how many decisions of the rule were looked at, `WINDOW` at most.
    """

    held: int
    looked_at: int
    newest: str | None


def unchanged_since(conn: Connection, texts: Mapping[str, str]) -> dict[str, datetime]:
    """Return, by rule, since when decisions are made by its present text, word for word.

    A rule that has no decision by its present text is left out.
    """
    since: dict[str, datetime] = {}
    left = dict(texts)
    for at, text in _newest_revisions(conn):
        left = {rule: own for rule, own in left.items() if own in text}
        since |= dict.fromkeys(left, at)
        if not left:
            break
    return since


def _newest_revisions(conn: Connection) -> Iterator[tuple[datetime, str]]:
    """Yield the newest revisions of the rules with their texts, until it becomes too much."""
    query = select(rulesets.c.revision, rulesets.c.at).order_by(rulesets.c.at.desc())
    characters = 0
    for revision, at in conn.execute(query.limit(_REVISIONS)).all():
        text = conn.execute(
            select(rulesets.c.text).where(rulesets.c.revision == revision)
        ).scalar_one()
        characters += len(text)
        if characters > _CHARACTERS:
            return
        yield at, text


def foreseen(
    conn: Connection, rule: str, portals: Collection[str], since: datetime | None = None
) -> Foreseen:
    """Return what would have held a rule's newest would-kills, had the rule been enforced."""
    place = tuple_(decisions.c.rule, decisions.c.at)
    # between two ends of one index, in its order: see `search`
    newest = (
        select(decisions.c.portal, decisions.c.outcome, decisions.c.detail)
        .where(place >= (rule, since or EPOCH), place <= (rule, LAST))
        .order_by(decisions.c.rule.desc(), decisions.c.at.desc())
        .limit(WINDOW)
    )
    found = conn.execute(newest).all()
    held = [
        row.detail.removeprefix("enforced, ")
        for row in found
        if row.portal in portals
        and row.outcome in WOULD_OUTCOMES
        and (row.detail or "").startswith(_FORESEEN)
    ]
    return Foreseen(held=len(held), looked_at=len(found), newest=held[0] if held else None)

"""Finds the decisions whose names have some words, by the index of those words.

Each word may be the beginning of one. What begins with it is at most `SPELLINGS` words, and of each
the newest `MOST` evaluations are looked at: so a search costs some thousand short rows, however
long the log is, and however many decisions a word is in.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, Select, func, or_, select, tuple_

from responder.store.database.tables import decisions, name_words

MOST = 500
SPELLINGS = 10
_HIGHEST = "\U0010ffff"
_Evaluation = tuple[str, int]  # portal and number


class NamedPlace(NamedTuple):
    """An evaluation, or one decision of it (`n` is not 0), whose names have a word."""

    at: datetime
    portal: str
    seq: int
    n: int


class Matches(NamedTuple):
    """Where names have all words: (portal, seq, n), with n 0 for all decisions of an evaluation.

    `edge` is the last place that was looked at, if there are more.
    """

    decisions: frozenset[tuple[str, int, int]]
    edge: NamedPlace | None

    def has(self, portal: str, seq: int, n: int) -> bool:
        """Return whether a decision is among them."""
        return (portal, seq, 0) in self.decisions or (portal, seq, n) in self.decisions


def spellings(conn: Connection, beginning: str) -> tuple[str, ...]:
    """Return the recorded words that begin so, the first of them; each costs one index search."""
    found: list[str] = []
    column = name_words.c.word
    query = select(func.min(column)).where(column >= beginning, column < beginning + _HIGHEST)
    while len(found) < SPELLINGS and (word := conn.execute(query).scalar()) is not None:
        found.append(word)
        query = select(func.min(column)).where(column > word, column < beginning + _HIGHEST)
    return tuple(found)


def matching(
    conn: Connection, spelt: Sequence[Sequence[str]], since: datetime, until: datetime
) -> Matches:
    """Return where all words are, each in one of its spellings, between two instants."""
    first, *others = sorted(spelt, key=lambda words: len(words[0]), reverse=True)
    some = _places(conn, first, since, until)
    edge = some[-1] if len(some) == MOST else None
    if others:
        words = _words_at(conn, some)
        some = [one for place in some for one in _having(place, words, others)]
    return Matches(frozenset(place[1:] for place in some), edge)


def all_of(matches: Matches) -> Select[tuple[object, ...]]:
    """Return the query for all decisions of these evaluations, some of which match."""
    query = select(decisions).where(
        or_(
            *(
                (decisions.c.portal == portal) & decisions.c.seq.in_(numbers)
                for portal, numbers in _by_portal((p, seq) for p, seq, _ in matches.decisions)
            )
        )
    )
    return query.offset(0)  # keeps the databases from searching by other conditions first


def _places(
    conn: Connection, words: Sequence[str], since: datetime, until: datetime
) -> list[NamedPlace]:
    """Return where some of these words are, the newest first."""
    found: set[NamedPlace] = set()
    for word in words:
        place = tuple_(name_words.c.word, name_words.c.at)
        query = (
            select(name_words.c.at, name_words.c.portal, name_words.c.seq, name_words.c.n)
            .where(place >= (word, since), place <= (word, until))
            .order_by(*(name_words.c[c].desc() for c in ("word", "at", "portal", "seq", "n")))
            .limit(MOST)
        )
        found |= {NamedPlace(*row) for row in conn.execute(query)}
    return sorted(found, reverse=True)[:MOST]


def _words_at(
    conn: Connection, places: Sequence[NamedPlace]
) -> Mapping[_Evaluation, Mapping[int, set[str]]]:
    """Return all words of these evaluations' names, by evaluation and decision."""
    found: dict[_Evaluation, dict[int, set[str]]] = {}
    for portal, numbers in _by_portal((place.portal, place.seq) for place in places):
        rows = conn.execute(
            select(name_words.c.seq, name_words.c.n, name_words.c.word).where(
                name_words.c.portal == portal, name_words.c.seq.in_(numbers)
            )
        )
        for seq, n, word in rows:
            found.setdefault((portal, seq), {}).setdefault(n, set()).add(word)
    return found


def _having(
    place: NamedPlace,
    words: Mapping[_Evaluation, Mapping[int, set[str]]],
    others: Sequence[Sequence[str]],
) -> Iterator[NamedPlace]:
    """Yield what of a place has the other words too: all of it, or some of its decisions."""
    by_decision = words.get((place.portal, place.seq), {})
    shared = by_decision.get(0, set())
    for n in {0, *by_decision} if place.n == 0 else [place.n]:
        have = shared | by_decision.get(n, set())
        if not any(have.isdisjoint(spelt) for spelt in others):
            yield place._replace(n=n)


def _by_portal(some: Iterable[_Evaluation]) -> Iterator[tuple[str, list[int]]]:
    found: dict[str, set[int]] = {}
    for portal, seq in some:
        found.setdefault(portal, set()).add(seq)
    yield from ((portal, sorted(numbers)) for portal, numbers in sorted(found.items()))

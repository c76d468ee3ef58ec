"""Writes the names of what is condemned, for people who read the log, and an index of their words.

Names stand with the facts of the evaluation (`evidence`), which the chain covers and which can be
erased. The column `names` and the table `name_words` repeat them, so that lists and searches need
not read the evidence; whoever erases the facts erases them too (`upkeep.erase`).

A word stands once for an evaluation (`n` 0) if all of its named decisions have it, else for each
decision: the workflows of a busy document share its title.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select, update

from responder.model import Names
from responder.store.canonical_json import canonical
from responder.store.database.columns import clean
from responder.store.database.many_rows import RowInsert
from responder.store.database.tables import decisions, name_words

LONGEST_WORD = 40
MOST_WORDS = 40  # of one decision

_WORD = re.compile(r"[^\W_]+")
_INSERT = RowInsert(name_words)


def to_json(names: Names | None) -> dict[str, object] | None:
    """Return names as the evidence holds them: those that are known."""
    if names is None:
        return None
    return {name: value for name, value in asdict(names).items() if value not in (None, ())}


def to_text(names: Names | None) -> str | None:
    """Return the column's text for names."""
    return None if names is None else canonical(to_json(names))


def from_json(given: Mapping[str, Any] | None) -> Names | None:
    """Return the names that the evidence holds, or None."""
    if given is None:
        return None
    known = {name: value for name, value in given.items() if name in Names.__dataclass_fields__}
    return Names(**known | {"waiting_for": tuple(given.get("waiting_for", ()))})


def from_text(text: str | None) -> Names | None:
    """Parse what `to_text` wrote."""
    return None if text is None else from_json(json.loads(text))


def of_evaluations(conn: Connection, evaluations: Iterable[str]) -> dict[str, Names]:
    """Return the names of each of these evaluations that has some, those of its first decision."""
    wanted: dict[str, set[int]] = {}
    for evaluation in evaluations:
        portal, _, seq = evaluation.rpartition("-")
        wanted.setdefault(portal, set()).add(int(seq))
    found: dict[str, Names] = {}
    for portal, numbers in wanted.items():
        rows = conn.execute(
            select(decisions.c.seq, decisions.c.names)
            .where(decisions.c.portal == portal, decisions.c.seq.in_(sorted(numbers)))
            .order_by(decisions.c.seq, decisions.c.n)
        )
        for seq, text in rows:
            if (named := from_text(text)) is not None:
                found.setdefault(f"{portal}-{seq}", named)
    return found


def words_in(text: str) -> list[str]:
    """Return the words of a text as they are searched for: without case and accents' spellings."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return [clean(word)[:LONGEST_WORD] for word in _WORD.findall(folded)]


def word_rows(
    portal: str, seq: int, at: datetime, named: Sequence[Names | None]
) -> list[dict[str, object]]:
    """Return the rows for an evaluation's names; `named` has those of each of its decisions."""
    return [
        {"portal": portal, "seq": seq, "n": n, "word": word, "at": at}
        for n, word in words_of_all(named)
    ]


def write_words(tx: Connection, rows: Sequence[dict[str, object]]) -> None:
    """Write the words of names."""
    _INSERT.run(tx, rows)


def erase(tx: Connection, portal: str, seq: int) -> None:
    """Remove the names of an evaluation's decisions, and their words."""
    of_it = (decisions.c.portal == portal, decisions.c.seq == seq)
    tx.execute(update(decisions).where(*of_it).values(names=None))
    tx.execute(delete(name_words).where(name_words.c.portal == portal, name_words.c.seq == seq))


def words_of_all(named: Sequence[Names | None]) -> Iterator[tuple[int, str]]:
    """Yield each word with the number of its decision, 0 for all of them."""
    found = {n: _words_of(one) for n, one in enumerate(named, start=1) if one is not None}
    counts = Counter(word for words in found.values() for word in words)
    shared = {word for word, count in counts.items() if count == len(found)}
    yield from ((0, word) for word in sorted(shared))
    yield from ((n, word) for n, words in found.items() for word in sorted(words - shared))


def _words_of(names: Names) -> set[str]:
    texts = [names.title, names.template, names.starter, *names.waiting_for]
    words = [word for text in texts if text for word in words_in(text)]
    return set(words[:MOST_WORDS])

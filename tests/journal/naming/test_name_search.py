"""Decisions are found by the words of their names, by an index, however old they are."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from responder.journal import record as journal
from responder.journal.naming import name_search
from responder.journal.naming.names import words_in
from responder.journal.reading import search
from responder.journal.reading.search import Found, Key, Wanted
from responder.model import Names, Outcome
from responder.store.database.database import Connection, Database
from tests.support.evaluations import AT, NONE, evaluation, kill

PEOPLE = ("Anna Petrova", "Boris Kim", None)


def _fill(database: Database, count: int = 9) -> None:
    """Record evaluations a minute apart, each condemning two workflows of one document."""
    for number in range(count):
        of_both = Names(title=f"Сделка «Ромашка» {number}", template="Discount approval")
        made = replace(
            evaluation(
                replace(kill(f"a{number}", Outcome.WOULD_KILL), names=of_both),
                replace(
                    kill(f"b{number}", Outcome.WOULD_KILL),
                    names=replace(of_both, starter=PEOPLE[number % 3]),
                ),
                NONE,
            ),
            at=AT + timedelta(minutes=number),
        )
        database.write(partial(journal.record, evaluation=made))


def _find(
    database: Database, text: str, before: Key | None = None, *, most: int = 50, rule: str = ""
) -> Found:
    def read(conn: Connection) -> Found:
        spelt = tuple(name_search.spellings(conn, word) for word in words_in(text))
        assert all(spelt), "none of the names has a word that begins so"
        wanted = Wanted(names=spelt, rule=rule or None)
        return search.find(conn, wanted, before, most)

    return database.read(read)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ромашка 4", ["b4", "a4"]),
        ("РОМАШ 4", ["b4", "a4"]),
        ("petrova", ["b6", "b3", "b0"]),
        ("anna ромашка 3", ["b3"]),
        ("disc kim", ["b7", "b4", "b1"]),
        ("kim 3", []),
    ],
)
def test_words_that_begin_words_of_names_find_the_decisions(
    database: Database, text: str, found: list[str]
) -> None:
    _fill(database)
    page = _find(database, text)
    assert [line.workflow_id for line in page.lines] == found
    assert (page.older, page.searched_to) == (None, None)


def test_pages_of_a_word_that_all_have_follow_each_other(database: Database) -> None:
    _fill(database)
    seen: list[str] = []
    before: Key | None = None
    while True:
        page = _find(database, "approval", before, most=4)
        seen += [line.id for line in page.lines]
        before = page.older
        if before is None:
            break
    assert len(seen) == len(set(seen)) == 18
    assert seen == sorted(seen, key=lambda name: [*map(int, name.split("-")[1:])], reverse=True)


def test_other_conditions_choose_among_what_was_found(database: Database) -> None:
    _fill(database)
    assert _find(database, "approval", rule="another").lines == ()


def test_a_line_has_the_names(database: Database) -> None:
    _fill(database, 1)
    (line,) = _find(database, "anna approval").lines
    assert line.names == Names(
        title="Сделка «Ромашка» 0", template="Discount approval", starter="Anna Petrova"
    )


def test_words_are_compared_without_case_and_signs() -> None:
    assert words_in("«Ромашка-2», \uff21CME & Söhne_x") == [
        "ромашка",
        "2",
        "acme",
        "söhne",
        "x",
    ]

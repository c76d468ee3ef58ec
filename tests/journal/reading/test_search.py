"""Decisions are found a page at a time, in the order of time, on both databases."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from responder.journal import record as journal
from responder.journal.reading import quiet, search
from responder.journal.reading.search import Found, Key, Wanted, find, key_of
from responder.journal.upkeep import erase
from responder.model import Action, Document, Names, Outcome
from responder.store.database.database import Connection, Database
from tests.support.evaluations import AT, NONE, evaluation, kill, record

DEAL_1 = Document(kind="deal", item_id="1", module="crm", entity="CCrmDocumentDeal", id="DEAL_1")


def _fill(database: Database, count: int = 12) -> list[str]:
    """Record evaluations a minute apart, each with a decision and a `none`; the newest last."""
    names: list[str] = []
    for number in range(count):
        decision = kill(f"65e5a449{number:06x}.00000001", Outcome.WOULD_KILL, f"rule-{number % 3}")
        made = replace(
            evaluation(decision, NONE, portal="other" if number % 4 == 0 else "main"),
            at=AT + timedelta(minutes=number),
            document=DEAL_1 if number % 2 else evaluation().document,
            facts={"deal.title": f"Сделка {number} 100%"},
        )
        names += database.write(partial(journal.record, evaluation=made)).decisions
    return names


def _find(database: Database, wanted: Wanted, before: Key | None = None, most: int = 50) -> Found:
    return database.read(lambda conn: find(conn, wanted, before, most))


def _ids(found: Found) -> list[str]:
    return [line.id for line in found.lines]


def test_pages_follow_each_other_without_a_gap(database: Database) -> None:
    names = _fill(database)
    for wanted, expected in (
        (Wanted(quiet=True), sorted(names)),
        (Wanted(), [name for name in names if name.endswith("-1")]),
    ):
        seen: list[str] = []
        before = None
        while True:
            page = _find(database, wanted, before, most=5)
            seen += _ids(page)
            before = page.older
            if before is None:
                break
            assert key_of(str(before)) == before
        assert sorted(seen) == sorted(expected)
        assert len(set(seen)) == len(seen)


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (Wanted(rule="rule-1"), [10, 7, 4, 1]),
        (Wanted(outcome="would_kill", portal="other"), [8, 4, 0]),
        (Wanted(outcome="killed"), []),
        (Wanted(outcome="open"), []),
        (Wanted(documents=("deal:1",)), [11, 9, 7, 5, 3, 1]),
        (Wanted(documents=("deal:1", "deal:2"), rule="rule-2"), [11, 5]),
        (Wanted(workflows=("65e5a449000003.00000001",)), [3]),
        (Wanted(action=Action.KILL, portal="other"), [8, 4, 0]),
        (Wanted(action=Action.LEAVE), []),
        (Wanted(since=AT + timedelta(minutes=10)), [11, 10]),
        (Wanted(until=AT + timedelta(minutes=2)), [1, 0]),
        (Wanted(words="Сделка 11 1"), [11]),
        (Wanted(words="СДЕЛКА 11"), [11]),
        (Wanted(words="сДеЛкА 11 2"), []),
        (Wanted(words="сделка 3 "), [3]),
        (Wanted(words="100%"), list(range(11, -1, -1))),
        (Wanted(words="1_0%"), []),
        (Wanted(words="000005.0"), [5]),
    ],
)
def test_what_is_wanted_is_found(database: Database, wanted: Wanted, numbers: list[int]) -> None:
    names = _fill(database)
    acts = [name for name in names if name.endswith("-1")]
    assert _ids(_find(database, wanted)) == [acts[number] for number in numbers]


def test_what_condemned_nothing_is_found_with_its_reason(database: Database) -> None:
    names = _fill(database, 3)
    page = _find(database, Wanted(action=Action.NONE))
    assert _ids(page) == [name for name in reversed(names) if name.endswith("-2")]
    assert {line.reason for line in page.lines} == {"no_match"}
    document = _find(database, Wanted(documents=("deal:1",), quiet=True))
    assert len(document.lines) == 2
    both = _find(database, Wanted(evaluation=("main", 1), quiet=True))
    assert len(both.lines) == 2


def test_a_search_that_finds_nothing_says_how_far_it_went(
    database: Database,
) -> None:
    _fill(database)
    wanted = Wanted(portal="nowhere")
    before: Key | None = None
    pages = 0
    while True:
        page = database.read(partial(find, wanted=wanted, before=before, longest=4))
        pages += 1
        if page.older is None:
            break
        assert page.searched_to == page.older.at
        before = page.older
    assert pages == 4
    assert page.searched_to is None


def test_what_was_only_left_or_looked_at_is_found_when_asked_for(database: Database) -> None:
    _fill(database, 2)
    left = replace(kill("l", Outcome.LEFT), action=Action.LEAVE, mode=None)
    spared = record(database, left).decisions[0]
    assert spared not in _ids(_find(database, Wanted()))
    for wanted in (Wanted(quiet=True), Wanted(action=Action.LEAVE), Wanted(workflows=("l",))):
        assert spared in _ids(_find(database, wanted))


def test_what_a_list_folds_away_is_counted(database: Database) -> None:
    _fill(database, 4)  # each has a `none` of its own, on two documents

    def count(portal: str | None, since: int, until: int, longest: int = 100) -> quiet.Folded:
        first, last = (AT + timedelta(minutes=at) for at in (since, until))
        return database.read(lambda conn: quiet.folded(conn, portal, first, last, longest))

    assert count(None, 0, 9) == (4, 2, False)
    assert count(None, 1, 2) == (2, 2, False)
    assert count("other", 0, 9) == (1, 1, False)
    assert count(None, 0, 9, longest=3) == (2, 2, True)


def test_erased_facts_are_said_to_be_erased(database: Database) -> None:
    named = replace(kill("w", Outcome.WOULD_KILL), names=Names(title="Acme"))
    name = record(database, named).decisions[0]
    (line,) = _find(database, Wanted()).lines
    assert (line.names, line.erased) == (Names(title="Acme"), False)
    facts = erase.find(database, name)
    database.write(lambda tx: erase.remove(tx, facts, by="me", at=AT))
    (line,) = _find(database, Wanted()).lines
    assert (line.names, line.erased) == (None, True)


def test_names_are_looked_up(database: Database) -> None:
    names = _fill(database, 3)
    record(database, kill("not-hexadecimal"))

    def read(conn: Connection) -> list[object]:
        return [
            search.is_there(conn, names[0]),
            search.is_there(conn, "main-99-1"),
            search.is_there(conn, "what"),
            search.is_rule(conn, "rule-1"),
            search.is_rule(conn, "rule-9"),
            search.is_workflow(conn, "not-hexadecimal"),
            search.is_workflow(conn, "not"),
            search.beginning_with(conn, "65e5a449"),
            search.beginning_with(conn, "65e5a450"),
        ]

    workflows = tuple(f"65e5a44900000{number}.00000001" for number in range(3))
    assert database.read(read) == [True, False, False, True, False, True, False, workflows, ()]


@pytest.mark.parametrize("text", ["", "x", "1-main-1", "1", "-main-1-1", "9" * 18 + "-main-1-1"])
def test_what_is_no_key_is_none(text: str) -> None:
    assert key_of(text) is None

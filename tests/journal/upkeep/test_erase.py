"""Erasing: the facts are gone, and the chain holds."""

import json
import re
import shutil
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from responder.journal import chain_ends
from responder.journal import record as journal
from responder.journal.audit.verify import verify
from responder.journal.chain_ends import BadEntry
from responder.journal.reading import decisions
from responder.journal.upkeep import erase
from responder.model import Names, Outcome
from responder.store.database.database import Database
from responder.store.database.tables import entries
from responder.store.inbox import inbox
from tests.support.evaluations import AT, deliver, evaluation, kill
from tests.support.whole_log import erased, fill, pruned, run


def test_erased_facts_are_gone_and_the_chain_holds(database: Database) -> None:
    fill(database)
    ids = database.write(deliver("deal:759", "deal:760"))
    new = replace(evaluation(kill("d", Outcome.LEFT)), deliveries=(ids[0],), received_at=AT)
    decision = database.write(lambda tx: journal.record(tx, new)).decisions[0]
    assert erased(database, decision) == erase.Erased((11,), 1)
    found = database.read(partial(decisions.one, decision_id=decision))
    assert found is not None
    assert found["facts"] is None
    assert found["workflow"] == {"id": "d", "template_id": 61}
    assert found["erased"] is True
    condition = found["conditions"][0]  # type: ignore[index]
    assert (condition["value"], condition["erased"]) == (None, True)
    other = database.read(partial(decisions.one, decision_id="main-2-1"))
    assert other is not None
    assert "erased" not in other
    assert [(d.document, d.form) for d in inbox.received(database)] == [
        ("deal:759", b""),
        ("deal:760", b"x=1"),
    ]
    checked = verify(database, "main")
    assert (checked.bad, checked.erased) == (None, 1)


def test_erasing_takes_the_evidence_of_the_calls_too_and_says_who_did_it(
    database: Database,
) -> None:
    fill(database)
    assert erased(database, "main-2-1") == erase.Erased((2, 6), 0)
    body = database.read(
        lambda c: c.execute(
            select(entries.c.body).where(entries.c.portal == "main", entries.c.seq == 11)
        ).scalar()
    )
    assert json.loads(str(body)) == {
        "control": "erase",
        "decision": "main-2-1",
        "by": "anna",
        "entries": [2, 6],
    }
    assert verify(database, "main").erased == 2
    assert verify(database, "other").erased == 0


def test_what_was_erased_before_is_not_erased_again(database: Database) -> None:
    fill(database)
    assert erased(database, "main-1-1")
    assert erased(database, "main-1-2") is None
    assert database.read(partial(chain_ends.head_of, portal="main")).seq == 11


@pytest.mark.parametrize("decision", ["main-99-1", "main-1-9", "nobody-1-1", "x", "main-10-1"])
def test_what_is_not_there_or_still_open_cannot_be_erased(
    database: Database, decision: str
) -> None:
    fill(database)
    with pytest.raises(erase.NotErasable):
        erased(database, decision)
    assert verify(database, "main").erased == 0


def test_evidence_that_was_taken_away_without_a_word_is_found(database: Database) -> None:
    fill(database)
    assert erased(database, "main-2-1")
    run(
        database,
        "UPDATE evidence SET salt = '', content = '{\"erased\":11}' "
        "WHERE portal = 'main' AND seq = 3",
    )
    assert verify(database, "main").bad == BadEntry(
        3, "its evidence was removed, and no entry records that it was erased"
    )


def test_erased_text_is_nowhere_in_the_file(tmp_path: Path, migrated_file: Path) -> None:
    path = shutil.copy(migrated_file, tmp_path / "erased.db")
    database = Database(f"sqlite:///{path}")
    database.open()
    for n in range(50):
        facts = {"deal.title": f"Ms Tereza Example {n}", "deal.comments": "long " * 2000}
        new = replace(evaluation(kill(f"w{n}", Outcome.LEFT)), facts=facts)
        database.write(partial(journal.record, evaluation=new))
    assert erased(database, "main-30-1")
    assert erase.scrub(database)
    files = [file.read_bytes() for file in tmp_path.iterdir()]
    assert not any(b"Tereza Example 29" in file for file in files)
    assert any(b"Tereza Example 28" in file for file in files)
    database.close()


def test_names_that_moved_in_the_file_are_nowhere_in_it_once_erased_or_pruned(
    tmp_path: Path, migrated_file: Path
) -> None:
    path = tmp_path / "erased.db"
    shutil.copy(migrated_file, path)
    database = Database(f"sqlite:///{path}")
    database.open()

    def fill(tx: Connection) -> None:
        for n in range(600):  # pages are split, and their rows moved, all the time
            names = Names(title=f"Tereza{n:04d}Example {'word ' * (n % 7)}", starter=f"Boris{n}")
            one = replace(kill(f"w{n}", Outcome.WOULD_KILL), names=names)
            at = AT + timedelta(seconds=n)
            journal.record(tx, replace(evaluation(one), at=at, facts={"deal.title": names.title}))

    database.write(fill)
    assert pruned(database, before=AT + timedelta(seconds=300), at=AT + timedelta(days=2))
    numbers = range(330, 590, 10)  # pages were joined, too
    for n in numbers:
        assert erased(database, f"main-{n + 1}-1")
    assert erase.scrub(database)
    content = path.read_bytes().lower()
    database.close()
    left = {int(n) for n in re.findall(rb"tereza(\d{4})example", content)}
    assert not left & {*range(290), *numbers}
    assert left >= {*range(310, 600)} - {*numbers}


def test_postgresql_is_told_to_let_go(database: Database) -> None:
    fill(database)
    erased(database, "main-1-1")
    assert erase.scrub(database)
    assert verify(database, "main").bad is None

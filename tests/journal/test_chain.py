"""Entries are chained the same, written one by one or gathered until the end of a block."""

import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, select

from responder.journal import chain
from responder.journal.chain import GENESIS, entry_hash, evidence_digest
from responder.store.database.database import Database
from responder.store.database.tables import entries, evidence

AT = datetime(2026, 9, 24, 8, 30, tzinfo=UTC)


def append(tx: Connection, portal: str, number: int, content: object = None) -> int:
    return chain.append(tx, portal, "control", AT, {"number": number}, content)


def numbers(conn: Connection, portal: str) -> list[object]:
    """Return what the entries of a chain hold, having checked that each follows the one before."""
    rows = conn.execute(select(entries).where(entries.c.portal == portal).order_by(entries.c.seq))
    previous, held = GENESIS, []
    for place, row in enumerate(rows, start=1):
        assert row.seq == place
        assert row.hash == entry_hash(previous, portal, row.seq, row.kind, row.at, row.body)
        previous = row.hash
        held.append(json.loads(row.body)["number"])
    assert chain.heads(conn).get(portal, 0) == len(held)
    return held


def test_gathered_entries_follow_those_before_and_are_followed_by_those_after(
    database: Database,
) -> None:
    def write(tx: Connection) -> None:
        append(tx, "main", 1)
        with chain.gathered(tx):
            assert [append(tx, "main", number) for number in (2, 3)] == [2, 3]
            assert append(tx, "other", 1) == 1
        append(tx, "main", 4)

    database.write(write)
    assert database.read(lambda conn: numbers(conn, "main")) == [1, 2, 3, 4]
    assert database.read(lambda conn: numbers(conn, "other")) == [1]


def test_gathered_evidence_has_the_digest_that_its_entry_names(database: Database) -> None:
    def write(tx: Connection) -> None:
        with chain.gathered(tx):
            append(tx, "main", 1, {"deal.title": "first"})
            append(tx, "main", 2)
            append(tx, "main", 3, {"deal.title": "third"})

    database.write(write)
    kept = database.read(lambda conn: conn.execute(select(evidence)).all())
    rows = database.read(lambda conn: conn.execute(select(entries)).all())
    bodies = {row.seq: json.loads(row.body) for row in rows}
    assert sorted(row.seq for row in kept) == [1, 3]
    for row in kept:
        assert bodies[row.seq]["evidence"] == evidence_digest(row.salt, row.content)


def test_nothing_is_written_of_a_block_that_fails(database: Database) -> None:
    def fail(tx: Connection) -> None:
        with chain.gathered(tx):
            append(tx, "main", 2)
            raise ZeroDivisionError

    def write(tx: Connection) -> None:
        append(tx, "main", 1)
        with pytest.raises(ZeroDivisionError):
            fail(tx)
        append(tx, "main", 2)

    database.write(write)
    assert database.read(lambda conn: numbers(conn, "main")) == [1, 2]


def test_a_block_in_which_nothing_is_appended_begins_no_chain(database: Database) -> None:
    def write(tx: Connection) -> None:
        with chain.gathered(tx):
            pass

    database.write(write)
    assert database.read(chain.heads) == {}

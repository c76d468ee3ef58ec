"""The chain: every change within it is found, and where."""

import hashlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, update

from responder.journal import approvals, chain, chain_ends
from responder.journal import record as journal
from responder.journal.audit.checkpoint_marks import Mark
from responder.journal.audit.integrity import damage
from responder.journal.audit.verify import verify
from responder.journal.chain_ends import BadEntry
from responder.journal.upkeep.prune import prune
from responder.model import Mode, Outcome
from responder.store.database.database import Database
from responder.store.database.tables import decisions
from tests.support.evaluations import AT, LATER, MUCH_LATER, kill, record
from tests.support.whole_log import NOW, OLD, fill, rewrite, run


@pytest.fixture
def filled(tmp_path: Path, migrated_file: Path) -> Iterator[Database]:
    path = shutil.copy(migrated_file, tmp_path / "filled.db")
    database = Database(f"sqlite:///{path}")
    database.open()
    fill(database)
    yield database
    database.close()


def test_an_untouched_chain_holds(database: Database) -> None:
    assert verify(database, "main").bad is None
    fill(database)
    assert verify(database, "main").bad is None
    assert verify(database, "other").bad is None
    assert verify(database, "nobody").bad is None


TAMPERING = [
    ("UPDATE entries SET body = replace(body, 'lost-deal', 'lost-dear') WHERE seq = 2", 2),
    ("UPDATE entries SET at = at + 1 WHERE seq = 3", 3),
    ("UPDATE entries SET kind = 'control' WHERE seq = 5", 5),
    ("UPDATE entries SET hash = 'x' WHERE seq = 4", 4),
    ("UPDATE entries SET hash = 'x' WHERE seq = 10", 10),
    ("DELETE FROM entries WHERE seq = 1", 1),
    ("DELETE FROM entries WHERE seq = 6", 6),
    ("DELETE FROM entries WHERE seq = 10", 10),
    ("DELETE FROM entries", 1),
    ("UPDATE entries SET seq = CASE seq WHEN 4 THEN -5 ELSE -4 END WHERE seq IN (4, 5)", 4),
    ("INSERT INTO entries VALUES ('main', 11, 'control', 0, '{}', 'x')", 11),
    ("INSERT INTO entries VALUES ('main', 0, 'control', 0, '{}', 'x')", 0),
    ("UPDATE chains SET hash = 'x'", 10),
    ("UPDATE chains SET seq = 11", 11),
    ("UPDATE chains SET seq = 9", 9),
    ("DELETE FROM chains", 10),
    ("UPDATE evidence SET content = replace(content, 'F', 'P') WHERE seq = 1", 1),
    ("UPDATE evidence SET salt = 'x' WHERE seq = 4", 4),
    ("DELETE FROM evidence WHERE seq = 4", 4),
    ("DELETE FROM evidence", 1),
    ("UPDATE evidence SET salt = '', content = '{\"erased\":9}' WHERE seq = 2", 2),
    ("UPDATE evidence SET salt = '', content = '{\"erased\":99}' WHERE seq = 2", 2),
    ("UPDATE evidence SET salt = '', content = 'null' WHERE seq = 2", 2),
    ("INSERT INTO evidence VALUES ('main', 9, 'x', '{}')", 9),
    ("INSERT INTO evidence VALUES ('main', 19, 'x', '{}')", 19),
    ("UPDATE decisions SET rule = 'x' WHERE seq = 2", 2),
    ("UPDATE decisions SET outcome = 'killed' WHERE seq = 3", 3),
    ("UPDATE decisions SET outcome = 'killed' WHERE seq = 10", 10),
    ("UPDATE decisions SET outcome = 'gave_up' WHERE seq = 1 AND n = 1", 5),
    ("UPDATE decisions SET receipt = true WHERE seq = 2", 7),
    ("UPDATE decisions SET detail = 'x' WHERE seq = 2", 7),
    ("UPDATE decisions SET verified_at = 5 WHERE seq = 1 AND n = 1", 8),
    ("UPDATE decisions SET concluded = 9 WHERE seq = 2", 7),
    ("UPDATE decisions SET concluded = 99, outcome = 'killed' WHERE seq = 10", 10),
    ("UPDATE decisions SET concluded = 5, outcome = 'killed' WHERE seq = 10", 10),
    ("UPDATE decisions SET concluded = 5, outcome = 'killed' WHERE seq = 3", 3),
    ("UPDATE decisions SET verified_at = 5 WHERE seq = 2", 2),
    ("UPDATE decisions SET calls = 0 WHERE seq = 2", 6),
    ("UPDATE decisions SET called_at = 5 WHERE seq = 2", 6),
    ("DELETE FROM decisions WHERE seq = 3", 3),
    ("DELETE FROM decisions WHERE seq = 1 AND n = 2", 1),
]


@pytest.mark.parametrize(("statement", "seq"), TAMPERING, ids=[each[0] for each in TAMPERING])
def test_tampering_is_found_where_it_was_done(filled: Database, statement: str, seq: int) -> None:
    database = filled
    clause = " AND " if "WHERE" in statement else " WHERE "
    only_main = "" if statement.startswith("INSERT") else f"{clause}portal = 'main'"
    database.write(lambda tx: tx.exec_driver_sql(statement + only_main))
    if "CASE" in statement:
        database.write(lambda tx: tx.exec_driver_sql("UPDATE entries SET seq = -seq WHERE seq < 0"))
    bad = verify(database, "main").bad
    assert bad is not None
    assert bad.seq == seq
    assert verify(database, "other").bad is None


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    column=st.sampled_from(["kind", "at", "body", "hash"]),
    seq=st.integers(1, 10),
    change=st.integers(0, 2000),
)
def test_one_changed_character_anywhere_is_found(
    filled: Database, column: str, seq: int, change: int
) -> None:
    class UndoError(Exception):
        pass

    def read(c: Connection) -> str:
        return str(
            c.exec_driver_sql(
                f"SELECT {column} FROM entries WHERE portal = 'main' AND seq = {seq}"  # noqa: S608
            ).scalar_one()
        )

    def put(value: str) -> Callable[[Connection], object]:
        return lambda tx: tx.exec_driver_sql(
            f"UPDATE entries SET {column} = ? WHERE portal = 'main' AND seq = {seq}",  # noqa: S608
            (value,),
        )

    before = filled.read(read)
    at = change % len(before)
    other = "1" if before[at] == "0" else "0"
    filled.write(put(before[:at] + other + before[at + 1 :]))
    bad = verify(filled, "main").bad
    filled.write(put(before))
    assert bad is not None
    assert bad.seq == seq
    assert verify(filled, "main").bad is None


def test_a_verifier_can_be_written_from_the_description_alone(database: Database) -> None:
    fill(database)

    def rows(c: Connection) -> list[tuple[object, ...]]:
        statement = "SELECT seq, kind, at, body, hash FROM entries WHERE portal = 'main' ORDER BY 1"
        return [tuple(row) for row in c.exec_driver_sql(statement)]

    previous = "0" * 64
    for seq, kind, at, body, digest in database.read(rows):
        lines = ["responder-entry-1", previous, "main", seq, kind, at, body]
        previous = hashlib.sha256("\n".join(map(str, lines)).encode("ascii")).hexdigest()
        assert previous == digest


def test_a_long_chain_is_verified_page_by_page(database: Database) -> None:
    def write_many(tx: Connection) -> None:
        for n in range(450):
            journal.control(tx, "main", AT, {"n": n})

    database.write(write_many)
    assert verify(database, "main").bad is None
    database.write(lambda tx: tx.exec_driver_sql("DELETE FROM entries WHERE seq > 200"))
    bad = verify(database, "main").bad
    assert bad is not None
    assert bad.seq == 201


TOLD_BY_THE_EVALUATION = [
    "at", "received_at", "trigger", "event", "event_names", "document", "triple", "workflow_id",
    "template_id", "rule", "action", "ruleset", "shadow", "outcome", "receipt", "detail",
    "concluded_at", "verified_at",
]  # fmt: skip


@pytest.mark.parametrize("column", TOLD_BY_THE_EVALUATION)
def test_an_index_that_says_another_thing_than_the_evaluation_is_found(
    filled: Database, column: str
) -> None:
    value = 5 if column.endswith("_at") or column in ("at", "receipt", "shadow") else "'x'"
    run(filled, f"UPDATE decisions SET {column} = {value} WHERE seq = 3 AND portal = 'main'")  # noqa: S608
    bad = verify(filled, "main").bad
    assert bad is not None
    assert bad.seq == 3


def test_two_entries_that_were_swapped_are_found(filled: Database) -> None:
    both = "portal = 'main' AND seq IN (6, 7)"
    run(
        filled,
        f"UPDATE entries SET seq = seq - 13 WHERE {both}",  # noqa: S608
        "UPDATE entries SET seq = -seq WHERE seq < 0",
    )
    assert verify(filled, "main").bad == BadEntry(
        6, "the entry was changed, or stands in another's place"
    )


def test_an_entry_that_was_inserted_is_found(filled: Database) -> None:
    run(
        filled,
        "UPDATE entries SET seq = -seq - 1 WHERE portal = 'main' AND seq > 5",
        "UPDATE entries SET seq = -seq WHERE seq < 0",
        "INSERT INTO entries SELECT portal, 6, kind, at, body, hash FROM entries "
        "WHERE portal = 'main' AND seq = 5",
        "UPDATE chains SET seq = 11 WHERE portal = 'main'",
    )
    bad = verify(filled, "main").bad
    assert bad is not None
    assert bad.seq == 6


def test_a_tail_that_was_cut_off_is_found_by_a_checkpoint(filled: Database) -> None:
    head = filled.read(partial(chain_ends.head_of, portal="main"))
    for table in ("entries", "evidence", "decisions"):
        run(filled, f"DELETE FROM {table} WHERE portal = 'main' AND seq > 8")  # noqa: S608
    rewrite(filled)
    assert verify(filled, "main").bad is None
    bad = verify(filled, "main", {head.seq: Mark(head.hash)}).bad
    assert bad == BadEntry(9, "the chain was cut off: a checkpoint has entries up to 10")


def test_a_chain_that_was_written_anew_is_found_by_a_checkpoint(filled: Database) -> None:
    head = filled.read(partial(chain_ends.head_of, portal="main"))
    assert verify(filled, "main", {head.seq: Mark(head.hash)}).compared == 1
    run(
        filled,
        'UPDATE entries SET body = replace(body, \'"rule":"lost-deal"\', \'"rule":"x"\')',
        "UPDATE decisions SET rule = 'x' WHERE rule IS NOT NULL",
    )
    rewrite(filled)
    assert verify(filled, "main").bad is None
    bad = verify(filled, "main", {head.seq: Mark(head.hash)}).bad
    assert bad is not None
    assert bad.seq == head.seq
    assert "checkpoint" in bad.why


def test_a_checkpoint_of_a_portal_that_is_gone_is_a_chain_cut_off(filled: Database) -> None:
    bad = verify(filled, "nobody", {3: Mark("0" * 64)}).bad
    assert bad == BadEntry(1, "the chain was cut off: a checkpoint has entries up to 3")


def test_an_entry_that_nobody_of_us_wrote_is_no_traceback(filled: Database) -> None:
    for kind in ("evaluation", "outcome", "intent", "verified", "prune"):
        run(filled, f"UPDATE entries SET kind = '{kind}', body = '[]' WHERE seq = 9")  # noqa: S608
        rewrite(filled)
        bad = verify(filled, "main").bad
        assert bad is not None
        assert bad.seq == 9


@pytest.mark.parametrize(
    ("table", "column", "value", "seq"),
    [
        ("entries", "at", "'x'", 5),
        ("entries", "at", "1 << 62", 5),
        ("entries", "body", "x'ff'", 5),
        ("entries", "body", "CAST(x'ff' AS TEXT)", 5),
        ("entries", "kind", "CAST(x'ff' AS TEXT)", 5),
        ("evidence", "content", "CAST(x'ff' AS TEXT)", 4),
        ("evidence", "salt", "x'ff'", 4),
        ("decisions", "at", "'x'", 3),
        ("decisions", "rule", "CAST(x'ff' AS TEXT)", 3),
        ("decisions", "receipt", "'x'", 3),
    ],
)
def test_values_that_cannot_be_read_are_named(
    filled: Database, table: str, column: str, value: str, seq: int
) -> None:
    run(filled, f"UPDATE {table} SET {column} = {value} WHERE portal = 'main' AND seq = {seq}")  # noqa: S608
    bad = verify(filled, "main").bad
    assert bad is not None
    assert bad.seq == seq
    assert verify(filled, "other").bad is None


def test_one_byte_changed_from_outside_is_named(filled: Database) -> None:
    assert filled.path is not None
    outside = sqlite3.connect(filled.path)
    outside.execute(
        "UPDATE entries SET body = replace(body, 'A lost deal', 'A lost dear') "
        "WHERE portal = 'main' AND seq = 2"
    )
    outside.commit()
    outside.close()
    bad = verify(filled, "main").bad
    assert bad is not None
    assert bad.seq == 2


def test_no_byte_of_the_log_in_the_file_can_be_changed_unseen(
    filled: Database, tmp_path: Path
) -> None:
    assert filled.path is not None
    path = filled.path
    filled.close()
    with sqlite3.connect(path) as outside:
        outside.execute("PRAGMA journal_mode = DELETE")
        outside.execute("VACUUM")  # so that nothing of it stands in freed pages
    outside.close()
    whole = path.read_bytes()
    for word in (b"lost-deal", b"already_gone", b"00000002"):
        for place in _places(whole, word):
            assert _seen(tmp_path / "changed.db", whole, place), (word, place)


def _places(whole: bytes, word: bytes) -> Iterator[int]:
    place = whole.find(word)
    while place >= 0:
        yield place + len(word) // 2
        place = whole.find(word, place + 1)


def _seen(path: Path, whole: bytes, place: int) -> bool:
    """Tell whether a file with one byte changed is found out, by entry or as a file."""
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    database = Database(f"sqlite:///{path}")
    database.open()
    try:
        named = [verify(database, portal).bad for portal in ("main", "other")]
        return any(named) or bool(damage(database))
    finally:
        database.close()


# approvals


def asked_and_called(database: Database, **intent: object) -> int:
    """Write a decision that asks first, its approval as entry 2, and what is given as its intent.

    Return the number of the intent.
    """
    (name,) = record(database, replace(kill(), mode=Mode.APPROVE)).decisions
    kept = intent.pop("kept", {})
    body = {
        "decision": name,
        "workflow_id": kill().workflow.id,  # type: ignore[union-attr]
        "rule": "lost-deal",
        "action": "kill",
        "call": 1,
    }

    def write(tx: Connection) -> int:
        approvals.add(tx, name)
        approvals.ask(tx, name, MUCH_LATER, AT)
        approvals.approve(tx, "main", [name], "anna", AT)
        seq = chain.append(tx, "main", "intent", LATER, body | intent, kept)
        called = {"calls": 1, "called_at": LATER, "changed": seq, "outcome": "in_doubt"}
        tx.execute(update(decisions).values(called))
        return seq

    return database.write(write)


def test_a_call_that_somebody_approved_holds(database: Database) -> None:
    asked_and_called(database, approval=2)
    assert verify(database, "main").bad is None


@pytest.mark.parametrize("entry", [None, 1, 3, 99])
def test_a_call_that_nobody_approved_is_named(database: Database, entry: int | None) -> None:
    seq = asked_and_called(database, approval=entry)
    assert verify(database, "main").bad == BadEntry(
        seq, "no entry records an approval of this call"
    )


@pytest.mark.parametrize(
    ("kept", "holds"),
    [({}, True), ({"approved": {"entry": 2}}, True), ({"approved": {"entry": 1}}, False)],
)
def test_a_call_of_an_older_version_names_its_approval_in_its_evidence(
    database: Database, kept: dict[str, object], *, holds: bool
) -> None:
    asked_and_called(database, kept=kept)
    assert (verify(database, "main").bad is None) == holds


def test_an_approval_of_what_was_pruned_needs_no_entry(database: Database) -> None:
    seq = asked_and_called(database, approval=2)

    def write(tx: Connection) -> None:
        journal.conclude(tx, "main-1-1", Outcome.KILLED, at=LATER, receipt=True)
        assert prune(tx, "main", OLD, NOW, most=2) is not None

    database.write(write)
    assert database.read(lambda c: chain_ends.outside(c, "main", 2, seq + 2)) is None
    assert verify(database, "main").bad is None

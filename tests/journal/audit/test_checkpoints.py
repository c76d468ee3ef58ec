"""Checkpoints, export, erasing and pruning; the chain holds through all of it."""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from responder.journal import chain_ends
from responder.journal.audit import checkpoints
from responder.journal.audit.checkpoint_marks import Mark
from responder.journal.audit.verify import verify
from responder.journal.chain_ends import BadEntry
from responder.store.database.database import Database
from tests.support.evaluations import AT, LATER, NONE, record
from tests.support.whole_log import ENTRIES, erased, fill, pruned, rewrite, run, settle


def exported(database: Database, portal: str = "main") -> list[str]:
    return [json.dumps(entry) for entry in checkpoints.export(database, portal)]


# From here to the next comment: written from `docs/audit.md` alone, as a stranger would.


def sha256(*lines: object) -> str:
    return hashlib.sha256("\n".join(map(str, lines)).encode()).hexdigest()


def strangers_verifier(lines: Iterable[str]) -> str:
    """Verify one portal's export; return the hash of its head. Raise AssertionError."""
    previous, first, seq, taken_away = "", 0, 0, {}
    for line in lines:
        entry = json.loads(line)
        body = json.loads(entry["body"])
        if not previous:
            first, seq = entry["seq"], entry["seq"] - 1
            previous = "0" * 64 if first == 1 else pruned_hash(lines, entry)
        assert entry["seq"] == seq + 1
        seq = entry["seq"]
        named = [entry[name] for name in ("portal", "seq", "kind", "at", "body")]
        previous = sha256("responder-entry-1", previous, *named)
        assert previous == entry["hash"]
        proof = entry["evidence"]
        assert (proof is None) == ("evidence" not in body)
        if proof and proof["salt"]:
            assert body["evidence"] == sha256(proof["salt"], proof["content"])
        elif proof:
            taken_away[seq] = json.loads(proof["content"])["erased"]
        if body.get("control") == "erase":
            for number in body["entries"]:
                assert number < first or taken_away.pop(number) == seq
    assert not taken_away
    return previous


def pruned_hash(lines: Iterable[str], first: dict[str, Any]) -> str:
    markers = [entry for entry in map(json.loads, lines) if entry["kind"] == "prune"]
    assert markers
    body = json.loads(markers[-1]["body"])
    assert body["through"] == first["seq"] - 1
    before = datetime.fromisoformat(body["before"]).timestamp() * 1000
    assert body["days"] >= 1
    assert before <= markers[-1]["at"] / 1000 - body["days"] * 24 * 60 * 60 * 1000
    assert first["at"] // 1000 <= before
    return str(body["hash"])


# Here the stranger's work ends.


def test_a_stranger_verifies_the_export(database: Database) -> None:
    fill(database)
    head = database.read(partial(chain_ends.head_of, portal="main"))
    assert strangers_verifier(exported(database)) == head.hash


def test_a_stranger_verifies_what_was_erased_and_pruned(database: Database) -> None:
    fill(database)
    assert erased(database, "main-2-1")
    assert erased(database, "main-1-2")
    assert strangers_verifier(exported(database))
    settle(database)
    assert pruned(database, most=3)
    assert strangers_verifier(exported(database))


def test_a_stranger_sees_a_change(database: Database) -> None:
    fill(database)
    lines = exported(database)
    for place in range(len(lines)):
        with pytest.raises(AssertionError):
            strangers_verifier(
                [*lines[:place], lines[place].replace("1", "2", 1), *lines[place + 1 :]]
            )
        if 0 < place < len(lines) - 1:
            with pytest.raises(AssertionError):
                strangers_verifier([*lines[:place], *lines[place + 1 :]])


def test_a_checkpoint_names_the_head_of_every_chain(database: Database) -> None:
    fill(database)
    told = database.read(partial(checkpoints.checkpoint, at=AT))
    head = database.read(partial(chain_ends.head_of, portal="main"))
    assert told["at"] == "2026-09-24T12:00:00.123Z"
    assert set(told["portals"]) == {"main", "other"}  # type: ignore[call-overload]
    assert told["portals"]["main"] == {  # type: ignore[index]
        "seq": ENTRIES,
        "hash": head.hash,
        "at": "2026-09-24T12:00:00.123Z",
    }


def test_a_checkpoint_holds_as_the_log_goes_on(database: Database) -> None:
    record(database, NONE)
    early = json.dumps(database.read(partial(checkpoints.checkpoint, at=AT)))
    fill(database)
    late = json.dumps(database.read(partial(checkpoints.checkpoint, at=AT)), indent=2)
    for marks in (checkpoints.marks([early]), checkpoints.marks(late.splitlines(keepends=True))):
        found = verify(database, "main", marks["main"])
        assert (found.bad, found.compared) == (None, 1)
    run(database, "DELETE FROM entries WHERE seq > 1", "DELETE FROM evidence WHERE seq > 1")
    run(database, "DELETE FROM decisions WHERE seq > 1")
    rewrite(database)
    assert verify(database, "main", checkpoints.marks([early])["main"]).bad is None
    bad = verify(database, "main", checkpoints.marks([late])["main"]).bad
    assert bad == BadEntry(2, "the chain was cut off: a checkpoint has entries up to 11")


def test_checkpoints_are_found_among_the_lines_of_a_log() -> None:
    digest = "0" * 64
    lines = [
        '{"event": "started", "portals": ["main"]}\n',
        "Traceback (most recent call last):\n",
        json.dumps({"event": "checkpoint", "portals": {"main": {"seq": 1, "hash": digest}}}),
        json.dumps({"event": "checkpoint", "portals": {"main": {"seq": 2, "hash": digest}}}),
        "[]",
    ]
    assert checkpoints.marks(lines) == {"main": {1: Mark(digest), 2: Mark(digest)}}


def test_a_checkpoint_tells_when_its_entry_was_written_or_when_it_was_made_itself() -> None:
    head = {"seq": 1, "hash": "0" * 64}
    made = {"at": "2026-09-24T12:00:00.000Z", "portals": {"main": head}}
    told = {"portals": {"main": {**head, "at": "2026-09-24T11:00:00.000Z"}}}
    at, by = datetime(2026, 9, 24, 11, tzinfo=UTC), datetime(2026, 9, 24, 12, tzinfo=UTC)
    assert checkpoints.marks([json.dumps(made)]) == {"main": {1: Mark("0" * 64, by=by)}}
    both = [json.dumps(made), json.dumps(told), json.dumps(made)]
    assert checkpoints.marks(both) == {"main": {1: Mark("0" * 64, at=at)}}


@pytest.mark.parametrize(
    ("head", "why"),
    [
        ({"seq": "1", "hash": "0" * 64}, "no number"),
        ({"seq": True, "hash": "0" * 64}, "no number"),
        ({"seq": -1, "hash": "0" * 64}, "no number"),
        ({"seq": 1, "hash": "0"}, "no hash"),
        ({"seq": 1, "hash": None}, "no hash"),
        ({"seq": 1, "hash": "0" * 64, "at": "yesterday"}, "a time for main that is none"),
        ({"seq": 1}, "none"),
        (None, "none"),
    ],
)
def test_what_is_no_checkpoint_is_refused(head: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        checkpoints.marks([json.dumps({"portals": {"main": head}})])


@pytest.mark.parametrize(
    ("heads", "why"),
    [
        ([{"hash": "0" * 64}, {"hash": "1" * 64}], "two hashes"),
        ([{"hash": "0" * 64, "at": f"2026-09-2{day}T12:00:00Z"} for day in (1, 2)], "two instants"),
    ],
)
def test_checkpoints_that_contradict_each_other_are_refused(
    heads: list[dict[str, object]], why: str
) -> None:
    lines = [json.dumps({"portals": {"main": {"seq": 1, **head}}}) for head in heads]
    with pytest.raises(ValueError, match=f"main-1 has {why}"):
        checkpoints.marks(lines)


def test_an_export_says_where_an_entry_is_missing(database: Database) -> None:
    fill(database)
    run(database, "DELETE FROM entries WHERE seq = 4")
    with pytest.raises(checkpoints.Moved, match="main-4"):
        exported(database)
    run(database, "DELETE FROM entries WHERE seq < 4")
    with pytest.raises(checkpoints.Moved, match="main-1"):
        exported(database)


def test_a_checkpoint_is_compared_with_where_it_was_pruned(database: Database) -> None:
    fill(database)
    settle(database)
    marks = {
        int(str(entry["seq"])): Mark(str(entry["hash"]), at=LATER)
        for entry in checkpoints.export(database, "main")
    }
    assert pruned(database, most=4)
    assert verify(database, "main", {3: marks[3]}).compared == 0
    assert verify(database, "main", {4: marks[4], 5: marks[5]}).compared == 2
    assert verify(database, "main", {4: Mark(marks[4].hash)}).compared == 0
    bad = verify(database, "main", {4: Mark("f" * 64)}).bad
    assert bad is not None
    assert bad.seq == 4

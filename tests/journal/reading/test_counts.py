"""What is counted of all rules at once is what each rule's own limit counts."""

from datetime import timedelta

from responder.journal import record as journal
from responder.journal.reading import counts
from responder.model import Outcome
from responder.store import limits
from responder.store.database.database import Connection, Database
from tests.support.evaluations import AT, LATER, REVISION, kill, record

SINCE = AT - timedelta(hours=1)


def _call(database: Database, portal: str, workflow: str, outcome: Outcome, rule: str) -> None:
    name = record(database, kill(workflow, rule=rule), portal=portal).decisions[0]

    def write(tx: Connection) -> None:
        journal.intend(tx, portal, name, LATER, {})
        journal.conclude(tx, name, outcome, at=LATER)

    database.write(write)


def test_every_rule_is_counted_as_its_limit_counts_it(database: Database) -> None:
    for number, outcome in enumerate((Outcome.KILLED, Outcome.ALREADY_GONE, Outcome.REFUSED)):
        for portal in ("main", "other"):
            for rule in ("one", "two"):
                _call(database, portal, f"{portal}{rule}{number}", outcome, rule)
    database.write(lambda tx: limits.rearm(tx, "main", "one", LATER))
    _call(database, "main", "late", Outcome.KILLED, "one")
    record(database, kill("seen", Outcome.WOULD_KILL, "one"))
    record(database, kill("held", Outcome.HELD, "two"))
    record(database, kill("open", rule="two"))

    def read(conn: Connection) -> None:
        counted = counts.acted(conn, ["main", "other"], SINCE)
        would = counts.would_have(conn, SINCE)
        for portal in ("main", "other"):
            for rule in ("one", "two"):
                key = (portal, rule)
                assert counted.get(key, 0) == limits.acted(conn, portal, rule, SINCE, REVISION), key
                assert would.get(key, 0) == limits.would_have(conn, portal, rule, SINCE), key
        assert counted["main", "one"] == 1
        assert counts.held(conn) == {("main", "two"): 1}
        assert counts.open_stops(conn) == {("main", "waiting"): 1}
        assert set(counts.heads(conn)) == {"main", "other"}

    database.read(read)


def test_what_people_did_lately_is_told_newest_first(database: Database) -> None:
    def write(tx: Connection) -> None:
        for minutes, what in enumerate(("pause", "resume", "rearm")):
            at = AT + timedelta(minutes=minutes)
            for portal in ("main", "other"):
                journal.control(tx, portal, at, {"control": what, "by": "anna"})

    database.write(write)
    found = database.read(lambda conn: counts.recent_controls(conn, 4))
    assert [act.body["control"] for act in found] == ["rearm", "rearm", "resume", "resume"]


def test_rearming_frees_what_a_rule_holds_and_says_so(database: Database) -> None:
    def held(workflow: str, hold: str, rule: str = "one", portal: str = "main") -> None:
        (name,) = record(database, kill(workflow, rule=rule), portal=portal).decisions
        database.write(
            lambda tx: journal.postpone(
                tx, name, Outcome.HELD, at=AT, due_at=None, tries=0, detail=None, hold=hold
            )
        )

    for workflow, hold in (("a", "trip"), ("b", "document"), ("c", "run")):
        held(workflow, hold)
    held("d", "pause")
    held("e", "approval")
    held("f", "trip", rule="two")
    held("g", "trip", portal="other")

    def found(*portals: str, rule: str = "one") -> counts.HeldByRule:
        return database.read(lambda conn: counts.held_by_rule(conn, portals, rule))

    assert found("main").sentence == (
        "It holds 3 stops on 1 document: deal:759 (3). "
        "Each is judged afresh, and stopped if it is condemned again."
    )
    both = found("main", "other")
    assert (both.stops, both.documents) == (4, {"deal:759 of main": 3, "deal:759 of other": 1})
    assert "holds nothing" in found("main", rule="three").sentence

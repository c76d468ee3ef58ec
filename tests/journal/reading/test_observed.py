"""Since when a rule is observed as it stands, and how often its limits would have held it."""

from dataclasses import replace
from datetime import datetime, timedelta

from responder.journal import record as journal
from responder.journal.reading import observed
from responder.journal.reading.observed import Foreseen
from responder.model import Outcome
from responder.store import rulesets
from responder.store.database.database import Connection, Database
from tests.support.evaluations import AT, evaluation, kill

DAY = timedelta(days=1)
WHY = "enforced, the rule would have tripped: 31 at once, per_hour is 30"


def revision(database: Database, name: str, text: str, at: datetime) -> None:
    database.write(lambda tx: rulesets.keep(tx, name, text, at))


def since(database: Database, **texts: str) -> dict[str, datetime]:
    return database.read(lambda conn: observed.unchanged_since(conn, texts))


def test_a_rule_is_as_old_as_the_first_of_the_revisions_that_hold_it_word_for_word(
    database: Database,
) -> None:
    for days, text in enumerate(("a: 1, b: 1", "a: 1, b: 2", "a: 1, b: 1, c: 1", "a: 1, b: 1")):
        revision(database, f"{days}" * 64, text, AT + days * DAY)
    assert since(database, a="a: 1", b="b: 1", c="c: 1", d="d: 1") == {
        "a": AT,
        "b": AT + 2 * DAY,
    }
    assert since(database) == {}


def test_too_much_text_is_not_read(database: Database) -> None:
    revision(database, "0" * 64, "a: 1", AT)
    revision(database, "1" * 64, "a: 1" + " " * 4_000_000, AT + DAY)
    revision(database, "2" * 64, "a: 1", AT + 2 * DAY)
    assert since(database, a="a: 1") == {"a": AT + 2 * DAY}


def test_what_would_have_held_a_rule_is_counted_among_its_newest_decisions(
    database: Database,
) -> None:
    def decide(
        at: datetime,
        *names: str,
        detail: str | None = None,
        rule: str = "r",
        portal: str = "main",
        outcome: Outcome = Outcome.WOULD_KILL,
    ) -> None:
        some = [replace(kill(name, outcome, rule), detail=detail) for name in names]
        new = replace(evaluation(*some, portal=portal), at=at)
        database.write(lambda tx: journal.record(tx, new))

    decide(AT, "a", detail=WHY)
    decide(AT + DAY, "b", "c", detail=f"{WHY}, and now")
    decide(AT + 2 * DAY, "d")
    decide(AT + 2 * DAY, "e", detail="somebody noted something")
    decide(AT + 2 * DAY, "f", detail=WHY, portal="other")
    decide(AT + 2 * DAY, "g", detail=WHY, rule="s")

    def found(conn: Connection, first: datetime | None = None) -> Foreseen:
        return observed.foreseen(conn, "r", ["main"], first)

    told = database.read(found)
    assert (told.held, told.looked_at) == (3, 6)
    assert told.newest == "the rule would have tripped: 31 at once, per_hour is 30, and now"
    later = database.read(lambda conn: found(conn, AT + 2 * DAY))
    assert later == Foreseen(held=0, looked_at=3, newest=None)

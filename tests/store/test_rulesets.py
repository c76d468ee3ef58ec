"""The texts of rulesets."""

from responder.rules.revision import revision_of, shown
from responder.store import rulesets
from responder.store.database.database import Database
from tests.support.evaluations import AT, LATER

TEXT = "version: 1\n# ё"
REVISION = revision_of(TEXT.encode())
BEGINS_ALIKE = REVISION[:40] + 24 * "0"


def keep(database: Database, revision: str, text: str = TEXT) -> None:
    database.write(lambda tx: rulesets.keep(tx, revision, text, AT))


def text(database: Database, revision: str) -> str | None:
    return database.read(lambda conn: rulesets.text(conn, revision))


def test_the_text_of_a_ruleset_is_kept_once(database: Database) -> None:
    keep(database, REVISION)
    database.write(lambda tx: rulesets.keep(tx, REVISION, TEXT, LATER))
    assert text(database, REVISION) == TEXT
    assert text(database, revision_of(b"other")) is None


def test_a_text_is_found_by_the_first_digits_of_its_name(database: Database) -> None:
    keep(database, REVISION)
    assert text(database, shown(REVISION)) == TEXT
    for wrong in (REVISION[:15], "", "%" * 16, "_" * 16, REVISION.upper(), REVISION + "0"):
        assert text(database, wrong) is None


def test_of_several_that_begin_alike_none_is_taken_for_the_other(database: Database) -> None:
    keep(database, REVISION)
    keep(database, BEGINS_ALIKE, "version: 1")
    assert text(database, REVISION) == TEXT
    assert text(database, BEGINS_ALIKE) == "version: 1"
    assert text(database, shown(REVISION)) is None
    found = database.read(lambda conn: rulesets.matching(conn, shown(REVISION)))
    assert {revision for revision, _ in found} == {REVISION, BEGINS_ALIKE}


def test_what_an_older_version_kept_is_found_by_its_short_name(database: Database) -> None:
    keep(database, shown(REVISION))
    keep(database, BEGINS_ALIKE, "version: 1")
    assert text(database, shown(REVISION)) == TEXT
    assert text(database, REVISION) is None

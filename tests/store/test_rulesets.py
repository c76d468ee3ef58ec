"""The texts of rulesets."""

from pathlib import Path

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


def test_a_text_that_is_kept_is_held_also_under_an_older_short_name(database: Database) -> None:
    def is_held(revision: str) -> bool:
        return database.read(lambda conn: rulesets.holds(conn, revision))

    assert not is_held(REVISION)
    keep(database, shown(REVISION))
    assert is_held(REVISION)
    assert not is_held(BEGINS_ALIKE)


def test_a_log_is_asked_where_it_is_and_one_that_is_not_there_holds_nothing(
    sqlite_database: Database, tmp_path: Path
) -> None:
    keep(sqlite_database, REVISION)
    assert rulesets.knower_at(f"sqlite:///{sqlite_database.path}")(REVISION)
    assert not rulesets.knower_at(f"sqlite:///{tmp_path / 'none.db'}")(REVISION)
    assert not (tmp_path / "none.db").exists()

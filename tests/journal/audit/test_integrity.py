"""What no chain covers: the texts of rulesets, and the file."""

import hashlib
from dataclasses import replace

import pytest

from responder.journal import record as journal
from responder.journal.audit.integrity import changed_rulesets, check_log, damage
from responder.rules.revision import shown
from responder.store import rulesets
from responder.store.database.database import Connection, Database
from tests.support.evaluations import AT, REVISION, RULES, evaluation, kill, record
from tests.support.whole_log import fill, run


@pytest.mark.parametrize("digits", [16, 64])  # older versions gave short names
def test_a_changed_text_of_rules_is_found(database: Database, digits: int) -> None:
    revision = hashlib.sha256(b"version: 1").hexdigest()[:digits]
    database.write(lambda tx: rulesets.keep(tx, revision, "version: 1", AT))
    assert changed_rulesets(database) == []
    run(database, "UPDATE rulesets SET text = 'version: 2'")
    assert changed_rulesets(database) == [revision]


def test_a_name_that_was_cut_short_is_no_name(database: Database) -> None:
    revision = hashlib.sha256(b"version: 1").hexdigest()[:32]
    database.write(lambda tx: rulesets.keep(tx, revision, "version: 1", AT))
    assert changed_rulesets(database) == [revision]


def test_a_log_that_an_older_version_began_proves_itself(database: Database) -> None:
    def write(tx: Connection) -> None:
        rulesets.keep(tx, shown(REVISION), RULES, AT)
        journal.record(tx, replace(evaluation(kill("a")), ruleset=shown(REVISION)))

    database.write(write)
    record(database, kill("b"))
    assert check_log(database)[1] == []
    run(database, "DELETE FROM rulesets")
    wrong = check_log(database)[1]
    for name in (REVISION, shown(REVISION)):
        assert f" {name}:" in " ".join(wrong)


def test_a_whole_file_has_no_damage(database: Database) -> None:
    fill(database)
    assert damage(database) == ([] if database.dialect == "sqlite" else None)

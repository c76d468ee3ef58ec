"""What no chain covers: the texts of rulesets, and the file."""

import hashlib

from responder.store import rulesets
from responder.store.database import Database
from responder.store.wholeness import changed_rulesets, damage
from tests.store.build import AT
from tests.store.story import fill, run


def test_a_changed_text_of_rules_is_found(database: Database) -> None:
    revision = hashlib.sha256(b"version: 1").hexdigest()[:16]
    database.write(lambda tx: rulesets.keep(tx, revision, "version: 1", AT))
    assert changed_rulesets(database) == []
    run(database, "UPDATE rulesets SET text = 'version: 2'")
    assert changed_rulesets(database) == [revision]


def test_a_whole_file_has_no_damage(database: Database) -> None:
    fill(database)
    assert damage(database) == ([] if database.dialect == "sqlite" else None)

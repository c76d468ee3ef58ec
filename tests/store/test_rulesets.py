"""A ruleset's text is kept once, as it was."""

from responder.store import rulesets
from responder.store.database import Database
from tests.store.build import AT, LATER


def test_a_text_is_kept_under_its_revision(database: Database) -> None:
    database.write(lambda tx: rulesets.keep(tx, "abc", "version: 1\n# ё", AT))
    database.write(lambda tx: rulesets.keep(tx, "abc", "version: 1\n# ё", LATER))
    assert database.read(lambda c: rulesets.text(c, "abc")) == "version: 1\n# ё"
    assert database.read(lambda c: rulesets.text(c, "def")) is None

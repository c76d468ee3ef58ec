"""`rules diff` prints what changed between two revisions, or until now."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from responder.commands.cli import main
from responder.store import rulesets
from responder.store.database.database import Database
from tests.support.evaluations import AT

pytestmark = pytest.mark.store


def test_the_difference_of_two_revisions_or_of_the_file_is_printed(
    database: Database, migrated_url: str, tmp_path: Path
) -> None:
    database.write(lambda tx: rulesets.keep(tx, "a" * 64, "version: 1\n# one\n", AT))
    database.write(lambda tx: rulesets.keep(tx, "b" * 64, "version: 1\n# two\n", AT))
    (tmp_path / "rules.yaml").write_text("version: 1\n# three\n")
    environment = {
        "RESPONDER_DATABASE_URL": migrated_url,
        "RESPONDER_RULES": str(tmp_path / "rules.yaml"),
        "RESPONDER_SECRETS_DIR": str(tmp_path),
    }

    def diff(*words: str) -> Result:
        return CliRunner().invoke(main, ["rules", "diff", *words], env=environment)

    two = diff("a" * 16, "b" * 16)
    assert (two.exit_code, two.stdout.splitlines()[:2]) == (
        0,
        [f"--- {'a' * 16}", f"+++ {'b' * 16}"],
    )
    assert two.stdout.splitlines()[3:] == [" version: 1", "-# one", "+# two"]
    now = diff("b" * 16).stdout.splitlines()
    assert (now[1], now[-1]) == (f"+++ {tmp_path / 'rules.yaml'}", "+# three")
    assert diff("a" * 16, "a" * 16).stdout == ""
    assert diff("c" * 16).exit_code == 2

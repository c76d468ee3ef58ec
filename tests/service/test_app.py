"""The service as it is built at start."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from responder.rules.revision import revision_of
from responder.rules.ruleset import RulesError
from responder.service.app import Service
from responder.settings import settings
from responder.store import rulesets
from responder.store.database.database import Database

AT = datetime(2026, 9, 24, 12, tzinfo=UTC)
YESTERDAYS = """\
version: 1
rules:
  - id: stale
    when: [{daily_at: "03:00"}]
    if: {workflow.template_id: 61, workflow.age: {over: 30d}}
    then: kill
"""


@pytest.fixture
def log(migrated_file: Path, sqlite_url: str) -> Database:
    shutil.copy(migrated_file, sqlite_url.removeprefix("sqlite:///"))
    database = Database(sqlite_url)
    database.open()
    return database


def started(tmp_path: Path, sqlite_url: str) -> Service:
    rules = tmp_path / "rules.yaml"
    rules.write_text(YESTERDAYS)
    environment = {
        "RESPONDER_PORTALS__MAIN__URL": "http://127.0.0.1:9/rest/1/abcdefghijklmnop/",
        "RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS": "t" * 20,
        "RESPONDER_DATABASE_URL": sqlite_url,
        "RESPONDER_RULES": str(rules),
    }
    return Service(settings.load(environment, env_file=None))


def test_an_upgraded_service_starts_with_yesterdays_file(
    log: Database, sqlite_url: str, tmp_path: Path
) -> None:
    """Its time of day without a zone has become an error since."""
    log.write(lambda tx: rulesets.keep(tx, revision_of(YESTERDAYS.encode()), YESTERDAYS, AT))
    log.close()
    service = started(tmp_path, sqlite_url)
    service.database.close()
    assert [rule.id for rule in service.rules.ruleset.rules] == ["stale"]
    assert "`timezone` is missing" in service.rules.ruleset.warnings[0].message


def test_a_new_service_refuses_that_file(log: Database, sqlite_url: str, tmp_path: Path) -> None:
    log.close()
    with pytest.raises(RulesError):
        started(tmp_path, sqlite_url)

"""An auditor's terminal: no portal, no secret, no rules; the address of the database alone."""

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from responder.store.database.database import Database
from tests.rules.make import a_rule, a_workflow, in_a_file
from tests.support import forked
from tests.support.past_log import PastRules, rules

pytestmark = pytest.mark.service

LOST = a_rule("deal.stage_semantic_id: F, workflow.template_id: 61", name="lost-deal")
PASSWORD = "hunter2-hunter2"

Done = subprocess.CompletedProcess[str]
Auditor = Callable[..., Done]


@pytest.fixture
def past(database: Database) -> PastRules:
    """Give the log of yesterday: a deal was lost, and an event came that no rule names."""
    log = PastRules(database, rules(LOST), now=datetime.now(UTC) - timedelta(days=1))
    log.happened({"deal.stage_semantic_id": "F"}, a_workflow("a"))
    log.unnamed("lead:7")
    return log


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Give a folder in which the auditor stands, with rules to try and nothing else."""
    folder = tmp_path / "auditor"
    folder.mkdir()
    (folder / "new.yaml").write_text(in_a_file(LOST))
    return folder


def command(place: Path, environment: dict[str, str], *words: str) -> Done:
    return forked.run(("-m", "responder", *words), place, environment)


@pytest.fixture
def auditor(place: Path, migrated_url: str) -> Auditor:
    """Run a command as the auditor does: his environment has one variable."""

    def run(*words: str, **more: str) -> Done:
        return command(place, {"RESPONDER_DATABASE_URL": migrated_url, **more}, *words)

    return run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("decisions",), "main-1-1"),
        (("decisions", "--json", "--rule", "lost-deal"), '"id": "main-1-1"'),
        (("decisions", "show", "main-1-1"), "decision     main-1-1"),
        (("events",), "lead:7"),
        (("explain", "main-1-1"), "main-1-1: kill"),
        (("test", "--from", "main-1-1"), "tests:"),
        (("audit", "verify"), "main: 2 entries hold"),
        (("audit", "checkpoint"), '"checkpoint": 1'),
        (("audit", "export"), '"seq": 1'),
        (("audit", "erase", "main-2-1", "--by", "anna"), "main-2-1: erased"),
        (("backtest", "new.yaml"), "+0 kills"),
        (("backtest", "new.yaml", "--portal", "main"), "+0 kills"),
        (("rules", "show", "{revision}"), "lost-deal"),
    ],
)
def test_the_log_is_read_with_the_database_s_address_alone(
    past: PastRules, auditor: Auditor, words: tuple[str, ...], said: str
) -> None:
    done = auditor(*(word.format(revision=past.ruleset.revision) for word in words))
    assert (done.returncode, done.stderr.count("wrong")) == (0, 0), done.stderr
    assert said in done.stdout


def test_what_is_wrong_with_other_settings_hinders_nobody_who_reads_the_log(
    past: PastRules, auditor: Auditor, place: Path
) -> None:
    assert past.ruleset.rules
    (place / ".env").write_bytes(b"RESPONDER_PORTALS__MAIN__URL=nowhere\nRESPONDER_PORT=\xff\n")
    secrets = place / "secrets"
    secrets.mkdir()
    (secrets / "RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS").write_bytes(b"\xff\xfe")
    done = auditor("audit", "verify", RESPONDER_SECRETS_DIR=str(secrets))
    assert done.returncode == 0, done.stderr


def test_a_database_in_the_secrets_directory_is_found_beside_secrets_that_cannot_be_read(
    past: PastRules, place: Path, migrated_url: str
) -> None:
    assert past.ruleset.rules
    (place / "RESPONDER_DATABASE_URL").write_text(migrated_url)
    (place / "RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS").write_bytes(b"\xff\xfe")
    done = command(place, {"RESPONDER_SECRETS_DIR": str(place)}, "decisions")
    assert (done.returncode, "main-1-1" in done.stdout) == (0, True), done.stderr


def test_a_portal_that_the_log_does_not_name_is_said(past: PastRules, auditor: Auditor) -> None:
    assert past.ruleset.rules
    done = auditor("backtest", "new.yaml", "--portal", "mian")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "There is no portal mian; there are: main. Did you mean main?\n"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "There is no database at responder.db yet"),
        ({"RESPONDER_DATABASE_URL": ""}, "RESPONDER_DATABASE_URL is empty"),
        ({"RESPONDER_DATABASE_URL": "mysql://u:{p}@h/d"}, "the database URL must begin with"),
        (
            {"RESPONDER_DATABASE_URL": "postgresql+psycopg://u:x@{p}@127.0.0.1:1/d"},
            "write @ as %40",
        ),
        (
            {"RESPONDER_DATABSE_URL": "sqlite:///x.db"},
            "RESPONDER_DATABSE_URL is not a setting; did you mean RESPONDER_DATABASE_URL?",
        ),
        ({"RESPONDER_SECRETS_DIR": "/nowhere"}, "RESPONDER_SECRETS_DIR is not a directory"),
    ],
)
def test_what_is_wrong_with_the_address_is_said_and_never_its_password(
    place: Path, variables: dict[str, str], said: str
) -> None:
    environment = {name: value.format(p=PASSWORD) for name, value in variables.items()}
    done = command(place, environment, "decisions")
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert PASSWORD not in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_settings_say_where_no_env_file_was_found(place: Path) -> None:
    wrong = command(place, {}, "status")
    assert (wrong.returncode, wrong.stderr.splitlines()[-1]) == (
        2,
        f"There is no .env in this folder, {place}.",
    )
    (place / ".env").write_text("RESPONDER_MODE=enforce\n")
    assert ".env" not in command(place, {}, "status").stderr

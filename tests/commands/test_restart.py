"""`restart`: what it says first, what it refuses, and how it ends."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from responder.commands.cli import main
from responder.journal import record as journal
from responder.journal import restarts
from responder.model import Outcome
from responder.store import leases
from responder.store.database.database import Connection, Database
from tests.support.evaluations import AT, kill, record
from tests.support.processes import TOKEN, eventually

Command = Callable[..., Result]


@pytest.fixture
def responder(migrated_url: str, tmp_path: Path) -> Command:
    """Run a command of the program on that database."""
    environment = {
        "COLUMNS": "400",
        "RESPONDER_DATABASE_URL": migrated_url,
        "RESPONDER_PORTALS__MAIN__URL": "http://127.0.0.1:1/rest/1/test-secret-0001/",
        "RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS": TOKEN,
        "RESPONDER_SECRETS_DIR": str(tmp_path),
    }
    return lambda *words: CliRunner().invoke(main, words, env=environment)


def stopped(database: Database) -> str:
    """Have a workflow killed; return the decision's name."""
    (name,) = record(database, kill()).decisions

    def write(tx: Connection) -> None:
        journal.intend(tx, "main", name, AT, {})
        journal.conclude(tx, name, Outcome.KILLED, at=AT, receipt=True)

    database.write(write)
    return name


def drive(database: Database, outcome: restarts.Outcome, detail: str | None = None) -> None:
    """Be the portal's driver, which ends the one request that comes."""
    database.write(lambda tx: leases.claim(tx, "main", "somebody", 60))

    def asked() -> restarts.Restart | None:
        return next(iter(database.read(lambda conn: restarts.unfinished(conn, "main"))), None)

    def end_one() -> None:
        one, at = eventually(asked), datetime.now(UTC)
        new = "new.1" if outcome == "started" else None
        database.write(lambda tx: restarts.end(tx, one, outcome, at, detail=detail, started_id=new))

    threading.Thread(target=end_one).start()


def test_it_says_what_is_not_kept_and_prints_the_new_workflow(
    database: Database, responder: Command
) -> None:
    name = stopped(database)
    drive(database, "started")
    done = responder("restart", name)
    assert (done.exit_code, done.stdout) == (0, "Started new.1: template 61 on deal:759.\n")
    assert "as near to undoing as Bitrix24 allows" in done.stderr
    assert "neither is kept" in done.stderr
    shown = responder("decisions", "show", name).stdout
    assert "\nrestart\n  asked for by " in shown
    assert shown.endswith("; started as workflow new.1\n")
    again = responder("restart", name)
    assert again.exit_code == 2
    assert "and workflow new.1 was started." in again.stderr


@pytest.mark.parametrize(
    ("outcome", "detail", "said"),
    [
        ("refused", "rule x would condemn it again at once", "With --anyway it is started"),
        ("in_doubt", "the answer was lost.", "It is not called again."),
    ],
)
def test_what_was_not_surely_started_is_exit_code_1(
    database: Database, responder: Command, outcome: restarts.Outcome, detail: str, said: str
) -> None:
    name = stopped(database)
    drive(database, outcome, detail)
    done = responder("restart", "--json", name)
    assert done.exit_code == 1
    shown = json.loads(done.stdout)
    assert (shown["id"], shown["outcome"], shown["detail"]) == (name, outcome, detail)
    assert detail in done.stderr
    assert said in done.stderr


def test_a_wrong_question_is_told_from_a_service_that_is_not_there(
    database: Database, responder: Command
) -> None:
    wrong = responder("restart", "main-999-1")
    assert (wrong.exit_code, wrong.stderr) == (2, "There is no decision main-999-1.\n")
    (left,) = record(database, kill("left", Outcome.WOULD_KILL)).decisions
    nothing = responder("restart", left)
    assert nothing.stderr == f"{left} stopped nothing: it is would_kill.\n"
    away = responder("restart", stopped(database))
    assert away.exit_code == 1
    assert "main: nobody drives it" in away.stderr

"""The auditor's commands: what they print, and how they end."""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.commands.cli import main
from responder.journal import chain
from responder.journal import record as journal
from responder.model import Outcome
from responder.store.database.database import Database
from tests.journal.audit.test_checkpoints import strangers_verifier
from tests.support.evaluations import AT, evaluation, kill
from tests.support.processes import TOKEN, event, running
from tests.support.whole_log import fill, rewrite, run

Command = Callable[..., Result]


@pytest.fixture
def log(database: Database) -> Database:
    """Give a database with a log in it."""
    fill(database)
    return database


@pytest.fixture
def responder(migrated_url: str, tmp_path: Path) -> Command:
    """Run a command of the program on that database."""
    environment = {
        "RESPONDER_DATABASE_URL": migrated_url,
        "RESPONDER_PORTALS__MAIN__URL": "http://127.0.0.1:1/rest/1/test-secret-0001/",
        "RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS": TOKEN,
        "RESPONDER_SECRETS_DIR": str(tmp_path),
    }

    def invoke(*words: str) -> Result:
        return CliRunner().invoke(main, ["audit", *words], env=environment)

    return invoke


@pytest.mark.service
def test_what_the_running_service_wrote_holds_and_is_seen_when_it_is_changed(
    tmp_path: Path,
) -> None:
    with SandboxServer(Sandbox()) as portal:
        deal = ("crm", "CCrmDocumentDeal", "DEAL_759")
        portal.sandbox.add_item(2, 759, stageId="LOSE", stageSemanticId="F", categoryId=0)
        portal.sandbox.start_workflow(deal, 61)
        with running(tmp_path, portal.url) as service:
            assert service.post(event("ONCRMDEALUPDATE", 759)) == 200
            service.settled(1)
            assert service.command("audit", "verify").returncode == 0
            assert strangers_verifier(service.command("audit", "export").stdout.splitlines())
            service.end()
            with sqlite3.connect(tmp_path / "responder.db") as outside:
                outside.execute("UPDATE decisions SET rule = 'another' WHERE n = 1 AND seq = 1")
            outside.close()
            done = service.command("audit", "verify")
    assert done.returncode == 1
    assert done.stdout == "main-1: the index has another rule (decision 1)\n"


def test_an_empty_log_is_fine(database: Database, responder: Command) -> None:
    assert database.schema_is_current()
    done = responder("verify")
    assert (done.exit_code, done.stdout) == (0, "")


def test_a_log_that_holds_is_told_portal_by_portal(log: Database, responder: Command) -> None:
    assert responder("erase", "main-2-1", "--by", "anna").exit_code == 0
    done = responder("verify")
    assert done.exit_code == 0
    first, second = done.stdout.splitlines()
    assert first.startswith("main: 11 entries hold, the last is 11 with hash ")
    assert first.endswith("; the facts of 2 entries were erased")
    assert second.startswith("other: 10 entries hold, the last is 10 with hash ")
    assert log.read(lambda c: chain.heads(c)) == {"main": 11, "other": 10}


def test_the_first_bad_entry_is_named(log: Database, responder: Command) -> None:
    run(log, "UPDATE evidence SET content = '{}' WHERE portal = 'main' AND seq = 4")
    done = responder("verify")
    assert done.exit_code == 1
    assert done.stdout.splitlines()[0] == "main-4: its evidence was changed"
    told = [json.loads(line) for line in responder("verify", "--json").stdout.splitlines()]
    assert told[0]["bad"] == {"seq": 4, "why": "its evidence was changed"}
    assert told[1]["bad"] is None


def test_a_checkpoint_tells_that_the_tail_was_cut_off(
    log: Database, responder: Command, tmp_path: Path
) -> None:
    kept = tmp_path / "checkpoint.json"
    kept.write_text(responder("checkpoint").stdout)
    assert set(json.loads(kept.read_text())["portals"]) == {"main", "other"}
    done = responder("verify", "--checkpoint", str(kept))
    assert done.exit_code == 0
    assert done.stdout.count("; 1 checkpoint agrees") == 2
    for table in ("entries", "evidence", "decisions"):
        run(log, f"DELETE FROM {table} WHERE portal = 'main' AND seq > 8")  # noqa: S608
    rewrite(log)
    assert responder("verify").exit_code == 0
    done = responder("verify", "--checkpoint", str(kept))
    assert done.exit_code == 1
    assert done.stdout.startswith("main-9: the chain was cut off")


@pytest.mark.parametrize(
    "text", ["", "nothing", "{}", '{"portals": {"main": {"seq": 1, "hash": 2}}}']
)
def test_a_file_without_a_checkpoint_is_refused(
    responder: Command, tmp_path: Path, text: str
) -> None:
    kept = tmp_path / "checkpoint.json"
    kept.write_text(text)
    done = responder("verify", "--checkpoint", str(kept))
    assert (done.exit_code, done.stdout) == (2, "")
    assert "checkpoint" in done.stderr


def test_an_export_is_all_that_another_verifier_needs(log: Database, responder: Command) -> None:
    assert responder("erase", "main-1-1").exit_code == 0
    lines = responder("export", "--portal", "main").stdout.splitlines()
    head = json.loads(responder("checkpoint").stdout)["portals"]["main"]
    assert strangers_verifier(lines) == head["hash"]
    assert len(responder("export").stdout.splitlines()) == 21
    assert log.read(lambda c: chain.heads(c))["main"] == head["seq"]


def test_an_export_of_nothing_or_of_a_broken_log_says_so(log: Database, responder: Command) -> None:
    assert responder("export", "--portal", "nobody").exit_code == 2
    run(log, "DELETE FROM entries WHERE portal = 'main' AND seq = 4")
    done = responder("export")
    assert done.exit_code == 1
    assert "main-4" in done.stderr


def test_erasing_names_what_it_did(log: Database, responder: Command) -> None:
    new = replace(evaluation(kill("d", Outcome.LEFT)), at=AT)
    log.write(lambda tx: journal.record(tx, new))
    done = responder("erase", "main-11-1", "main-2-1")
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "main-11-1: erased the facts of 1 entry and 0 received forms",
        "main-2-1: erased the facts of 2 entries and 0 received forms",
    ]
    assert "erased before" in responder("erase", "main-2-1").stderr
    body = json.loads(json.loads(responder("export").stdout.splitlines()[11])["body"])
    assert body["decision"] == "main-11-1"
    assert "@" in body["by"]


def test_several_are_erased_only_where_all_can_be(log: Database, responder: Command) -> None:
    done = responder("erase", "main-2-1", "main-99-1")
    assert done.exit_code == 2
    assert "Nothing was erased: there is no decision main-99-1" in done.stderr
    assert log.read(lambda c: chain.heads(c))["main"] == 10


def test_what_cannot_be_erased_is_said(log: Database, responder: Command) -> None:
    done = responder("erase", "main-99-1")
    assert done.exit_code == 2
    assert "there is no decision main-99-1" in done.stderr
    done = responder("erase", "main-10-1")
    assert done.exit_code == 2
    assert "main-10-1 is not concluded yet" in done.stderr
    assert log.read(lambda c: chain.heads(c))["main"] == 10


def test_changed_rules_and_a_damaged_file_fail_too(log: Database, responder: Command) -> None:
    run(log, "INSERT INTO rulesets VALUES ('0123456789abcdef', 'version: 1', 0)")
    done = responder("verify")
    assert done.exit_code == 1
    assert "the kept text of ruleset 0123456789abcdef was changed" in done.stdout

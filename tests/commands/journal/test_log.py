"""Reading the log: what is not there is said, and so is what was probably meant."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from responder.commands.cli import main
from responder.journal import record as journal
from responder.journal.upkeep import erase
from responder.model import Names, Outcome
from responder.store.database.database import Database
from tests.support.evaluations import AT, NONE, deliver, evaluation, kill, record
from tests.support.processes import LOST_DEAL, TOKEN
from tests.support.whole_log import run

Command = Callable[..., Result]


@pytest.fixture
def log(tmp_path: Path, migrated_file: Path) -> Iterator[Database]:
    """Give a log with one decision of each kind."""
    path = tmp_path / "responder.db"
    path.write_bytes(migrated_file.read_bytes())
    database = Database(f"sqlite:///{path}")
    database.open()
    record(database, kill("a", Outcome.WOULD_KILL), NONE)
    record(database, kill("b", Outcome.LEFT, rule="keep-vip"))
    database.write(deliver("deal:759", None))
    yield database
    database.close()


@pytest.fixture
def responder(log: Database, tmp_path: Path) -> Command:
    """Run a command of the program on that log, with rules that name another rule, too."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(LOST_DEAL + LOST_DEAL.split("rules:\n")[1].replace("lost-deal", "won-deal"))
    environment = {
        "RESPONDER_DATABASE_URL": f"sqlite:///{log.path}",
        "RESPONDER_RULES": str(rules),
        "RESPONDER_PORTALS__MAIN__URL": "http://127.0.0.1:1/rest/1/test-secret-0001/",
        "RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS": TOKEN,
        "RESPONDER_SECRETS_DIR": str(tmp_path),
    }

    def invoke(*words: str) -> Result:
        return CliRunner().invoke(main, [*words], env=environment)

    return invoke


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rule", "lost-dael"), "No rule lost-dael is in force, and none is in the log."),
        (("--rule", "lost-dael"), "Did you mean lost-deal?"),
        (("--rule", "keep-vpi"), "Did you mean keep-vip?"),
        (("--rule", "won-deal"), "Rule won-deal has made no such decision."),
        (("--rule", "lost-deal", "--outcome", "killed"), "lost-deal has made no such decision."),
        (("--rule", "zzz"), "none is in the log.\n"),
        (("--workflow", "c"), "There is no such decision."),
    ],
)
def test_an_empty_table_says_why(responder: Command, words: tuple[str, ...], said: str) -> None:
    done = responder("decisions", *words)
    assert (done.exit_code, len(done.stdout.splitlines())) == (0, 1)
    assert said in done.stderr
    done = responder("decisions", "--json", *words)
    assert (done.exit_code, done.stdout) == (0, "")
    assert said in done.stderr


def test_a_broken_rules_file_does_not_hide_what_the_log_names(
    responder: Command, tmp_path: Path
) -> None:
    (tmp_path / "rules.yaml").write_text("rules: [")
    assert "Did you mean lost-deal?" in responder("decisions", "--rule", "lost-dael").stderr


@pytest.mark.parametrize(
    ("outcome", "ids"),
    [
        ("would_kill", ["main-1-1"]),
        ("left", ["main-2-1"]),
        ("none", ["main-1-2"]),
        ("no_match", ["main-1-2"]),
        ("no_rule", []),
    ],
)
def test_an_outcome_may_be_the_reason_of_none(
    responder: Command, outcome: str, ids: list[str]
) -> None:
    done = responder("decisions", "--json", "--outcome", outcome)
    assert done.exit_code == 0
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ids


def test_tables_say_times_in_the_time_zone_and_json_in_utc(responder: Command) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RESPONDER_TIMEZONE", "Europe/Moscow")
        table, shown = (
            responder("decisions").stdout,
            responder("decisions", "show", "main-1-1").stdout,
        )
        received = responder("events").stdout
        as_json = responder("decisions", "--json").stdout.splitlines()
        patched.setenv("RESPONDER_TIMEZONE", "Moscow")
        wrong = responder("decisions")
    assert re.search(r"^AT \(MSK\) .*\n2026-09-24 15:00:00 ", table)
    assert "at           2026-09-24 15:00:00 MSK\n" in shown
    assert re.search(r"^RECEIVED \(MSK\) .*\n2026-09-24 15:00:00 ", received)
    assert json.loads(as_json[0])["at"] == "2026-09-24T12:00:00.123Z"
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert "RESPONDER_TIMEZONE is no time zone" in wrong.stderr


def test_an_outcome_that_there_is_not_is_answered_with_all_there_are(responder: Command) -> None:
    done = responder("decisions", "--outcome", "kiled")
    assert (done.exit_code, done.stdout) == (2, "")
    assert re.search(r"killed, .*none, or its reason no_rule, .*unchanged", done.stderr)


@pytest.mark.parametrize("named", ["deal:759", "DEAL_759", '["crm","CCrmDocumentDeal","DEAL_759"]'])
def test_events_of_a_document_are_found_by_any_of_its_names(responder: Command, named: str) -> None:
    done = responder("events", "--json", "--document", named)
    assert [json.loads(line)["document"] for line in done.stdout.splitlines()] == ["deal:759"]


def test_no_event_of_a_document_and_no_document_are_told_apart(responder: Command) -> None:
    done = responder("events", "--document", "deal:760")
    assert (done.exit_code, done.stderr) == (0, "Nothing was received of deal:760.\n")
    done = responder("events", "--document", "759")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "write it as deal:759 or DEAL_759" in done.stderr


def test_tables_name_what_was_condemned_and_say_what_was_erased(
    responder: Command, log: Database
) -> None:
    names = Names(title="Acme", amount="52000", currency="RUB", template="Discount approval")
    name = record(log, replace(kill("c", Outcome.WOULD_KILL), names=names)).decisions[0]
    about = "Discount approval on deal 759 «Acme, 52,000 RUB»"
    assert f"would_kill  {about}\n" in responder("decisions").stdout
    assert f"about        {about}\n" in responder("decisions", "show", name).stdout
    facts = erase.find(log, name)
    log.write(lambda tx: erase.remove(tx, facts, by="me", at=AT))
    assert "would_kill  (erased)\n" in responder("decisions").stdout
    shown = responder("decisions", "show", name).stdout
    assert "is F; it was erased" in shown
    assert "facts        erased, and so are the names\n" in shown


def test_events_name_the_document_on_which_something_was_condemned(
    responder: Command, log: Database
) -> None:
    ids = log.write(deliver("deal:759"))
    named = replace(kill("d", Outcome.WOULD_KILL), names=Names(title="Acme"))
    made = replace(evaluation(named), deliveries=tuple(ids))
    log.write(lambda tx: journal.record(tx, made))
    lines = responder("events", "--document", "deal:759").stdout.splitlines()
    assert lines[-1].endswith("  «Acme»")
    assert "Acme" not in responder("events", "--json").stdout


def test_a_decision_by_rules_that_this_version_cannot_read_is_shown_without_their_words(
    responder: Command, log: Database
) -> None:
    run(log, "UPDATE rulesets SET text = 'version: 99'")
    done = responder("decisions", "show", "main-1-1")
    assert done.exit_code == 0
    assert "rule         lost-deal" in done.stdout
    assert ", template name Approval" in done.stdout
    assert "in words" not in done.stdout

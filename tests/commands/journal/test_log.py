"""Reading the log: what is not there is said, and so is what was probably meant."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import update

from responder.commands.cli import main
from responder.journal import record as journal
from responder.journal import restarts
from responder.journal.telling import tellings
from responder.journal.telling.tellings import Kind, NewTelling
from responder.journal.upkeep import erase
from responder.model import Audience, Names, Outcome
from responder.store.database.database import Database
from responder.store.database.tables import deliveries
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
        "RESPONDER_PORTALS__NEW_ONE__URL": "http://127.0.0.1:1/rest/1/test-secret-0001/",
        "RESPONDER_SECRETS_DIR": str(tmp_path),
    }

    def invoke(*words: str) -> Result:
        return CliRunner().invoke(main, [*words], env=environment)

    return invoke


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rule", "won-deal"), "Rule won-deal has made no such decision."),
        (("--rule", "lost-deal", "--outcome", "killed"), "lost-deal has made no such decision."),
        (("--workflow", "c"), "There is no such decision."),
        (("--document", "deal:1"), "There is no such decision."),
    ],
)
def test_an_empty_table_says_why(responder: Command, words: tuple[str, ...], said: str) -> None:
    done = responder("decisions", *words)
    assert (done.exit_code, len(done.stdout.splitlines())) == (0, 1)
    assert said in done.stderr
    done = responder("decisions", "--json", *words)
    assert (done.exit_code, done.stdout) == (0, "")
    assert said in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rule", "lost-dael"), "No rule lost-dael is in force, and none is in the log."),
        (("--rule", "lost-dael"), "Did you mean lost-deal?"),
        (("--rule", "keep-vpi"), "Did you mean keep-vip?"),
        (("--rule", "zzz"), "none is in the log.\n"),
        (
            ("--portal", "mian"),
            "There is no portal mian; there are: main, new_one. Did you mean main?",
        ),
        (("--outcome", "kiled"), "There is no outcome kiled. Did you mean killed?"),
        (("--document", "dael:759"), "--document: 'dael:759' names no document; write it as deal"),
        (("--since", "1"), "--since takes a number and a unit"),
        (("--limit", "0"), "0 is not in the range"),
    ],
)
def test_a_name_that_there_is_not_is_a_mistake(
    responder: Command, words: tuple[str, ...], said: str
) -> None:
    done = responder("decisions", *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        (("--document", "deal:759"), ["main-1-1", "main-1-2", "main-2-1"]),
        (("--document", "DEAL_759", "--rule", "keep-vip"), ["main-2-1"]),
        (("--portal", "main"), ["main-1-1", "main-1-2", "main-2-1"]),
        (("--limit", "2"), ["main-1-2", "main-2-1"]),
        (("--limit", "1", "--outcome", "would_kill"), ["main-1-1"]),
        (("--since", "2000-01-01T00:00Z", "--limit", "9"), ["main-1-1", "main-1-2", "main-2-1"]),
        (("--since", "2999-01-01T00:00+03:00"), []),
    ],
)
def test_decisions_are_chosen_by_what_they_are_about(
    responder: Command, words: tuple[str, ...], ids: list[str]
) -> None:
    done = responder("decisions", "--json", *words)
    assert done.exit_code == 0
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ids


def test_a_document_is_written_in_one_way(responder: Command) -> None:
    for words in (("decisions",), ("decisions", "show", "main-1-1"), ("events",)):
        shown = responder(*words).stdout
        assert "deal:759" in shown
        assert "DEAL_759" not in shown


@pytest.mark.parametrize("command", ["decisions", "events"])
def test_a_table_fits_80_columns(responder: Command, log: Database, command: str) -> None:
    record(log, kill("65e5a449e8f135.21284909", Outcome.LEFT, rule="a-rule-" + 9 * "of-long-name-"))
    log.write(deliver("lists|Bitrix\\Lists\\BizprocDocumentLists|777", None))
    lines = responder(command).stdout.splitlines()
    assert len(lines) > 3
    assert [line for line in lines if len(line) > 80] == []


def test_a_decision_is_shown_in_80_columns(responder: Command, log: Database) -> None:
    names = Names(title="Acme", amount="52000", currency="RUB", template="Discount approval")
    made = record(log, replace(kill("65e5a449e8f135.21284909", Outcome.WOULD_KILL), names=names))
    lines = responder("decisions", "show", made.decisions[0]).stdout.splitlines()
    assert [line for line in lines if len(line) > 80] == []
    (at,) = [n for n, line in enumerate(lines) if line.startswith("workflow     id 65e5a449e8f135")]
    assert re.match(r" {13}\S", lines[at + 1])


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


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("decisions", "There is no such decision.\n"),
        ("events", "Nothing was received from portal new_one.\n"),
    ],
)
def test_a_portal_of_the_settings_that_sent_nothing_yet_is_known(
    responder: Command, command: str, said: str
) -> None:
    done = responder(command, "--portal", "new_one")
    assert (done.exit_code, done.stderr) == (0, said)


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        (("--portal", "main"), [1, 2]),
        (("--portal", "other"), [3]),
        (("--limit", "2"), [2, 3]),
        (("--limit", "9"), [1, 2, 3]),
        (("--portal", "main", "--limit", "1"), [2]),
        (("--document", "deal:759", "--limit", "1"), [3]),
        (("--since", "2999-01-01T00:00+03:00", "--limit", "1"), []),
    ],
)
def test_events_are_chosen_by_portal_and_number(
    responder: Command, log: Database, words: tuple[str, ...], ids: list[int]
) -> None:
    log.write(deliver("deal:759", portal="other"))
    log.write(lambda tx: tx.execute(update(deliveries).values(received_at=AT)))
    done = responder("events", "--json", *words)
    assert done.exit_code == 0
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ids


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--portal", "mian"),
            "There is no portal mian; there are: main, new_one. Did you mean main?",
        ),
        (("--limit", "0"), "0 is not in the range"),
    ],
)
def test_a_portal_that_sent_nothing_and_is_not_in_the_log_is_a_mistake(
    responder: Command, words: tuple[str, ...], said: str
) -> None:
    done = responder("events", *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr


def test_tables_name_what_was_condemned_and_say_what_was_erased(
    responder: Command, log: Database
) -> None:
    names = Names(title="Acme", amount="52000", currency="RUB", template="Discount approval")
    name = record(log, replace(kill("c", Outcome.WOULD_KILL), names=names)).decisions[0]
    about = "Discount approval on deal 759 «Acme, 52,000 RUB»"
    assert f"would_kill\n  {about}\n" in responder("decisions").stdout
    assert f"about        {about}\n" in responder("decisions", "show", name).stdout
    facts = erase.find(log, name)
    log.write(lambda tx: erase.remove(tx, facts, by="me", at=AT))
    assert "would_kill\n  (erased)\n" in responder("decisions").stdout
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
    assert lines[-1] == "  «Acme»"
    assert "Acme" not in responder("events", "--json").stdout


def test_a_decision_by_rules_that_this_version_cannot_read_is_shown_without_their_words(
    responder: Command, log: Database
) -> None:
    run(log, "UPDATE rulesets SET text = 'version: 99'")
    done = responder("decisions", "show", "main-1-1")
    assert done.exit_code == 0
    assert "rule         lost-deal" in done.stdout
    assert ", template name Approval" in " ".join(done.stdout.split())
    assert "in words" not in done.stdout


def test_a_decision_is_named_where_a_command_belongs(responder: Command) -> None:
    done = responder("decisions", "main-1-1")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "decisions show main-1-1`?" in done.stderr


def test_a_decision_is_shown_with_what_was_told_of_it(responder: Command, log: Database) -> None:
    new = [NewTelling(audience=Audience.STARTER, user="7", message="Stopped.")]
    write = partial(tellings.write, decision_id="main-1-1", kind=Kind.TELL, new=new, at=AT)
    log.write(write)
    assert (
        "told in the portal\n  tell  starter, user 7: waits for"
        in responder("decisions", "show", "main-1-1").stdout
    )
    shown = json.loads(responder("decisions", "show", "main-1-1", "--json").stdout)
    assert shown["told"] == [
        {
            "kind": "tell",
            "audience": "starter",
            "user": "7",
            "message": "Stopped.",
            "state": "planned",
            "at": None,
            "why": None,
        }
    ]
    assert shown["restart"] is None
    assert "told" not in json.loads(responder("decisions", "--json").stdout.splitlines()[0])


def test_a_decision_is_shown_with_its_restart(responder: Command, log: Database) -> None:
    name = record(log, kill("r", Outcome.KILLED)).decisions[0]
    log.write(partial(restarts.ask, decision_id=name, anyway=False, by="anna", at=AT))
    shown = responder("decisions", "show", name).stdout
    assert "restart\n  asked for by anna at 2026-09-24 12:00:00 UTC; under way" in shown
    found = json.loads(responder("decisions", "show", name, "--json").stdout)["restart"]
    assert (found["state"], found["outcome"], found["by"]) == ("waiting", None, "anna")

"""`approve`: what it shows, what it asks, and how it ends."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from responder.commands.cli import main
from responder.journal import approvals
from responder.journal import record as journal
from responder.model import Mode, Names
from responder.store.database.database import Connection, Database
from tests.support.evaluations import evaluation, kill, workflow
from tests.support.processes import LOST_DEAL, TOKEN
from tests.support.sqlite_first import migrated_url as migrated_url

Command = Callable[..., Result]


@pytest.fixture
def responder(migrated_url: str, tmp_path: Path) -> Command:
    """Run a command of the program on that database."""
    (tmp_path / "rules.yaml").write_text(LOST_DEAL)
    (tmp_path / "secrets").mkdir()
    environment = {
        "RESPONDER_DATABASE_URL": migrated_url,
        "RESPONDER_PORTALS__MAIN__URL": "http://127.0.0.1:1/rest/1/test-secret-0001/",
        "RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS": TOKEN,
        "RESPONDER_RULES": str(tmp_path / "rules.yaml"),
        "RESPONDER_SECRETS_DIR": str(tmp_path / "secrets"),
    }

    def invoke(*words: str, answer: str | None = None, columns: int = 100) -> Result:
        given = {**environment, "COLUMNS": str(columns)}
        return CliRunner().invoke(main, words, env=given, input=answer)

    return invoke


def asked(
    database: Database, *workflows: str, ago: timedelta = timedelta(0), names: Names | None = None
) -> list[str]:
    """Condemn workflows by a rule that asks first, some time ago; return the decisions' names."""
    at = datetime.now(UTC) - ago
    one = replace(kill(), mode=Mode.APPROVE, due_at=at, names=names)
    decisions = [replace(one, workflow=workflow(name)) for name in workflows]

    def condemn(tx: Connection) -> list[str]:
        made = journal.record(tx, replace(evaluation(*decisions), at=at)).decisions
        for name in made:
            approvals.ask(tx, name, at + timedelta(hours=24), at)
        return list(made)

    return database.write(condemn)


def test_without_a_name_it_lists_what_waits(database: Database, responder: Command) -> None:
    nothing = responder("approve")
    assert (nothing.exit_code, nothing.stdout) == (0, "")
    assert nothing.stderr == "Nothing waits to be approved.\n"
    first, second = asked(database, "a", "b\x1b[2J")
    lines = responder("approve").stdout.splitlines()
    assert lines[0].startswith(f"{first}  kill a on deal:759, rule lost-deal (main-1); lapses 20")
    assert lines[1:3] == [
        "    A lost deal needs no approval.",
        '    deal.stage_semantic_id is F: "F"',
    ]
    assert lines[3].startswith(f"{second}  kill b\ufffd[2J on deal:759")
    told = [json.loads(line) for line in responder("approve", "--json").stdout.splitlines()]
    assert [one["id"] for one in told] == [first, second]
    assert {key for one in told for key in one} == {
        *("id", "portal", "document", "workflow_id", "rule", "action", "together"),
        *("condemned_at", "lapses_at", "because", "template_id", "names", "conditions"),
    }


NAMES = Names(title="Поставка", amount="52000", currency="RUB", template="Discount approval")


def test_what_waits_is_named_in_the_status_and_no_line_is_too_wide(
    database: Database, responder: Command
) -> None:
    (name,) = asked(database, "65e5a449e8f135.21284909", names=NAMES)
    shown = responder("status", columns=80).stdout
    about = "Discount approval on deal 759 «Поставка, 52,000 RUB»"
    assert f"- kill {about}: rule lost-deal, decision {name} " in " ".join(shown.split())
    lines = [*shown.splitlines(), *responder("approve", columns=80).stdout.splitlines()]
    assert [line for line in lines if len(line) > 80] == []
    (waiting,) = json.loads(responder("status", "--json").stdout)["approvals"]
    assert (waiting["id"], waiting["about"]) == (name, about)
    assert waiting["names"]["title"] == "Поставка"


def test_it_approves_what_is_named(database: Database, responder: Command) -> None:
    first, second = asked(database, "a", "b")
    done = responder("approve", first)
    assert (done.exit_code, done.stdout) == (0, f"Approved {first}: judged afresh at once.\n")
    (left,) = responder("approve", "--json").stdout.splitlines()
    assert json.loads(left)["id"] == second
    again = responder("approve", first, second)
    assert (again.exit_code, again.stdout) == (1, f"Approved {second}: judged afresh at once.\n")
    assert again.stderr.startswith(f"{first}: it was approved by ")


def test_what_is_approved_during_a_pause_waits_for_its_end(
    database: Database, responder: Command
) -> None:
    (first,) = asked(database, "a")
    assert responder("pause").exit_code == 0
    done = responder("approve", first)
    assert done.stdout == (
        f"Approved {first}: judged afresh after `responder resume`, for everything is paused.\n"
    )


def test_a_whole_list_is_shown_and_asked_for(database: Database, responder: Command) -> None:
    made = asked(database, "a", "b")
    (other,) = asked(database, "c")
    no = responder("approve", "--set", made[0], answer="n\n")
    assert no.exit_code == 1
    assert "Approve these 2?" in no.stderr
    assert other not in no.stdout
    yes = responder("approve", "--set", made[0], answer="y\n")
    assert yes.exit_code == 0
    assert f"Approved {', '.join(made)}" in yes.stdout
    sure = responder("approve", "--set", "--yes", other)
    assert (sure.exit_code, f"Approved {other}" in sure.stdout) == (0, True)


def test_what_lapsed_is_refused_and_what_is_not_there_is_a_wrong_question(
    database: Database, responder: Command
) -> None:
    (late,) = asked(database, "a", ago=timedelta(hours=25))
    lapsed = responder("approve", late)
    assert lapsed.exit_code == 1
    assert "nobody had approved it within a day" in lapsed.stderr
    for words in (("main-999-1",), ("--set", "nonsense")):
        unknown = responder("approve", *words)
        assert unknown.exit_code == 2
        assert unknown.stderr.startswith("There is no decision ")


def test_status_counts_what_waits_and_decisions_show_it(
    database: Database, responder: Command
) -> None:
    (name,) = asked(database, "a")
    told = json.loads(responder("status", "--json").stdout)
    assert told["portals"]["main"]["waiting_for_approval"] == 1
    (shown,) = responder("decisions", "--json", "--outcome", "held").stdout.splitlines()
    assert json.loads(shown)["id"] == name
    assert re.search(r"^mode +approve$", responder("decisions", "show", name).stdout, re.MULTILINE)
    (other,) = asked(database, "b")
    done = responder("cancel", name, other)
    assert (done.exit_code, done.stdout) == (0, f"Cancelled {name}, {other}.\n")
    assert responder("cancel", name, other).exit_code == 2
    assert "it is cancelled" in responder("approve", name).stderr

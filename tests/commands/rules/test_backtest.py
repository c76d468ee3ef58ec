"""The commands that show what rules would have done: backtest, and the figures in `rules`."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.commands.cli import main
from responder.model import Outcome
from responder.store.database.database import Database
from tests.rules.make import DEAL, a_rule, a_workflow, in_a_file
from tests.support.evaluations import kill, record
from tests.support.past_log import PastRules
from tests.support.past_log import rules as loaded
from tests.support.processes import TOKEN, event, running
from tests.support.sqlite_first import migrated_url as migrated_url

Command = Callable[..., Result]
LOST = a_rule(
    "deal.stage_semantic_id: F, workflow.template_id: 61", name="lost-deal", mode="observe"
)
WIDER = LOST.replace("61", "[61, 7]")
F = {"deal.stage_semantic_id": "F"}


@pytest.fixture
def past(database: Database) -> PastRules:
    """Give the log of yesterday, in which a lost deal had two workflows and one was condemned."""
    log = PastRules(database, loaded(LOST), now=datetime.now(UTC) - timedelta(days=1))
    log.happened(F, a_workflow("a"), a_workflow("b", template_id="7"))
    return log


@pytest.fixture
def responder(tmp_path: Path, migrated_url: str) -> Command:
    """Run a command beside a log; the rules in use are those that decided."""
    (tmp_path / "rules.yaml").write_text(in_a_file(LOST))

    def invoke(*words: object) -> Result:
        environment = {
            "RESPONDER_RULES": str(tmp_path / "rules.yaml"),
            "RESPONDER_SECRETS_DIR": str(tmp_path),
            "RESPONDER_DATABASE_URL": migrated_url,
            "RESPONDER_PORTALS__MAIN__URL": "https://portal.example/rest/1/secret-of-portal/",
            "RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS": TOKEN,
        }
        return CliRunner().invoke(main, [str(word) for word in words], env=environment)

    return invoke


def new(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "new.yaml"
    path.write_text(in_a_file(text))
    return path


def test_it_names_each_kill_with_its_rule_and_the_test_that_made_it(
    responder: Command, past: PastRules, tmp_path: Path
) -> None:
    result = responder("backtest", new(tmp_path, WIDER))
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "+ b  deal:759  lost-deal  main-1",
        "    lost-deal did not hold then",
        '    no       if.workflow.template_id is 61; it is "7"',
        "  lost-deal: 1 then, 2 now",
        "+1 kills, \u22120, 0 undecidable",
    ]
    assert past.ruleset.revision not in result.stderr
    assert "against what was decided then, on 1 evaluations since" in result.stderr


def test_added_kills_fail_only_where_that_was_asked(
    responder: Command, past: PastRules, tmp_path: Path
) -> None:
    assert past.ruleset.rules
    wider = new(tmp_path, WIDER)
    assert responder("backtest", wider, "--fail-on", "added").exit_code == 1
    assert responder("backtest", wider, "--since", "1h", "--fail-on", "added").exit_code == 0
    assert responder("backtest", tmp_path / "rules.yaml", "--fail-on", "added").exit_code == 0


def test_a_program_reads_one_object_a_line(
    responder: Command, past: PastRules, tmp_path: Path
) -> None:
    result = responder(
        "backtest", new(tmp_path, WIDER), "--json", "--against", past.ruleset.revision
    )
    difference, summary = map(json.loads, result.stdout.splitlines())
    assert (difference["difference"], difference["workflow"]) == ("added", "b")
    assert (summary["added"], summary["against"]) == (1, past.ruleset.revision)
    assert result.stderr == ""


def test_a_slip_of_the_pen_is_told_as_check_tells_it(
    responder: Command, past: PastRules, tmp_path: Path
) -> None:
    assert past.ruleset.rules
    path = new(tmp_path, WIDER.replace("stage_semantic_id", "stage_semantic"))
    result = responder("backtest", path)
    assert result.exit_code == 2
    assert result.stdout == responder("check", path).stdout
    assert "error: there is no fact `deal.stage_semantic`" in result.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--since", "soon"), "--since takes a number and a unit"),
        (("--against", "0123456789abcdef"), "No decision was made by a revision 0123456789abcdef."),
        (("--portal", "main2"), "There is no portal main2; there are: main."),
    ],
)
def test_a_wrong_question_ends_with_2(
    responder: Command, past: PastRules, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    assert past.ruleset.rules
    result = responder("backtest", new(tmp_path, WIDER), *words)
    assert result.exit_code == 2
    assert said in result.stderr


def test_other_wrong_questions(responder: Command, past: PastRules, tmp_path: Path) -> None:
    assert responder("backtest", tmp_path / "none.yaml").exit_code == 2
    assert responder("rules", "--portal", "main2").exit_code == 2
    past.ruleset.text = "version: 0"
    past.ruleset.revision = "0000000000000000"
    past.happened(F, a_workflow("c"))
    result = responder("backtest", new(tmp_path, WIDER), "--against", "0000000000000000")
    assert (result.exit_code, "This version cannot read" in result.stderr) == (2, True)


def test_rules_say_what_they_would_have_done(
    responder: Command, database: Database, tmp_path: Path
) -> None:
    assert "Observed: would have killed nothing yet." in responder("rules").stdout
    record(database, *(kill(name, Outcome.WOULD_KILL) for name in ("a", "b")))
    said = "Observed since 2026-09-24: would have killed 2 on 1 document; 2 cannot be told"
    assert said in responder("rules").stdout
    assert "Ready to enforce? Not yet.\n  observed: " in responder("rules").stdout
    (tmp_path / "rules.yaml").write_text(
        in_a_file(a_rule(name="keep", when=None, then="leave") + a_rule(name="b") + LOST)
    )
    assert "\nb (enforce)\n" in responder("rules").stdout
    keep, _, lost = map(
        json.loads, responder("rules", "--json", "--portal", "main").stdout.splitlines()
    )
    assert (keep["mode"], keep["shadow"]) == (None, None)
    assert lost["shadow"]["workflows"] == 2
    assert lost["shadow"]["since"].startswith("2026-09-24T12:00:00")
    assert (lost["ready"]["ready"], lost["ready"]["tests"], keep["ready"]) == (False, 0, None)


@pytest.mark.service
def test_a_terminal_is_shown_how_far_it_is(migrated_file: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{shutil.copy(migrated_file, tmp_path / 'log.db')}"
    database = Database(url)
    database.open()
    log = PastRules(database, loaded(LOST), now=datetime.now(UTC) - timedelta(days=1))
    log.happened(F, a_workflow("a"))
    database.close()
    ours, theirs = os.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "responder", "backtest", str(new(tmp_path, WIDER))],
        env={
            **os.environ,
            "RESPONDER_DATABASE_URL": url,
            "RESPONDER_PORTALS__MAIN__URL": "https://portal.example/rest/1/secret-of-portal/",
            "RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS": TOKEN,
        },
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=theirs,
        check=False,
    )
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert done.returncode == 0, shown
    assert "judging" in shown
    assert "100%" in shown
    assert done.stdout.decode().splitlines()[-1] == "+0 kills, \u22120, 0 undecidable"


@pytest.mark.service
def test_what_the_service_recorded_is_tried_while_it_serves(
    tmp_path: Path, database_url: str
) -> None:
    sandbox = Sandbox()
    sandbox.add_item(2, 759, stageId="LOSE", stageSemanticId="F", categoryId=0)
    for template in (61, 7):
        sandbox.add_template(template, "Approval")
        sandbox.start_workflow(DEAL.triple, template, id=f"w{template}")
    rules = in_a_file(LOST)
    with (
        SandboxServer(sandbox) as portal,
        running(tmp_path, portal.url, rules=rules, database_url=database_url) as service,
    ):
        service.post(event("ONCRMDEALUPDATE", 759))
        service.post(event("ONCRMLEADUPDATE", 5))
        service.settled(3)
        calls = sandbox.http_requests

        def responder(*words: object) -> str:
            result = CliRunner().invoke(main, list(map(str, words)), env=service.environment)
            assert result.exit_code == 0, result.output
            return result.stdout

        named = new(tmp_path, WIDER + a_rule(name="leads", when="[lead.updated]"))
        said = responder("backtest", named)
        assert said.splitlines()[-1] == "+1 kills, \u22120, 1 undecidable"
        assert "+ w7  deal:759  lost-deal" in said
        assert "? 1 x ONCRMLEADUPDATE: nothing was read for it" in said
        narrower = new(tmp_path, LOST.replace("F,", "F, deal.category_id: 0,"))
        (lacking, _) = responder("backtest", narrower, "--json").splitlines()
        assert json.loads(lacking)["facts"] == ["deal.category_id"]
        assert "main" in responder("audit", "verify")
        said = responder("rules")
        assert "would have killed 1 on 1 document; 1 cannot be told before a day is over" in said
        assert sandbox.http_requests == calls

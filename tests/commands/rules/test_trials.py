"""The commands that try rules: test, explain."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from responder.bitrix24.fetch.document_facts import Reading
from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.commands.cli import main
from responder.journal import record as journal
from responder.judge import planner
from responder.judge.jobs import Job
from responder.judge.plans import Known
from responder.model import Unknown, Workflow
from responder.rules.ruleset import load
from responder.store import rulesets
from responder.store.database.database import Database
from tests.rules.make import DEAL, a_rule, a_workflow, in_a_file
from tests.support.processes import TOKEN
from tests.support.sqlite_first import migrated_url as migrated_url
from tests.support.whole_log import erased

Command = Callable[..., Result]
NOW = datetime(2026, 9, 24, 9, tzinfo=UTC)
RULES = """\
version: 1
rules:
  - id: keep-vip
    because: We ask first.
    if: {deal.company_id: 17}
    then: leave
  - id: lost-deal
    because: A lost deal needs no approval.
    mode: enforce
    when: [deal.updated]
    if: {deal.stage_semantic_id: F, workflow.template_id: 61, workflow.age: {over: 1d}}
    then: kill
"""
TESTS = """\
tests:
  - name: a lost deal stops its approval
    event: deal.updated
    at: 2026-09-24T12:00:00+03:00
    facts: {deal: {stage_semantic_id: F}}
    workflows: [{id: a, template_id: 61, started: 2026-09-20T12:00:00+03:00}]
    expect: {a: {kill: lost-deal}}
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return path


@pytest.fixture
def portal() -> Iterator[SandboxServer]:
    sandbox = Sandbox()
    sandbox.add_item(2, 759, stageId="LOSE", stageSemanticId="F", categoryId=0, companyId=5)
    sandbox.add_template(61, "Approval")
    sandbox.start_workflow(DEAL.triple, 61, id="w1", started="2020-01-01T00:00:00+03:00")
    with SandboxServer(sandbox) as server:
        yield server


@pytest.fixture
def responder(rules: Path, tmp_path: Path) -> Command:
    """Run a command of the program against these rules; `settings` are further variables."""

    def invoke(*words: object, **settings: str) -> Result:
        environment = {"RESPONDER_RULES": str(rules), "RESPONDER_SECRETS_DIR": str(tmp_path)}
        environment |= {f"RESPONDER_{name}": value for name, value in settings.items()}
        return CliRunner().invoke(main, [str(word) for word in words], env=environment)

    return invoke


def of_portal(url: str) -> dict[str, str]:
    return {"PORTALS__MAIN__URL": url, "PORTALS__MAIN__APPLICATION_TOKENS": TOKEN}


def write(tmp_path: Path, text: str, name: str = "tests.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_tests_of_their_own_file_are_run_against_the_rules_in_use(
    responder: Command, tmp_path: Path
) -> None:
    result = responder("test", write(tmp_path, TESTS), "--junit", tmp_path / "junit.xml")
    assert result.output == "ok    a lost deal stops its approval\n1 test, all fine\n"
    assert result.exit_code == 0
    assert b'failures="0"' in (tmp_path / "junit.xml").read_bytes()


def test_a_failing_test_ends_with_1_and_an_untested_rule_is_listed(
    responder: Command, tmp_path: Path
) -> None:
    wrong = TESTS.replace("{kill: lost-deal}", "none")
    result = responder("test", write(tmp_path, wrong))
    assert result.exit_code == 1
    assert "a: expected none; got kill by lost-deal (enforce)" in result.output
    assert "lost-deal is enforced, and no test shows that it acts" in result.output


def test_build_servers_are_told_where_the_tests_could_not_be_run(
    responder: Command, rules: Path, tmp_path: Path
) -> None:
    rules.write_text(RULES.replace("then: leave", "then: leaf"))
    report = tmp_path / "junit.xml"
    assert responder("test", rules, "--junit", report).exit_code == 2
    assert b'errors="1"' in report.read_bytes()
    assert b"`then` is one of kill, terminate, leave" in report.read_bytes()
    assert responder("test", tmp_path / "none.yaml", "--junit", report).exit_code == 2
    assert b"none.yaml: No such file or directory" in report.read_bytes()


@pytest.mark.parametrize(
    "broken",
    [
        TESTS.replace("kill: lost-deal", "kill: lost-deel"),
        TESTS.replace("    expect: {a: {kill: lost-deal}}\n", ""),
        "tests: [",
        "5",
        "",
    ],
)
def test_tests_that_cannot_be_run_end_with_2_and_say_where(
    responder: Command, tmp_path: Path, broken: str
) -> None:
    path = write(tmp_path, broken)
    result = responder("test", path)
    assert result.exit_code == 2
    assert result.output.startswith(f"{path}:")
    assert ": error: " in result.output


def test_a_file_that_is_not_there_or_a_folder_is_one_clear_line(
    responder: Command, tmp_path: Path
) -> None:
    for command in ("test", "explain"):
        for path in (tmp_path / "none.yaml", tmp_path):
            result = responder(command, path)
            assert result.exit_code == 2
            assert len(result.output.splitlines()) == 1


def test_a_rules_file_is_read_aloud(responder: Command) -> None:
    result = responder("explain")
    assert result.exit_code == 0
    assert result.output == (
        "1. keep-vip (protects)\n"
        "   Whatever happens to a deal: if its company is 17, leave each running workflow\n"
        "   alone.\n"
        "   Because: We ask first.\n"
        "\n"
        "2. lost-deal (enforce)\n"
        "   When a deal changes: if it is lost, kill each running workflow of template 61\n"
        "   that started more than 1 day ago.\n"
        "   Because: A lost deal needs no approval.\n"
    )


def test_a_broken_rules_file_is_not_read_aloud(responder: Command, rules: Path) -> None:
    rules.write_text(RULES.replace("kill", "kil"))
    result = responder("explain")
    assert (result.exit_code, "did you mean `kill`?" in result.output) == (2, True)


def test_a_case_is_gone_through_with_or_without_an_expectation(
    responder: Command, tmp_path: Path
) -> None:
    case = "event: deal.updated\nfacts: {deal.stage_semantic_id: P}\nworkflows: [{id: a}]\n"
    result = responder("explain", write(tmp_path, case, "case.yaml"))
    assert result.exit_code == 0
    assert 'no       if.deal.stage_semantic_id is F; it is "P"' in result.output
    named = responder("explain", write(tmp_path, TESTS), "--case", "a lost deal stops its approval")
    assert "workflow a: kill by lost-deal (enforce)" in named.output
    assert responder("explain", write(tmp_path, TESTS), "--case", "x").exit_code == 2
    near = responder("explain", write(tmp_path, TESTS), "--case", "a lost deal stop its aproval")
    assert "Did you mean a lost deal stops its approval?" in near.output


def test_a_document_is_read_as_it_is_now_and_nothing_is_touched(
    responder: Command, portal: SandboxServer
) -> None:
    result = responder("explain", "--document", "deal:759", **of_portal(portal.url))
    assert result.exit_code == 0, result.output
    assert "workflow w1: kill by lost-deal (enforce)" in result.output
    assert "if.deal.company_id is 17; it is 5" in result.output
    assert portal.sandbox.killed == []
    assert {call.method for call in portal.sandbox.calls} <= {
        "batch",
        "crm.item.get",
        "bizproc.workflow.instances",
    }
    assert "sandbox-secret" not in result.output


def test_a_document_is_named_in_either_form(responder: Command, portal: SandboxServer) -> None:
    named = [
        responder("explain", "--document", ref, **of_portal(portal.url)).output
        for ref in ("DEAL_759", "deal_759", "crm|CCrmDocumentDeal|DEAL_759")
    ]
    assert all("workflow w1: kill by lost-deal" in output for output in named)


def test_a_document_that_is_not_there_is_said_to_be_none(
    responder: Command, portal: SandboxServer
) -> None:
    result = responder("explain", "--document", "deal:760", **of_portal(portal.url))
    assert "the portal has no such document" in result.output


def test_a_document_of_which_nobody_may_know_whether_it_is_there_is_said_to_be_so(
    responder: Command, portal: SandboxServer
) -> None:
    result = responder("explain", "--document", "list_23:7", **of_portal(portal.url))
    assert "whether the portal has it is unknown: insufficient_scope" in result.output
    other = responder("explain", "--document", "lists|BizprocDocument|77", **of_portal(portal.url))
    assert "written as list_23:777" in other.output
    assert other.exit_code == 2


def test_a_document_needs_its_kind_an_event_and_a_portal(
    responder: Command, portal: SandboxServer
) -> None:
    settings = of_portal(portal.url)
    for words in (
        ("--document", "deal"),
        ("--document", "deal:759", "--event", "deal.upated"),
        ("--document", "deal:759", "--portal", "other"),
        ("--document", "lists|BizprocDocument|7"),
    ):
        assert responder("explain", *words, **settings).exit_code == 2
    words = ("--document", "deal:759", "--event", "deal.upated")
    assert "Did you mean deal.updated?" in responder("explain", *words, **settings).output
    robot = responder("explain", "--document", "deal:759", "--event", "robot", **settings)
    assert "lost-deal: a robot does not set it off" in robot.output


@pytest.fixture
def recorded(database: Database, migrated_url: str) -> Callable[..., dict[str, str]]:
    """Record what the engine decides of deal 759, and return the settings to read it by."""

    def record(
        facts: dict[str, object],
        *workflows: Workflow,
        unlisted: Unknown | None = None,
        text: str = RULES,
        run: tuple[str, ...] | None = None,
    ) -> dict[str, str]:
        ruleset = load(text.encode(), file="rules.yaml")
        job = Job(portal="main", document=DEAL, trigger="event", events=("ONCRMDEALUPDATE",))
        if run is not None:
            job = replace(job, trigger="schedule", events=(), asked=run)
        reading = Reading({"document.exists": True, **facts}, unlisted or workflows, None)
        plan = planner.plan(job, reading, ruleset, enforcing=True, known=Known(), now=NOW)
        database.write(lambda tx: rulesets.keep(tx, ruleset.revision, ruleset.text, NOW))
        database.write(lambda tx: journal.record(tx, plan.evaluation(ruleset, NOW)))
        return {**of_portal("https://portal.example/rest/1/secret/"), "DATABASE_URL": migrated_url}

    return record


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"deal.stage_semantic_id": "F", "deal.company_id": 5}, "kill by lost-deal"),
        ({"deal.stage_semantic_id": "F", "deal.company_id": "17"}, "leave by keep-vip"),
        ({"deal.stage_semantic_id": "P", "deal.company_id": None}, "workflow a: nothing"),
        ({"deal.stage_semantic_id": "F", "deal.company_id": Unknown("no")}, "leave by keep-vip"),
    ],
)
def test_a_recorded_decision_is_gone_through_and_becomes_a_test_that_passes(
    responder: Command,
    recorded: Callable[..., dict[str, str]],
    tmp_path: Path,
    facts: dict[str, object],
    said: str,
) -> None:
    settings = recorded(facts, a_workflow())
    explained = responder("explain", "main-1-1", **settings)
    assert explained.exit_code == 0, explained.output
    assert said in explained.output
    written = responder("test", "--from", "main-1-1", **settings)
    assert written.exit_code == 0, written.output
    result = responder("test", write(tmp_path, written.output))
    assert "1 test, all fine" in result.output, written.output


def test_a_decision_on_several_workflows_becomes_a_test_of_their_rows_that_were_kept(
    responder: Command, recorded: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    facts = {"deal.stage_semantic_id": "F", "deal.company_id": 5}
    young = a_workflow("young", started=Unknown("no"))
    settings = recorded(facts, a_workflow("other", template_id="7"), young)
    written = responder("test", "--from", "main-1-1", **settings).output
    (case,) = yaml.safe_load(written)["tests"]
    assert [(row["id"], row["template_id"]) for row in case["workflows"]] == [
        ("other", "7"),
        ("young", "61"),
    ]
    assert case["unknown"] == ["workflow.started"]
    assert "1 test, all fine" in responder("test", write(tmp_path, written)).output
    explained = responder("explain", "main-1-1", **settings).output
    assert "unknown  if.workflow.age over 1d" in explained
    _, other = explained.split("workflow other: nothing")
    assert "yes      if.workflow.age over 1d" in other.partition("workflow young")[0]


def test_a_decision_by_keep_is_gone_through_among_the_workflows_that_it_chose_from(
    responder: Command, recorded: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    young = a_workflow("young", started="2026-09-21T12:00:00+03:00")
    text = in_a_file(a_rule(name="duplicate", more="keep: newest"))
    settings = recorded({}, a_workflow("old"), a_workflow("older"), young, text=text)
    explained = responder("explain", "main-1-1", **settings).output
    assert "workflow old: kill by duplicate (enforce)" in explained
    assert "workflow older" not in explained
    written = responder("test", "--from", "main-1-1", **settings).output
    tested = write(tmp_path, written)
    in_use = write(tmp_path, text, "rules.yaml")
    result = responder("test", tested, RULES=str(in_use))
    assert "1 test, all fine" in result.output, written + result.output


def test_a_decision_of_a_schedule_is_gone_through_by_the_rules_that_were_due(
    responder: Command, recorded: Callable[..., dict[str, str]]
) -> None:
    text = in_a_file(
        a_rule(name="nightly", when="[{daily_at: '03:00', timezone: Europe/Moscow}]")
        + a_rule(name="often", when="[{every: 5m}]")
    )
    settings = recorded({}, a_workflow(), text=text, run=("often",))
    explained = responder("explain", "main-1-1", **settings).output
    assert "workflow a: kill by often (enforce)" in explained
    assert "nightly: this run did not ask it" in explained


@pytest.mark.parametrize("more", ["wait: 10m", "during: night"])
def test_a_decision_that_waited_becomes_a_test_that_passes(
    responder: Command, recorded: Callable[..., dict[str, str]], tmp_path: Path, more: str
) -> None:
    head = 'calendars: {night: {timezone: UTC, from: "20:00", to: "06:00"}}\n'
    text = in_a_file(a_rule(more=more), head)
    settings = recorded({}, a_workflow(), text=text)
    tested = write(tmp_path, responder("test", "--from", "main-1-1", **settings).output)
    result = responder("test", tested, RULES=str(write(tmp_path, text, "rules.yaml")))
    assert "1 test, all fine" in result.output


def test_workflows_that_could_not_be_listed_are_so_in_the_test(
    responder: Command, recorded: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    settings = recorded({"deal.stage_semantic_id": "F"}, unlisted=Unknown("the portal is away"))
    explained = responder("explain", "main-1-1", **settings).output
    assert "its workflows cannot be listed: the portal is away" in explained
    written = responder("test", "--from", "main-1-1", **settings).output
    assert yaml.safe_load(written)["tests"][0]["unknown"][0] == "workflows"
    assert "1 test, all fine" in responder("test", write(tmp_path, written)).output


def test_of_a_decision_whose_facts_were_erased_nothing_is_guessed(
    responder: Command, recorded: Callable[..., dict[str, str]], database: Database
) -> None:
    settings = recorded({"deal.stage_semantic_id": "P"}, a_workflow())
    erased(database, "main-1-1")
    for words in (("explain", "main-1-1"), ("test", "--from", "main-1-1")):
        result = responder(*words, **settings)
        said = "the facts that main-1-1 rested on were erased\n"
        assert (result.exit_code, result.output) == (2, said)


def test_a_decision_without_a_document_has_nothing_to_go_through(
    responder: Command, recorded: Callable[..., dict[str, str]], database: Database
) -> None:
    settings = recorded({}, a_workflow())
    ruleset = load(RULES.encode(), file="rules.yaml")
    job = Job(portal="main", document=None, trigger="event", events=("ONAPPTEST",))
    (plan,) = planner.without_rules("main", [job])
    database.write(lambda tx: journal.record(tx, plan.evaluation(ruleset, NOW)))
    for words in (("explain", "main-2-1"), ("test", "--from", "main-2-1")):
        result = responder(*words, **settings)
        assert (result.exit_code, result.output) == (2, "main-2-1 speaks of no document\n")


def test_a_decision_that_there_is_not_is_said_so(
    responder: Command, recorded: Callable[..., dict[str, str]]
) -> None:
    settings = recorded({})
    for words in (("explain", "main-9-9"), ("test", "--from", "main-9-9")):
        result = responder(*words, **settings)
        assert (result.exit_code, result.output) == (2, "There is no decision main-9-9.\n")


@pytest.mark.service
def test_a_changed_file_is_tested_again(rules: Path, tmp_path: Path) -> None:
    path = write(tmp_path, TESTS)
    watching = subprocess.Popen(
        [sys.executable, "-m", "responder", "test", "--watch", str(path)],
        env={**os.environ, "RESPONDER_RULES": str(rules), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert watching.stdout is not None
        assert any(line.startswith("1 test, all fine") for line in watching.stdout)
        path.write_text(TESTS.replace("{kill: lost-deal}", "none"))
        assert any(line.startswith("1 test, 1 failed") for line in watching.stdout)
    finally:
        watching.send_signal(signal.SIGINT)
        assert watching.wait(10) == 0
        assert watching.stdout is not None
        watching.stdout.close()


def test_check_and_test_look_at_the_same_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.yaml").write_text("version: 1\nrules: [{id: a, then: kil}]\n")
    (tmp_path / ".env").write_text("RESPONDER_RULES=mine.yaml\n")
    monkeypatch.chdir(tmp_path)
    for command in ("check", "test"):
        done = CliRunner().invoke(main, [command])
        assert done.exit_code == 2
        assert "mine.yaml:2:" in done.stdout

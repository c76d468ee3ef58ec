"""The commands for those who write rules: check, schema, fields."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from responder.bitrix24.sandbox import SandboxServer, demo_portal
from responder.commands.cli import main
from tests.support.processes import TOKEN

Command = Callable[..., Result]
FINE = """\
version: 1
rules:
  - id: lost-deal
    because: A lost deal needs no approval.
    when: [deal.updated]
    if: {deal.stage_semantic_id: F, workflow.template_id: 61}
    then: kill
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(FINE)
    return path


def responder(*words: object, **settings: str) -> Result:
    environment = {f"RESPONDER_{name}": value for name, value in settings.items()}
    return CliRunner().invoke(main, [str(word) for word in words], env=environment)


def test_a_file_in_order_is_fine(rules: Path) -> None:
    result = responder("check", rules, "--strict")
    assert (result.exit_code, result.output) == (0, f"{rules}: fine\n")


def test_warnings_fail_only_a_strict_check(rules: Path) -> None:
    rules.write_text(FINE.replace("when:", "mode: enforce\n    when:"))
    assert responder("check", rules).exit_code == 0
    result = responder("check", rules, "--strict")
    assert result.exit_code == 1
    assert "warning: `lost-deal` is enforced, and no test expects it to act" in result.output


def test_tests_beside_the_rules_count(rules: Path, tmp_path: Path) -> None:
    rules.write_text(FINE.replace("when:", "mode: enforce\n    when:"))
    tests = tmp_path / "tests.yaml"
    case = "{event: deal.updated, workflows: [{id: a}], expect: {a: {kill: lost-deal}}}"
    tests.write_text(f"tests: [{case}]")
    assert responder("check", rules, "--strict", "--tests", tests).exit_code == 0
    tests.write_text(f"tests: [{case.replace('lost-deal', 'lost')}]")
    assert responder("check", rules, "--tests", tests).exit_code == 2
    assert responder("check", rules, "--tests", tmp_path / "none").exit_code == 2


def test_a_file_of_tests_alone_is_held_against_the_rules_in_use(
    rules: Path, tmp_path: Path
) -> None:
    tests = tmp_path / "tests.yaml"
    case = "{event: deal.updated, workflows: [{id: a}], expect: {a: {kill: lost-deal}}}"
    tests.write_text(f"tests: [{case}]\n")
    assert responder("check", tests, RULES=str(rules)).output == f"{tests}: fine\n"
    tests.write_text(f"tests: [{case.replace('lost-deal', 'lost')}]\n")
    result = responder("check", tests, RULES=str(rules))
    assert result.exit_code == 2
    assert "there is no rule `lost`" in result.output
    assert f"{tests}: 1 error" in result.output
    rules.write_text(FINE.replace("kill", "kil"))
    assert responder("check", tests, RULES=str(rules)).exit_code == 2


@pytest.mark.parametrize("form", ["text", "json", "github"])
def test_a_mistake_ends_with_2_in_every_format(rules: Path, form: str) -> None:
    rules.write_text(FINE.replace("kill", "kil"))
    result = responder("check", rules, "--format", form)
    assert result.exit_code == 2
    assert "kill" in result.output
    if form == "json":
        mistake, number = map(json.loads, result.output.splitlines())
        assert mistake["suggestion"] == "kill"
        assert number == {"file": str(rules), "errors": 1, "warnings": 0}
    if form == "text":
        assert result.output.endswith(f"\n{rules}: 1 error\n")


@pytest.mark.portal
def test_a_portal_tells_what_ids_are_called(rules: Path) -> None:
    with SandboxServer(demo_portal()) as server:
        settings = {
            "PORTALS__MAIN__URL": server.url,
            "PORTALS__MAIN__APPLICATION_TOKENS": TOKEN,
        }
        result = responder("check", rules, "--portal", "main", **settings)
        assert f"{rules}:6:59: note: template 61 is “Discount approval” in main" in result.output
        assert result.exit_code == 0
        rules.write_text(FINE.replace("61", "63"))
        result = responder("check", rules, "--portal", "main", "--strict", **settings)
        assert "warning: main has no template 63" in result.output
        assert result.exit_code == 1
        assert responder("check", rules, "--portal", "other", **settings).exit_code == 2


@pytest.mark.portal
def test_our_own_portal_knows_every_method_that_ids_are_looked_up_by(rules: Path) -> None:
    tests = (
        "deal.stage_semantic_id: F, deal.stage_id: LOSE, deal.category_id: 0, "
        "deal.assigned_by_id: 1, deal.uf_crm_none: x"
    )
    rules.write_text(FINE.replace("deal.stage_semantic_id: F", tests))
    with SandboxServer(demo_portal()) as server:
        settings = {
            "PORTALS__MAIN__URL": server.url,
            "PORTALS__MAIN__APPLICATION_TOKENS": TOKEN,
        }
        output = responder("check", rules, "--portal", "main", **settings).output
    assert "could not be read" not in output
    assert "deal pipeline 0 is “General” in main" in output


def test_the_schema_is_json() -> None:
    assert json.loads(responder("schema").output)["$schema"].endswith("2020-12/schema")


def test_fields_of_a_kind_are_listed() -> None:
    assert "deal.opportunity" in responder("fields", "deal").output
    wrong = responder("fields", "dael")
    assert (wrong.exit_code, wrong.output) == (2, "There is no kind dael. Did you mean deal?\n")


OF_A_LIST = """\
version: 1
rules:
  - id: of-a-list
    when: [{every: 1h}]
    if: {list_23.property_1153: x, list_23.property_1151: y, workflow.template_id: 61}
    then: kill
"""


@pytest.mark.portal
def test_the_fields_of_a_list_are_read_from_a_portal(rules: Path) -> None:
    sandbox = demo_portal()
    sandbox.scopes = ("bizproc", "crm", "lists")
    sandbox.lists.add(23, "Leave", "bitrix_processes")
    sandbox.lists.add_field(23, "PROPERTY_1151", "Last day", "S:Date")
    sandbox.lists.add_field(23, "PROPERTY_1152", "Reason", "L", choices={"5": "Sick"})
    with SandboxServer(sandbox) as server:
        settings = {
            "PORTALS__MAIN__URL": server.url,
            "PORTALS__MAIN__APPLICATION_TOKENS": TOKEN,
        }
        listed = responder("fields", "list_23", "--portal", "main", **settings).output
        lines = [" ".join(line.split()) for line in listed.splitlines()]
        assert "list_23.property_1151 any Last day (S:Date)." in lines
        assert "list_23.property_1152 any Reason (L: 5 is Sick)." in lines
        gone = responder("fields", "list_24", "--portal", "main", **settings)
        assert gone.exit_code == 2
        assert "list 24 is not there, or we may not read it" in gone.output
        rules.write_text(OF_A_LIST)
        result = responder("check", rules, "--portal", "main", **settings)
        assert "main has no list_23 field PROPERTY_1153" in result.output
        assert "list_23 field PROPERTY_1151 is “Last day” in main" in result.output
    assert responder("fields", "task", "--portal", "main", **settings).exit_code == 2


@pytest.mark.portal
def test_the_templates_of_a_portal_are_listed_with_their_numbers() -> None:
    with SandboxServer(demo_portal()) as server:
        settings = {
            "PORTALS__MAIN__URL": server.url,
            "PORTALS__MAIN__APPLICATION_TOKENS": TOKEN,
        }
        listed = responder("fields", "template", "--portal", "main", **settings).output
        told = responder("fields", "template", "--portal", "main", "--json", **settings).output
    lines = [" ".join(line.split()) for line in listed.splitlines()]
    assert lines[0] == "TEMPLATE NAME OF"
    assert "61 Discount approval DEAL" in lines
    assert {"id": "61", "name": "Discount approval", "document_type": "DEAL"} in [
        json.loads(line) for line in told.splitlines()
    ]


@pytest.mark.portal
def test_the_fields_that_a_portal_added_are_read_from_it() -> None:
    sandbox = demo_portal()
    sandbox.add_item(2, 12, UF_CRM_PRICE="150|RUB", UF_CRM_NOTE="x", title="A")
    with SandboxServer(sandbox) as server:
        settings = {
            "PORTALS__MAIN__URL": server.url,
            "PORTALS__MAIN__APPLICATION_TOKENS": TOKEN,
        }
        listed = responder("fields", "deal", "--portal", "main", **settings).output
    said = " ".join(listed.split())
    assert "deal.uf_crm_price any UF_CRM_PRICE (money; name the `currency`)." in said
    assert "deal.uf_crm_note any UF_CRM_NOTE (string)." in said
    assert "uf_…" not in said


@pytest.mark.parametrize(
    "data",
    [
        b"a" * 5_000_000,
        b"[" * 1000,
        b"version: 1\n\xff",
        b"a: &x 1\nb: *x\n",
        b"version: !!int 1\n",
        b"rules:\n\t- id: a\n",
        b"version: 1\nversion: 1\n",
        b"",
        b"\x00",
    ],
)
def test_bad_bytes_are_a_clear_line_for_every_command(rules: Path, data: bytes) -> None:
    rules.write_bytes(data)
    for command in ("check", "test", "explain"):
        result = responder(command, rules)
        assert result.exit_code == 2
        assert result.output.startswith(f"{rules}:")
        assert isinstance(result.exception, SystemExit)


def test_where_there_are_no_rules_yet_it_says_how_to_begin(tmp_path: Path) -> None:
    result = responder("check", tmp_path / "rules.yaml")
    assert result.exit_code == 2
    assert "`responder recipes` lists rules to begin with." in result.stderr

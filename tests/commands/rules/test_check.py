"""The command that finds mistakes: check."""

import json
from pathlib import Path

import pytest

from responder.bitrix24.sandbox import SandboxServer, demo_portal
from tests.commands.rules.make import responder
from tests.support.processes import TOKEN

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

"""`responder app` guides before anything is installed, and says what is wrong with a question."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from responder.commands.cli import main

WEBHOOK = {
    "RESPONDER_PORTALS__SIDE__URL": "https://side.bitrix24.com/rest/1/hook-secret-0001/",
    "RESPONDER_PORTALS__SIDE__APPLICATION_TOKENS": "side-token-0123456789",
}
APPLICATION = {
    "RESPONDER_SECRET_KEY": "a-key-of-more-than-thirty-two-characters",
    "RESPONDER_PORTALS__MAIN__DOMAIN": "p.bitrix24.com",
    "RESPONDER_PUBLIC_URL": "https://responder.example/",
}
RULES = """\
version: 1
defaults: {portals: [main]}
rules:
  - id: a-task
    when: [task.updated]
    if: {task.status: 5, workflow.template_id: 61}
    then: kill
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    return tmp_path


def app(*words: str, **environment: str) -> Result:
    return CliRunner().invoke(main, ["app", *words], env=environment)


def test_before_the_first_start_it_says_what_to_fill_in(place: Path) -> None:
    shown = app(**WEBHOOK, **APPLICATION)
    assert shown.exit_code == 0
    assert "https://responder.example/app/main" in shown.output
    assert "bizproc, crm, user_brief, task" in shown.output
    assert "side" not in shown.output
    assert not (place / "responder.db").exists()


@pytest.mark.usefixtures("place")
def test_for_programs_it_is_one_object_a_line() -> None:
    keys = {"CLIENT_ID": "local.1.2", "CLIENT_SECRET": "client-secret-0001"}
    given = {f"RESPONDER_PORTALS__MAIN__{name}": value for name, value in keys.items()}
    shown = app("--json", **APPLICATION, **given)
    assert "client-secret-0001" not in shown.output
    found = json.loads(shown.stdout)
    assert (found["portal"], found["state"], found["called_by"]) == (
        "main",
        "not_installed",
        "none",
    )
    assert found["authorize_url"].startswith("https://p.bitrix24.com/oauth/authorize/?client_id=")


def test_with_broken_rules_it_names_every_scope(place: Path) -> None:
    (place / "rules.yaml").write_text("version: 7", encoding="utf-8")
    assert "bizproc, crm, user_brief, task" in app(**APPLICATION).output


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("words", "environment", "words_of_error"),
    [
        ((), WEBHOOK, "No portal has a local application"),
        (("--portal", "side"), {**WEBHOOK, **APPLICATION}, "Portal side has no local application"),
        (("--portal", "other"), APPLICATION, "There is no portal other"),
    ],
)
def test_a_wrong_question_is_answered_with_the_reason(
    words: tuple[str, ...], environment: dict[str, str], words_of_error: str
) -> None:
    shown = app(*words, **environment)
    assert shown.exit_code == 2
    assert words_of_error in shown.output

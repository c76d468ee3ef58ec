"""The commands that print what is installed with the program: recipes, docs, deploy."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from responder.adapters.package_texts import DEPLOY, DOCS, RECIPES, Texts
from responder.commands.cli import main

EACH = pytest.mark.parametrize(
    ("command", "texts"), [("recipes", RECIPES), ("docs", DOCS), ("deploy", DEPLOY)]
)


def responder(*words: str) -> Result:
    return CliRunner().invoke(main, words)


@EACH
def test_without_a_name_each_is_listed_in_a_line_of_the_terminal(
    command: str, texts: Texts
) -> None:
    lines = responder(command).output.splitlines()
    assert [line.split()[0] for line in lines] == texts.names()
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.service
@EACH
def test_each_is_printed_as_it_is_without_any_setting(
    command: str, texts: Texts, tmp_path: Path
) -> None:
    for name in texts.names():
        assert responder(command, name).output == texts.text(name)
    printed = subprocess.run(
        [sys.executable, "-m", "responder", command, texts.names()[0]],
        cwd=tmp_path,
        env={},
        capture_output=True,
        check=True,
    )
    assert printed.stdout.decode() == texts.text(texts.names()[0])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("recipes", "lost-deal"), "there is no recipe `lost-deal`; did you mean lost-deals?\n"),
        (("docs", "how_it_works"), "there is no page `how_it_works`; did you mean how-it-works?\n"),
        (("deploy", "Caddyfile"), "there is no file `Caddyfile`; did you mean caddyfile?\n"),
        (("docs", "xyz"), "there is no page `xyz`; `responder docs` lists all\n"),
    ],
)
def test_a_name_that_does_not_exist_is_answered_with_the_nearest(
    words: tuple[str, ...], said: str
) -> None:
    wrong = responder(*words)
    assert (wrong.exit_code, wrong.output) == (2, said)

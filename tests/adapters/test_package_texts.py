"""Texts that are installed with the program."""

import pytest

from responder.adapters.package_texts import DEPLOY, DOCS, RECIPES, Texts, UnknownTextError

ALL = pytest.mark.parametrize("texts", [DEPLOY, DOCS, RECIPES], ids=lambda texts: texts.folder)


@ALL
def test_each_says_in_its_first_line_what_it_is_for(texts: Texts) -> None:
    for name, line in texts.index():
        assert texts.text(name).startswith((f"# {line}\n", f'{{\n  "description": "{line}",\n'))
        assert len(line) > 20


@ALL
@pytest.mark.parametrize("name", ["", "nope", "../settings/settings", "/etc/passwd", "pictures"])
def test_another_name_is_no_way_out_of_the_folder(texts: Texts, name: str) -> None:
    with pytest.raises(UnknownTextError):
        texts.text(name)


def test_names_are_those_of_the_files_in_lower_case_without_their_endings() -> None:
    assert DEPLOY.names() == [
        *("alerts", "caddyfile", "compose", "dashboard", "kubernetes", "postgres", "systemd")
    ]

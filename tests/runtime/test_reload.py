"""A changed rules file is taken up all or nothing, however it is replaced."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from responder.rules.ruleset import RulesError
from responder.runtime.reload import RulesInForce

NOW = datetime(2026, 9, 24, 12, tzinfo=UTC)


def text(name: str) -> str:
    return (
        "version: 1\nrules:\n"
        f"  - {{id: {name}, when: [deal.updated], if: {{workflow.id: a}}, then: kill}}\n"
    )


def in_force(path: Path) -> RulesInForce:
    return RulesInForce(path, portals=["main"], now=lambda: NOW)


def names(rules: RulesInForce) -> list[str]:
    return [rule.id for rule in rules.ruleset.rules]


def rewrite(path: Path, new: str) -> None:
    path.write_text(new)


def rename_over(path: Path, new: str) -> None:
    other = path.with_suffix(".new")
    other.write_text(new)
    other.rename(path)


def delete_and_create(path: Path, new: str) -> None:
    path.unlink()
    path.write_text(new)


@pytest.mark.parametrize("replace", [rewrite, rename_over, delete_and_create])
def test_a_file_that_was_replaced_is_taken_up(
    tmp_path: Path, replace: Callable[[Path, str], None]
) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(text("one"))
    rules = in_force(path)
    replace(path, text("two"))
    rules.look()
    assert names(rules) == ["two"]


def test_a_link_that_is_swapped_below_the_file_is_taken_up(tmp_path: Path) -> None:
    for version in ("one", "two"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "rules.yaml").write_text(text(version))
    (tmp_path / "..data").symlink_to("one")
    path = tmp_path / "rules.yaml"
    path.symlink_to("..data/rules.yaml")
    rules = in_force(path)
    (tmp_path / "..data_tmp").symlink_to("two")
    os.replace(tmp_path / "..data_tmp", tmp_path / "..data")  # noqa: PTH105 - of a link itself
    rules.look()
    assert names(rules) == ["two"]


def test_a_broken_file_leaves_the_running_revision_in_force(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(text("one"))
    rules = in_force(path)
    path.write_text(text("two").replace("when", "wehn"))
    rules.look()
    assert names(rules) == ["one"]
    assert rules.error is not None
    assert rules.error.startswith(f"{path}:3:")
    path.write_text(text("one"))
    rules.look()
    assert rules.error is None


def test_a_file_that_is_gone_leaves_the_running_revision_in_force(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(text("one"))
    rules = in_force(path)
    path.unlink()
    rules.look()
    assert names(rules) == ["one"]
    assert rules.error == f"{path}: No such file or directory"


def test_a_broken_file_is_no_beginning(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("")
    with pytest.raises(RulesError):
        in_force(path)

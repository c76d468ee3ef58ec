"""A changed rules file is taken up all or nothing, however it is replaced."""

import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from responder.judge.rules_in_force import RulesInForce, wait_until_unchanged
from responder.rules.ruleset import RulesError

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
    rules.reload(at_once=True)
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
    rules.reload(at_once=True)
    assert names(rules) == ["two"]


def test_a_broken_file_leaves_the_running_revision_in_force(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(text("one"))
    rules = in_force(path)
    path.write_text(text("two").replace("when", "wehn"))
    rules.reload(at_once=True)
    assert names(rules) == ["one"]
    assert rules.error is not None
    assert rules.error.startswith(f"{path}:3:")
    path.write_text(text("one"))
    rules.reload(at_once=True)
    assert rules.error is None


def test_a_file_that_is_gone_leaves_the_running_revision_in_force(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(text("one"))
    rules = in_force(path)
    path.unlink()
    rules.reload(at_once=True)
    assert names(rules) == ["one"]
    assert rules.error == f"{path}: No such file or directory"


def test_a_broken_file_is_no_beginning(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("")
    with pytest.raises(RulesError):
        in_force(path)


def test_a_file_that_is_being_written_is_taken_up_once_two_looks_found_it_the_same(
    tmp_path: Path,
) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(text("one"))
    rules = in_force(path)
    whole = text("two") + "    \n" + text("three").partition("rules:\n")[2]
    for half in (whole[:90], text("two"), whole):
        path.write_text(half)
        rules.reload()
        assert (names(rules), rules.error) == (["one"], None)
    rules.reload()
    assert names(rules) == ["two", "three"]


def test_a_broken_file_is_told_of_once_it_stands_still(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(text("one"))
    rules = in_force(path)
    path.write_text("version: 1\nru")
    rules.reload()
    assert rules.error is None
    rules.reload()
    assert rules.error is not None


def test_who_starts_waits_for_a_file_that_is_being_written(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(text("one"))

    def write_more() -> None:
        for number in range(3):
            time.sleep(0.1)
            path.write_text(text(f"more-{number}"))

    writer = threading.Thread(target=write_more)
    writer.start()
    wait_until_unchanged(path, 0.3)
    assert names(in_force(path)) == ["more-2"]
    writer.join()
    os.utime(path, (1, 1))
    began = time.monotonic()
    wait_until_unchanged(path, 60.0)  # it has been so for years
    wait_until_unchanged(tmp_path / "nowhere", 60.0)
    assert time.monotonic() - began < 30


def test_who_starts_waits_for_no_file_that_is_only_touched(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(text("one"))
    over = threading.Event()

    def touch() -> None:
        while not over.wait(0.05):
            path.touch()

    toucher = threading.Thread(target=touch)
    toucher.start()
    waiting = threading.Thread(target=wait_until_unchanged, args=(path, 0.3))
    waiting.start()
    waiting.join(20)
    waits = waiting.is_alive()
    over.set()
    toucher.join()
    waiting.join()
    assert not waits

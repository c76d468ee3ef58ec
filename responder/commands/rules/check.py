"""Defines `check`, which needs no settings unless a portal is asked."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from responder.commands.context import (
    fail,
    is_known_to_the_log,
    portal_of,
    rules_in_use,
    settings,
    show_mistakes,
)
from responder.commands.rules.trials import portal_named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from responder.authoring.portal_ids import Comparison
    from responder.rules.ruleset import Ruleset
    from responder.rules.yaml_positions import Mistake
    from responder.settings.settings import Settings

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("file", required=False, type=_FILE)
@click.option("--format", "form", type=click.Choice(["text", "json", "github"]), default="text")
@click.option("--strict", is_flag=True, help="Exit with 1 where there are warnings.")
@click.option("--tests", type=_FILE, help="A file of tests, whose rules then count as tested.")
@click.option("--portal", metavar="NAME", help="Look up ids in this portal of the settings.")
def check(
    file: Path | None,
    form: Literal["text", "json", "github"],
    tests: Path | None,
    portal: str | None,
    *,
    strict: bool,
) -> None:
    """Report every mistake in a rules file, with its place and the nearest right name.

    A file of tests alone is held against the rules in use.

    Without FILE that is RESPONDER_RULES, or rules.yaml. Exits with 0 when it is fine, 1 with
    --strict when there are warnings, 2 when it cannot load.
    """
    from responder.authoring import check as checking
    from responder.authoring.cases import case_runs

    file = file or rules_in_use()
    try:
        data = file.read_bytes()
    except OSError as error:
        click.echo(f"{file}:1:1: error: {error.strerror}")
        if isinstance(error, FileNotFoundError):
            click.echo("`responder recipes` lists rules to begin with.", err=True)
        sys.exit(2)
    has_rules = case_runs.has_rules(data)
    if has_rules:
        mistakes = _mistakes_of_rules(data, file, tests)
    else:
        mistakes = checking.check_tests(data, str(file), _rules_in_use())
    broken = any(mistake.severity == "error" for mistake in mistakes)
    if portal is not None and has_rules and not broken:
        found = _compared(data, file, portal)
        mistakes = (*mistakes, *found.warnings)  # all of them warnings
        for note in found.notes if form == "text" else ():
            click.echo(f"{file}:{note.line}:{note.column}: note: {note.text}")
    click.echo(checking.render(mistakes, data, format=form), nl=False)
    click.echo(checking.count(mistakes, format=form), nl=False)
    if broken:
        sys.exit(2)
    if form == "text" and not mistakes:
        click.echo(f"{file}: fine", err=True)
    sys.exit(1 if strict and mistakes else 0)


def _mistakes_of_rules(data: bytes, file: Path, tests: Path | None) -> "Sequence[Mistake]":
    """Return the mistakes of a file of rules; the rules that `tests` expect count as tested."""
    from responder.authoring import check as checking

    return checking.check(
        data,
        str(file),
        tested=_tested(tests, data, file),
        is_known=is_known_to_the_log,
        now=datetime.now(UTC),
    )


def _rules_in_use() -> "Ruleset":
    """Load the rules in use; print their mistakes and exit where they have some."""
    from responder.rules.ruleset import RulesError, load

    path = rules_in_use()
    try:
        return load(path.read_bytes(), file=str(path), is_known=is_known_to_the_log)
    except RulesError as error:
        show_mistakes(error)
        sys.exit(2)
    except OSError as error:
        fail(f"{path}: {error.strerror}")


def _tested(tests: Path | None, data: bytes, file: Path) -> set[str]:
    """Return the rules that tests in a file of their own expect to decide."""
    from responder.authoring import expectations
    from responder.authoring.cases import case_runs
    from responder.rules.ruleset import RulesError, load

    if tests is None:
        return set()
    try:
        ruleset = load(data, file=str(file), is_known=is_known_to_the_log)
    except RulesError:
        return set()
    try:
        cases = case_runs.suite_of_tests(tests.read_bytes(), str(tests), ruleset).cases
    except RulesError as error:
        show_mistakes(error)
        sys.exit(2)
    except OSError as error:
        fail(f"{tests}: {error.strerror}")
    return {rule for case in cases for rule in expectations.rules_of(case.expected)}


def _compared(data: bytes, file: Path, portal: str) -> "Comparison":
    """Look up a file's ids in a portal of the settings."""
    import asyncio

    given = settings()
    return asyncio.run(_looked_up(data, file, portal_named(portal, given), given))


async def _looked_up(data: bytes, file: Path, name: str, given: "Settings") -> "Comparison":
    from responder.authoring.live_document import sender
    from responder.authoring.portal_ids import compare
    from responder.rules import yaml_positions
    from responder.rules.load.syntax import yaml_reader

    root = yaml_reader.read(data, yaml_positions.Mistakes(str(file)))
    assert isinstance(root, yaml_positions.Table)
    portal = portal_of(given, name)
    try:
        return await compare(sender(portal), root, str(file), name)
    finally:
        await portal.close()

"""Defines the commands that try rules on test cases, on recorded decisions, or on a document."""

import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from responder.adapters.terminal import print_verbatim
from responder.commands.arguments.document_argument import DOCUMENT
from responder.commands.context import (
    did_you_mean,
    fail,
    is_known_to_the_log,
    opened_log,
    portal_of,
    require_portal,
    rules_in_use,
    rules_of_revision,
    settings,
    show_mistakes,
)
from responder.rules.revision import shown

if TYPE_CHECKING:
    from responder.authoring.backtest.recorded_case import Decision
    from responder.authoring.cases.case_runs import Suite
    from responder.authoring.explain import Explanation
    from responder.authoring.live_document import Cause
    from responder.journal.reading.history import Past
    from responder.model import Document, Situation
    from responder.rules.ruleset import Ruleset
    from responder.settings.settings import Settings

_DECISION = re.compile(r"[a-z0-9_]+-[0-9]+-[0-9]+")
_CAUSES = ("robot", "sweep", "schedule")
_WATCH_SECONDS = 0.5
_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("file", required=False, type=_FILE)
@click.option("--junit", type=_FILE, help="Write the results for a build server, too.")
@click.option("--watch", is_flag=True, help="Run again whenever a file changes, until Ctrl-C.")
@click.option("--from", "decision", metavar="DECISION", help="Print a decision as a test instead.")
def test(file: Path | None, junit: Path | None, decision: str | None, *, watch: bool) -> None:
    """Run the tests in a rules file, or those in a file of their own against the rules in use.

    Exits with 0 when all pass, 1 when one fails, 2 when they cannot be run.
    """
    if decision is not None:
        _print_as_test(decision)
        return
    file = file or rules_in_use()
    if not watch:
        sys.exit(_run(file, junit))
    try:
        _run_for_ever(file, junit)
    except KeyboardInterrupt:
        sys.exit(0)


def _run_for_ever(file: Path, junit: Path | None) -> NoReturn:
    seen: object = None
    while True:
        if seen != (seen := [_changed_at(path) for path in (file, rules_in_use())]):
            click.echo(f"-- {datetime.now():%H:%M:%S}")  # noqa: DTZ005  # the clock on the wall
            _run(file, junit)
        time.sleep(_WATCH_SECONDS)


def _changed_at(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _run(file: Path, junit: Path | None) -> int:
    """Run the tests, print the results, and return the exit code."""
    from responder.authoring.cases import case_runs
    from responder.rules.ruleset import RulesError

    try:
        suite = _suite(file, expecting=True)
    except RulesError as error:
        show_mistakes(error)
        _write(junit, case_runs.junit_of_mistakes(error.mistakes, str(file)))
        return 2
    except OSError as error:
        why = f"{error.filename}: {error.strerror}"
        click.echo(why, err=True)
        _write(junit, case_runs.junit_of_failure(why, str(file)))
        return 2
    results = case_runs.run(suite, datetime.now(UTC))
    for line in case_runs.render(results, case_runs.untested(suite, results)):
        click.echo(line)
    if not _write(junit, case_runs.junit(results, str(file))):
        return 2
    return 0 if all(result.passed for result in results) else 1


def _write(junit: Path | None, results: bytes) -> bool:
    """Write results for a build server, if it is wanted; return whether that worked."""
    try:
        if junit is not None:
            junit.write_bytes(results)
    except OSError as error:
        click.echo(f"{junit}: {error.strerror}", err=True)
        return False
    return True


def _suite(file: Path, *, expecting: bool) -> "Suite":
    """Return the tests of a rules file, or those of a file of tests with the rules in use."""
    from responder.authoring.cases import case_runs

    data = file.read_bytes()
    if case_runs.has_rules(data):
        return case_runs.suite_of_rules(
            data, str(file), is_known=is_known_to_the_log, expecting=expecting
        )
    return case_runs.suite_of_tests(data, str(file), _ruleset(rules_in_use()), expecting=expecting)


def _ruleset(path: Path) -> "Ruleset":
    from responder.rules.ruleset import load

    return load(path.read_bytes(), file=str(path), is_known=is_known_to_the_log)


def _print_as_test(decision_id: str) -> None:
    from responder.authoring.backtest import recorded_case

    try:
        print_verbatim(recorded_case.as_test(*_recorded(decision_id)))
    except recorded_case.NothingToJudgeError as error:
        fail(str(error))


def _recorded(decision_id: str) -> "tuple[Decision, Past, Ruleset]":
    """Return a decision, its evaluation, and the rules that made it."""
    from responder.commands.journal.decision_table import find
    from responder.journal.reading import history
    from responder.store import rulesets
    from responder.store.decision_ids import place_of

    with opened_log() as database:
        decision, place = find(database, decision_id), place_of(decision_id)
        past = None if place is None else history.evaluation(database, place)
        if decision is None or past is None:
            fail(f"There is no decision {decision_id}.")
        revision = str(decision["ruleset"])
        text = database.read(lambda conn: rulesets.text(conn, revision))
    if text is None:
        fail(f"The rules of revision {shown(revision)}, which made it, were not kept.")
    return decision, past, rules_of_revision(revision, text)


@click.command()
@click.argument("target", required=False)
@click.option("--case", "case", metavar="NAME", help="Go through this test of a rules file.")
@click.option("--document", type=DOCUMENT, help="Go through a document as it is now: deal:759.")
@click.option("--event", help="With --document: as if this had come; KIND.updated if not given.")
@click.option("--portal", help="With --document: the portal, where the settings have several.")
def explain(
    target: str | None,
    case: str | None,
    document: "Document | None",
    event: str | None,
    portal: str | None,
) -> None:
    """Read a rules file aloud, or go through a test case, a recorded decision, or a document.

    TARGET is a rules file (the one in use if not given), a file of test cases, or the id of a
    decision. Nothing is ever touched; the portal is read with --document alone.
    """
    from responder.rules.ruleset import RulesError

    if document is None and (event is not None or portal is not None):
        fail("--event and --portal belong to --document.")
    if document is not None and case is not None:
        fail("--case goes through a test, --document through a document: give one of them.")
    try:
        if document is not None:
            _explain_document(document, event, portal, Path(target) if target else None)
        elif target is not None and _DECISION.fullmatch(target) and not Path(target).exists():
            _explain_decision(target)
        else:
            _explain_file(Path(target) if target else rules_in_use(), case)
    except RulesError as error:
        show_mistakes(error)
        sys.exit(2)
    except BrokenPipeError:  # nobody reads any more, which is no mistake
        raise
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")


def _explain_file(file: Path, case: str | None) -> None:
    from responder.authoring import rules_in_english
    from responder.authoring.cases import case_runs
    from responder.authoring.explain import explain as explained

    if case is None and case_runs.has_rules(file.read_bytes()):
        for line in rules_in_english.ruleset_in_english(_ruleset(file)):
            click.echo(line)
        return
    suite = _suite(file, expecting=False)
    chosen = [one for one in suite.cases if case in (None, one.name)]
    if not chosen:
        meant = did_you_mean(case or "", (one.name for one in suite.cases))
        fail(f"{file} has no test {case!r}.{meant}")
    for place, one in enumerate(chosen):
        if place:
            click.echo()
        click.echo(f"{one.name}")
        _print(explained(suite.ruleset, one.situation, one.at or datetime.now(UTC)))


def _explain_decision(decision_id: str) -> None:
    from responder.authoring.backtest import recorded_case

    decision, past, ruleset = _recorded(decision_id)
    try:
        explained = recorded_case.explanation(decision, past, ruleset)
    except recorded_case.NothingToJudgeError as error:
        fail(str(error))
    outcome = decision["outcome"] or decision["reason"]
    click.echo(f"{decision_id}: {decision['action']} ({outcome}), rules {shown(ruleset.revision)}")
    _print(explained)


def _explain_document(
    document: "Document", event: str | None, portal: str | None, rules: Path | None
) -> None:
    import asyncio

    from responder.authoring.explain import explain as explained
    from responder.authoring.live_document import choices_in

    cause = _cause(event, document.kind)
    given = settings()
    name = portal_named(portal, given)
    ruleset = _ruleset(rules or given.rules)
    now = datetime.now(UTC)
    situation = asyncio.run(_read_situation(given, name, document, cause, ruleset, now))
    _print(explained(ruleset, situation, now, choices=choices_in(situation, ruleset)))


def _cause(event: str | None, kind: str) -> "Cause":
    """Return what is to be explained for a document of a kind, or exit where there is no such."""
    from responder.authoring.explain import with_article
    from responder.authoring.live_document import cause_named, usual_cause
    from responder.rules import triggers

    cause = cause_named(event or usual_cause(kind))
    if kind == "other":
        fail("Rules look at no such document. An element of a list is written as list_23:777.")
    if cause is None and event is None:
        fail(f"No event brings {with_article(kind)}: name another cause with --event: sweep.")
    if cause is None:
        near = triggers.nearest_trigger(event or "")
        meant = f" Did you mean {near}?" if near else did_you_mean(event or "", _CAUSES)
        fail(f"There is no event {event!r}.{meant}")
    return cause


async def _read_situation(
    given: "Settings",
    name: str,
    document: "Document",
    cause: "Cause",
    ruleset: "Ruleset",
    now: datetime,
) -> "Situation":
    from responder.authoring.live_document import read_situation

    portal = portal_of(given, name)
    try:
        return await read_situation(portal, document, cause, ruleset=ruleset, now=now)
    finally:
        await portal.close()


def portal_named(name: str | None, given: "Settings") -> str:
    """Return the portal of this name, or the only one; else print which there are and exit."""
    if name is None and len(given.portals) == 1:
        return next(iter(given.portals))
    if name is None:
        fail(f"Name one of the portals with --portal: {', '.join(sorted(given.portals))}.")
    require_portal(name, given.portals)
    return name


def _print(explained: "Explanation") -> None:
    from responder.authoring.explain import render

    for line in render(explained):
        click.echo(line)

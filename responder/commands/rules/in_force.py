"""Defines the command that prints the rules in force, a revision that decided, or a difference."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from responder.adapters.terminal import print_verbatim
from responder.commands.context import (
    fail,
    opened,
    opened_log,
    require_portal,
    rules_in_use,
    stored_revision,
    time_zone,
)
from responder.commands.operate import ruleset_of
from responder.rules.revision import shown

if TYPE_CHECKING:
    from responder.authoring.readiness import Readiness
    from responder.journal.would_kills import Figures
    from responder.rules.rule import Rule
    from responder.rules.ruleset import Ruleset
    from responder.settings.settings import Settings
    from responder.store.database.database import Database

_DONE = {"kill": "killed", "terminate": "terminated"}


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a rule and line.")
@click.option("--portal", metavar="NAME", help="What rules would have done in this portal alone.")
@click.pass_context
def rules(context: click.Context, portal: str | None, *, as_json: bool) -> None:
    """Print each rule of the file in plain English, with its mode and what it would have done."""
    if context.invoked_subcommand is not None:
        return
    from responder.journal import would_kills

    with opened() as (settings, database):
        ruleset = ruleset_of(settings)
        require_portal(portal, settings.portals)
        figures = database.read(lambda conn: would_kills.figures(conn, portal))
        ready = _readiness(database, settings, ruleset, portal)
    if not as_json:
        click.echo(f"revision {shown(ruleset.revision)}")
    for rule in ruleset.rules:
        found, state = figures.get(rule.id), ready.get(rule.id)
        if as_json:
            click.echo(_object(rule, found, state, ruleset.revision))
        else:
            click.echo(_paragraph(rule, found, state))


def _readiness(
    database: "Database", settings: "Settings", ruleset: "Ruleset", portal: str | None
) -> "dict[str, Readiness]":
    """Read which of the rules that only observe are ready to be enforced."""
    from responder.authoring import readiness

    now, mode = database.now(), settings.mode
    some = [rule for rule in ruleset.rules if readiness.observes(rule, mode, now)]
    portals = [portal] if portal else sorted(settings.portals)
    tests = readiness.count_tests(ruleset)
    return database.read(
        lambda conn: readiness.read(
            conn, some, portals, tests=tests, installation=mode, now=now, portal=portal
        )
    )


def _paragraph(rule: "Rule", figures: "Figures | None", ready: "Readiness | None") -> str:
    from responder.adapters.printable_text import printable
    from responder.rules.english.paragraphs import paragraph

    mode = "guards" if rule.mode is None else rule.mode.value
    lines = [f"\n{rule.id} ({mode})", paragraph(rule)]
    done = _DONE.get(rule.then, "stopped")
    if figures is not None:
        since = figures.since.astimezone(time_zone())
        lines.append(f"Observed since {since:%Y-%m-%d}: {figures.sentence(done)}.")
    elif rule.mode == "observe":
        lines.append(f"Observed: would have {done} nothing yet.")
    if ready is not None:
        lines.append(f"Ready to enforce? {'Yes.' if ready.is_ready else 'Not yet.'}")
        lines += [printable(f"  {name}: {figure}") for name, figure in ready.other_lines()]
        lines.append(f"  next: {ready.next_step}")
    return "\n".join(lines)


def _object(
    rule: "Rule", figures: "Figures | None", ready: "Readiness | None", revision: str
) -> str:
    from responder.adapters.printable_text import to_json
    from responder.rules.english.paragraphs import paragraph

    shown: dict[str, object] | None = None
    if figures is not None:
        shown = {name: value for name, value in asdict(figures).items() if name != "rule"}
        shown |= {"since": figures.since.isoformat(), "until": figures.until.isoformat()}
        shown |= {"told": figures.told, "rest": figures.rest}
    return to_json(
        {
            "rule": rule.id,
            "mode": rule.mode,
            "then": rule.then,
            "because": rule.because,
            "in_words": paragraph(rule),
            "revision": revision,
            "shadow": shown,
            "ready": None if ready is None else _ready(ready),
        }
    )


def _ready(ready: "Readiness") -> dict[str, object]:
    return {
        "ready": ready.is_ready,
        "days": ready.days,
        "since": None if ready.since is None else ready.since.isoformat(),
        "would_have_tripped": ready.foreseen.held,
        "tests": ready.tests,
        "next": ready.next_step,
    }


@rules.command("show", short_help="Print the text of a revision, as a decision names it.")
@click.argument("revision")
def show(revision: str) -> None:
    """Print the text of a revision, as a decision names it, by its first 16 digits or all."""
    with opened_log() as database:
        _, text = stored_revision(database, revision)
    print_verbatim(text)


@rules.command("diff", short_help="Print what changed between revisions.")
@click.argument("old")
@click.argument("new", required=False)
def diff(old: str, new: str | None) -> None:
    """Print what changed from revision OLD to NEW, or to the rules file in use.

    `responder backtest FILE --against OLD` says what it would have changed.
    """
    from responder.authoring.revision_difference import unified

    with opened_log() as database:
        before = stored_revision(database, old)
        after = None if new is None else stored_revision(database, new)
    if after is None:
        path = rules_in_use()
        try:
            after = (str(path), path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            fail(f"{path}: {error}")
    names = (shown(before[0]), shown(after[0]) if new is not None else after[0])
    print_verbatim("\n".join([*unified(before[1], after[1], names), ""]).lstrip("\n"))

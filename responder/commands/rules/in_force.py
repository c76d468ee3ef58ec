"""Defines the command that prints the rules in force, or the text of a revision that decided."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from responder.adapters.terminal import print_verbatim
from responder.commands.context import (
    opened,
    opened_log,
    require_portal,
    stored_revision,
    time_zone,
)
from responder.commands.operate import ruleset_of
from responder.rules.revision import shown

if TYPE_CHECKING:
    from responder.journal.would_kills import Figures
    from responder.rules.rule import Rule

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
    if not as_json:
        click.echo(f"revision {shown(ruleset.revision)}")
    for rule in ruleset.rules:
        found = figures.get(rule.id)
        lines = _object(rule, found, ruleset.revision) if as_json else _paragraph(rule, found)
        click.echo(lines)


def _paragraph(rule: "Rule", figures: "Figures | None") -> str:
    from responder.rules.english.paragraphs import paragraph

    mode = "guards" if rule.mode is None else rule.mode.value
    lines = [f"\n{rule.id} ({mode})", paragraph(rule)]
    done = _DONE.get(rule.then, "stopped")
    if figures is not None:
        since = figures.since.astimezone(time_zone())
        lines.append(f"Observed since {since:%Y-%m-%d}: {figures.sentence(done)}.")
    elif rule.mode == "observe":
        lines.append(f"Observed: would have {done} nothing yet.")
    return "\n".join(lines)


def _object(rule: "Rule", figures: "Figures | None", revision: str) -> str:
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
        }
    )


@rules.command("show")
@click.argument("revision")
def show(revision: str) -> None:
    """Print the text of a revision, as a decision names it, by its first 16 digits or all."""
    with opened_log() as database:
        _, text = stored_revision(database, revision)
    print_verbatim(text)

"""Defines the commands that read the decision log and what was received."""

import sys
from typing import TYPE_CHECKING

import click

from responder.commands.context import (
    fail,
    is_known_to_the_log,
    opened_log,
    rules_in_use,
    time_zone,
)

if TYPE_CHECKING:
    from responder.commands.journal.decision_table import Filter
    from responder.store.database.database import Database

_SINCE = "Only the last 30s, 15m, 2h, 7d."


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--since", help=_SINCE)
@click.option("--workflow", help="Only this workflow's id.")
@click.option("--rule", help="Only this rule's id.")
@click.option("--outcome", help="Only this outcome, or reason of none.")
@click.option("--follow", is_flag=True, help="Go on as decisions are made and concluded.")
@click.pass_context
def decisions(
    context: click.Context,
    *,
    as_json: bool,
    since: str | None,
    workflow: str | None,
    rule: str | None,
    outcome: str | None,
    follow: bool,
) -> None:
    """Print the decision log, oldest first."""
    if context.invoked_subcommand is not None:
        return
    from responder.commands.journal import decision_table as log

    try:
        chosen = log.Filter.of(since=since, workflow=workflow, rule=rule, outcome=outcome)
    except ValueError as error:
        fail(str(error))
    with opened_log() as database:
        try:
            _show(database, chosen, as_json=as_json, follow=follow)
        except (KeyboardInterrupt, BrokenPipeError):
            sys.exit(0)


def _show(database: "Database", chosen: "Filter", *, as_json: bool, follow: bool) -> None:
    from responder.commands.journal import decision_table as log
    from responder.journal import chain

    zone = time_zone()
    now = database.read(chain.heads) if follow else {}
    if not log.show_all(database, chosen, as_json=as_json, write=click.echo, zone=zone):
        in_force = None if chosen.rule is None else _in_force()
        click.echo(log.no_decision(database, chosen, in_force), err=True)
    if follow:
        log.show_changes(database, now, chosen, as_json=as_json, write=click.echo, zone=zone)


def _in_force() -> list[str] | None:
    """Return the ids of the rules in the file; None where it is missing or broken."""
    from responder.rules.ruleset import RulesError, load

    file = rules_in_use()
    try:
        ruleset = load(file.read_bytes(), file=str(file), is_known=is_known_to_the_log)
    except (OSError, RulesError):
        return None
    return [rule.id for rule in ruleset.rules]


@decisions.command("show")
@click.argument("decision")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(decision: str, *, as_json: bool) -> None:
    """Show one decision with everything that led to it."""
    from responder.commands.journal import decision_table as log

    with opened_log() as database:
        found = log.find(database, decision)
        if found is None:
            fail(f"There is no decision {decision}.")
        in_words = None if as_json else log.sentence(database, found)
        click.echo(log.one(found, in_words, as_json=as_json, zone=time_zone()))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--since", help=_SINCE)
@click.option("--document", help="Only this document: deal:759 or DEAL_759.")
def events(*, as_json: bool, since: str | None, document: str | None) -> None:
    """List what was received, and the evaluation that concluded each delivery."""
    from responder.commands.journal import decision_table as log
    from responder.commands.journal import delivery_table as received

    try:
        instant = log.since_of(since)
        ref = None if document is None else received.ref_of(document)
    except ValueError as error:
        fail(str(error))
    with opened_log() as database:
        try:
            if not received.show(
                database, instant, ref, as_json=as_json, write=click.echo, zone=time_zone()
            ):
                click.echo("Nothing was received" + (f" of {ref}." if ref else "."), err=True)
        except BrokenPipeError:
            sys.exit(0)

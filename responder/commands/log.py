"""Commands that read the decision log and what was received."""

import sys

import click

from responder.authoring import decisions as log
from responder.authoring import events as received
from responder.commands.opening import fail, opened

_SINCE = "Only the last 30s, 15m, 2h, 7d."


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--since", help=_SINCE)
@click.option("--workflow", help="Only this workflow's id.")
@click.option("--rule", help="Only this rule's id.")
@click.option("--outcome", help="Only this outcome.")
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
    try:
        chosen = log.Filter.of(since=since, workflow=workflow, rule=rule, outcome=outcome)
    except ValueError as error:
        fail(str(error))
    with opened() as (_, database):
        try:
            log.show_all(database, chosen, as_json=as_json, follow=follow, write=click.echo)
        except (KeyboardInterrupt, BrokenPipeError):
            sys.exit(0)


@decisions.command("show")
@click.argument("decision")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(decision: str, *, as_json: bool) -> None:
    """Show one decision with everything that led to it."""
    with opened() as (_, database):
        found = log.find(database, decision)
        if found is None:
            fail(f"There is no decision {decision}.")
        click.echo(log.one(found, log.sentence(database, found), as_json=as_json))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--since", help=_SINCE)
@click.option("--document", help="Only this document, such as deal:759.")
def events(*, as_json: bool, since: str | None, document: str | None) -> None:
    """List what was received, and the evaluation that concluded each delivery."""
    try:
        instant = log.since_of(since)
    except ValueError as error:
        fail(str(error))
    with opened() as (_, database):
        try:
            received.show(database, instant, document, as_json=as_json, write=click.echo)
        except BrokenPipeError:
            sys.exit(0)

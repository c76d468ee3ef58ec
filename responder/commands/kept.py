"""The command that shows the rules in force, and the text of every revision that ever decided."""

import sys

import click

from responder.commands.opening import fail, opened
from responder.commands.operate import ruleset_of


@click.group(invoke_without_command=True)
@click.pass_context
def rules(context: click.Context) -> None:
    """Say each rule in the file in plain English, with its mode."""
    if context.invoked_subcommand is not None:
        return
    from responder.rules.english import told

    with opened() as (settings, _):
        ruleset = ruleset_of(settings)
        click.echo(f"revision {ruleset.revision}")
        for rule in ruleset.rules:
            mode = "guards" if rule.mode is None else rule.mode.value
            click.echo(f"\n{rule.id} ({mode})\n{told(rule)}")


@rules.command("show")
@click.argument("revision")
def show(revision: str) -> None:
    """Print the text of a revision, as a decision names it."""
    from responder.store import rulesets

    with opened() as (_, database):
        text = database.read(lambda conn: rulesets.text(conn, revision))
    if text is None:
        fail(f"No decision was made by a revision {revision}.")
    sys.stdout.write(text)

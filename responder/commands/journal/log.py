"""Defines the commands that read the decision log and what was received."""

import contextlib
import re
from typing import TYPE_CHECKING, TypedDict

import click

from responder.commands.arguments.document_argument import DOCUMENT
from responder.commands.arguments.instant_argument import SINCE, SINCE_HELP
from responder.commands.context import (
    fail,
    is_known_to_the_log,
    opened_log,
    portals_in_settings,
    require_portal,
    rules_in_use,
    time_zone,
)

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Unpack

    from responder.commands.journal.decision_table import Filter
    from responder.model import Document
    from responder.store.database.database import Database


class _Given(TypedDict):
    """The options by which decisions are chosen; `decision_table.Filter` has the same fields."""

    since: "datetime | None"
    portal: str | None
    document: "Document | None"
    workflow: str | None
    rule: str | None
    outcome: str | None
    limit: int | None


class _Received(TypedDict):
    """The options by which deliveries are chosen; `delivery_table.Filter` has the same fields."""

    since: "datetime | None"
    portal: str | None
    document: "Document | None"
    limit: int | None


class _Log(click.Group):
    """The command `decisions`, which knows what is meant by a decision's name after it."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command `show`, or raise an error that says how a decision is shown."""
        if re.fullmatch(r"[a-z0-9_]+-[0-9]+-[0-9]+", args[0]):
            raise click.UsageError(f"Did you mean `{ctx.command_path} show {args[0]}`?", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=_Log, invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--since", type=SINCE, help=SINCE_HELP)
@click.option("--portal", metavar="NAME", help="Only this portal.")
@click.option("--document", type=DOCUMENT, help="Only this document: deal:759.")
@click.option("--workflow", metavar="ID", help="Only this workflow's id.")
@click.option("--rule", metavar="ID", help="Only this rule's id.")
@click.option("--outcome", metavar="NAME", help="Only this outcome, or reason of none.")
@click.option("--limit", metavar="N", type=click.IntRange(1), help="Only the newest N.")
@click.option("--follow", is_flag=True, help="Go on as decisions are made and concluded.")
@click.pass_context
def decisions(
    context: click.Context, *, as_json: bool, follow: bool, **given: "Unpack[_Given]"
) -> None:
    """Print the decision log, oldest first."""
    if context.invoked_subcommand is not None:
        return
    from responder.commands.journal import decision_table as log

    try:
        log.require_outcome(given["outcome"])
    except ValueError as error:
        fail(str(error))
    with opened_log() as database:
        _require_names(database, given["portal"], given["rule"])
        with contextlib.suppress(KeyboardInterrupt):
            _show(database, log.Filter(**given), as_json=as_json, follow=follow)


def _require_names(database: "Database", portal: str | None, rule: str | None) -> None:
    """Exit where a portal or a rule is nowhere, naming the nearest."""
    from responder.commands.journal import decision_table as log
    from responder.journal import chain_ends

    if portal is not None:
        require_portal(portal, {*database.read(chain_ends.portals), *portals_in_settings()})
    if rule is not None:
        wrong = log.unknown_rule(database, rule, _in_force())
        if wrong is not None:
            fail(wrong)


def _show(database: "Database", chosen: "Filter", *, as_json: bool, follow: bool) -> None:
    from responder.commands.journal import decision_table as log
    from responder.journal import chain

    now = database.read(chain.heads) if follow else {}
    shown = log.Shown(click.echo, as_json=as_json, zone=time_zone())
    if not log.show_all(database, chosen, shown) and not follow:
        click.echo(log.no_decision(chosen), err=True)
    if follow:
        log.show_changes(database, now, chosen, shown)


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
        afterwards = log.afterwards(database, decision)
        click.echo(log.one(found, in_words, afterwards, as_json=as_json, zone=time_zone()))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--since", type=SINCE, help=SINCE_HELP)
@click.option("--portal", metavar="NAME", help="Only this portal.")
@click.option("--document", type=DOCUMENT, help="Only this document: deal:759.")
@click.option("--limit", metavar="N", type=click.IntRange(1), help="Only the newest N.")
def events(*, as_json: bool, **given: "Unpack[_Received]") -> None:
    """List what was received, and the evaluation that concluded each delivery."""
    from responder.commands.journal import delivery_table as received

    chosen = received.Filter(**given)
    with opened_log() as database:
        if chosen.portal is not None:
            known = {*database.read(received.portals), *portals_in_settings()}
            require_portal(chosen.portal, known)
        if not received.show(database, chosen, as_json=as_json, write=click.echo, zone=time_zone()):
            click.echo(received.no_delivery(chosen), err=True)

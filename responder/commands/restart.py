"""Defines the command that has a stopped workflow started anew: it asks the portal's driver."""

import sys
import time
from typing import TYPE_CHECKING

import click

from responder.commands.context import current_user, fail, opened

if TYPE_CHECKING:
    from responder.journal.restarts import Restart
    from responder.store.database.database import Database

_LOOK_SECONDS = 0.2
_PATIENCE_SECONDS = 30.0  # for a driver to take it up
_TOO_LATE = "no service took it up within 30 seconds, and it was withdrawn"


@click.command()
@click.argument("decision")
@click.option("--anyway", is_flag=True, help="Even if the rules would condemn it at once.")
@click.option("--yes", is_flag=True, help="Do not ask on a terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print what came of it as one JSON object.")
def restart(decision: str, *, anyway: bool, yes: bool, as_json: bool) -> None:
    """Start the template of a workflow that DECISION stopped anew, on its document.

    It begins at its first step; parameters and starter are not kept. The exit code is 1 where it
    was refused, or where it is not known whether it was started.
    """
    from responder.journal import restarts
    from responder.store import leases

    with opened() as (_, database):
        why = database.read(lambda conn: restarts.why_not(conn, decision))
        if why is not None:
            # a decision's name is written as it is, also where a sentence begins
            fail(f"{why}." if why.startswith(f"{decision} ") else f"{why[0].upper()}{why[1:]}.")
        _confirm(anyway=anyway, sure=yes)
        portal = decision.rsplit("-", 2)[0]
        if database.read(lambda conn: leases.driver(conn, portal)) is None:
            click.echo(f"{portal}: nobody drives it; start `responder serve`.", err=True)
            sys.exit(1)
        _ask(database, decision, anyway=anyway)
        _show(_wait(database, decision), as_json=as_json)


def _confirm(*, anyway: bool, sure: bool) -> None:
    """Print what is brought back and what is not; on a terminal, ask."""
    from responder.stop.restart.caveats import caveats

    for sentence in caveats(anyway=anyway):
        click.echo(sentence, err=True)
    if not sure and sys.stdin.isatty():
        click.confirm("Start it anew?", abort=True, err=True)


def _ask(database: "Database", decision: str, *, anyway: bool) -> None:
    from responder.journal import restarts

    at, by = database.now(), current_user()
    try:
        database.write(lambda tx: restarts.ask(tx, decision, anyway=anyway, by=by, at=at))
    except restarts.NotRestartable as why:
        fail(f"{decision}: {why}.")


def _wait(database: "Database", decision: str) -> "Restart":
    """Print progress until it is done; withdraw it where no driver takes it up."""
    from responder.journal import restarts

    begun, shown = time.monotonic(), ""
    while True:
        found = database.read(lambda conn: restarts.find(conn, decision))
        if found is None:
            fail(f"{decision} was pruned.")
        if found.state == "done":
            return found
        if found.state == "waiting" and time.monotonic() - begun > _PATIENCE_SECONDS:
            _withdraw(database, found)
        elif found.state != shown:
            click.echo(_PROGRESS[found.state], err=True)
            shown = found.state
        time.sleep(_LOOK_SECONDS)


_PROGRESS = {
    "waiting": "waiting for the portal's driver …",
    "called": "called; if the answer was lost, what began since is looked for within 90 seconds …",
}


def _withdraw(database: "Database", one: "Restart") -> None:
    """End a request that nobody has taken up, unless that happens at this moment."""
    from responder.journal import restarts

    at = database.now()
    try:
        database.write(lambda tx: restarts.end(tx, one, "refused", at, detail=_TOO_LATE))
    except restarts.NotWaiting:
        return
    except restarts.NotAsked:
        fail(f"{one.decision_id}: somebody changed its row: `responder audit verify` finds it.")


def _show(one: "Restart", *, as_json: bool) -> None:
    from responder.adapters.printable_text import printable, to_json

    where = f"template {one.template_id} on {one.document.ref}"
    if as_json:
        click.echo(to_json({"id": one.decision_id, **one.as_json()}))
    elif one.outcome == "started":
        click.echo(printable(f"Started {one.started_id}: {where}."))
    if one.outcome == "refused":
        click.echo(printable(f"Nothing was started: {one.detail}"), err=True)
        if one.needs_anyway:
            click.echo("With --anyway it is started all the same.", err=True)
    elif one.outcome == "in_doubt":
        click.echo(printable(f"In doubt: {one.detail}"), err=True)
        click.echo("It is not called again. Look at the document in the portal.", err=True)
    sys.exit(0 if one.outcome == "started" else 1)

"""Defines the commands `approve` and `cancel`: a person's answers to what waits."""

import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from responder.commands.context import current_user, fail, opened, time_zone

if TYPE_CHECKING:
    from responder.journal.approvals import PendingApproval
    from responder.journal.reading.approval_cases import ApprovalCase
    from responder.store.database.database import Database

_AT_ONCE = 100


@click.command()
@click.argument("decisions", nargs=-1)
@click.option(
    "--set",
    "whole",
    is_flag=True,
    help="Approve each with the rest of its set: shown first, then confirmed.",
)
@click.option("--yes", is_flag=True, help="With --set, approve what is shown without asking.")
@click.option("--json", "as_json", is_flag=True, help="List what waits, one JSON object a line.")
def approve(decisions: tuple[str, ...], *, whole: bool, yes: bool, as_json: bool) -> None:
    """Approve DECISIONS of rules in mode `approve`; without any, list what waits.

    Each is judged afresh at once, and stopped only if its rule still condemns it.
    """
    with opened() as (settings, database):
        if not decisions:
            _show(database, sorted(settings.portals), as_json=as_json)
        elif whole:
            portals = sorted(settings.portals)
            _approve(database, _chosen(database, portals, decisions, sure=yes))
        else:
            _approve(database, decisions)


def _pending(
    database: "Database", portals: Sequence[str], like: str | None = None
) -> "list[PendingApproval]":
    from responder.journal import approvals

    return database.read(lambda conn: approvals.pending(conn, portals, like=like))


def _show(database: "Database", portals: Sequence[str], *, as_json: bool) -> None:
    """Print what waits, each with its reasons; the log is read a hundred decisions at a time."""
    from responder.journal.reading import approval_cases

    found = _pending(database, portals)
    if not found and not as_json:
        click.echo("Nothing waits to be approved.", err=True)
    for start in range(0, len(found), _AT_ONCE):
        some = found[start : start + _AT_ONCE]
        for case in database.read(partial(approval_cases.cases, asked=some)):
            click.echo(_json(case) if as_json else "\n".join(_lines(case)))


def _json(case: "ApprovalCase") -> str:
    from responder.adapters.printable_text import to_json

    return to_json(case.to_json() | {"conditions": list(case.tests)})


def _lines(case: "ApprovalCase") -> list[str]:
    """Return what is asked, why, and the tests with the values that condemned."""
    from responder.adapters.printable_text import printable, to_json
    from responder.adapters.text_table import wrapped

    said = [one for one in (case.about if case.names else None, case.because) if one]
    for test in case.tests:
        where, _, fact = test["path"].partition(".")
        unless = "unless " if where == "unless" else ""
        said.append(f"{unless}{fact} {test['test']}: {to_json(test['value'])}")
    return [*_line(case.asked), *(line for one in said for line in wrapped("    ", printable(one)))]


def _line(one: "PendingApproval") -> list[str]:
    """Return what is asked, in lines no wider than the terminal."""
    from responder.adapters import local_time
    from responder.adapters.printable_text import printable
    from responder.adapters.text_table import wrapped

    until = local_time.in_line(one.lapses_at, time_zone())
    what = f"{one.action.value} {one.workflow_id} on {one.document}, rule {one.rule}"
    text = printable(f"{what} ({one.together}); lapses {until}")
    return wrapped(f"{one.decision_id}  ", text, indent=4)


def _chosen(
    database: "Database", portals: Sequence[str], decisions: Sequence[str], *, sure: bool
) -> list[str]:
    """Print the sets of these decisions; return the ids of their members if the user confirms.

    Only what was printed is approved, nothing that came later.
    """
    shown = {
        one.decision_id: one for name in decisions for one in _pending(database, portals, name)
    }
    for one in shown.values():
        click.echo("\n".join(_line(one)))
    if shown and not sure:
        click.confirm(f"Approve these {len(shown)}?", abort=True, err=True)
    return list(dict.fromkeys([*decisions, *shown]))


def _approve(database: "Database", decisions: Sequence[str]) -> None:
    from responder.stop import control
    from responder.store import limits

    try:
        done = control.approve(database, decisions, by=current_user(), at=database.now())
    except LookupError as error:
        fail(f"There is no decision {error.args[0]}; nothing was approved.")
    if done.approved:
        paused = database.read(limits.paused) is not None
        when = "at once" if not paused else "after `responder resume`, for everything is paused"
        click.echo(f"Approved {', '.join(done.approved)}: judged afresh {when}.")
    for name, why in done.refused.items():
        click.echo(f"{name}: {why}.", err=True)
    if done.refused:
        sys.exit(1)


@click.command()
@click.argument("decisions", nargs=-1, required=True)
def cancel(decisions: tuple[str, ...]) -> None:
    """Stop DECISIONS that wait or are held; nothing will come of them.

    The exit code is 1 where only some could be cancelled, 2 where none could.
    """
    from responder.stop import control

    with opened() as (_, database):
        at = database.now()
        refused = control.cancel_several(database, decisions, by=current_user(), at=at)
    done = [name for name in dict.fromkeys(decisions) if name not in refused]
    for name, why in refused.items():
        click.echo(f"{name}: {why}.", err=True)
    if done:
        click.echo(f"Cancelled {', '.join(done)}.")
    if refused:
        sys.exit(1 if done or control.MAY_BE_MADE in refused.values() else 2)

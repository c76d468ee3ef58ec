"""Defines the command that sweeps now: it asks the portal's driver, and prints the result."""

import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import click

from responder.commands.context import current_user, opened, require_portal, time_zone
from responder.commands.operate import require_rule, ruleset_of

if TYPE_CHECKING:
    from responder.store.database.database import Database
    from responder.store.sweep_runs import Request

_LOOK_SECONDS = 0.2
_PATIENCE_SECONDS = 30.0  # for a service to begin
_OUTCOMES_SECONDS = 60.0  # for what was found to be concluded
_SOON_SECONDS = 5.0  # what is due later than this is shown as waiting (the rule's `wait`)


@click.command()
@click.option("--portal", help="Only this portal; otherwise all, one after the other.")
@click.option("--rule", help="Only this rule, whatever its trigger.")
@click.option("--observe", is_flag=True, help="List what would be done, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each workflow found.")
def sweep(portal: str | None, rule: str | None, *, observe: bool, as_json: bool) -> None:
    """Judge all running workflows now, as if an event had come for each.

    The exit code is 1 where not everything could be read.
    """
    with opened() as (settings, database):
        require_portal(portal, settings.portals)
        if rule is not None:
            require_rule(rule, ruleset_of(settings))
        for name in [portal] if portal else sorted(settings.portals):
            _sweep(database, name, rule, observe=observe, as_json=as_json)


def _sweep(
    database: "Database", portal: str, rule: str | None, *, observe: bool, as_json: bool
) -> None:
    from responder.store import leases, sweep_runs

    if database.read(lambda conn: leases.driver(conn, portal)) is None:
        click.echo(f"{portal}: nobody drives it; start `responder serve`.", err=True)
        sys.exit(1)
    at = database.now()
    request_id = database.write(
        lambda tx: sweep_runs.add_request(
            tx, portal, rule=rule, observe=observe, by=current_user(), at=at
        )
    )
    result = _wait(database, portal, request_id)
    if "failure" in result:
        again = "" if observe else " It is tried again every minute, for a day."
        click.echo(f"{portal}: {result['failure']}.{again}", err=True)
        sys.exit(1)
    found = result["found"]
    assert isinstance(found, list)
    if not observe:
        _await_outcomes(database, portal, found)
    _show(portal, result, found, as_json=as_json)
    if result["unread"]:
        again = "" if observe else "; it is tried again every minute"
        click.echo(
            f"{portal}: incomplete: {result['unread']} documents could not be read "
            f"({result['why_unread']}){again}",
            err=True,
        )
        sys.exit(1)


def _wait(database: "Database", portal: str, request_id: int) -> Mapping[str, object]:
    """Print progress until the request is done; return its result."""
    from responder.store import sweep_runs

    begun = time.monotonic()
    shown = ""
    while True:
        request = database.read(lambda conn: sweep_runs.request(conn, request_id))
        assert request is not None
        if request.result is not None:
            return request.result
        if request.state == "waiting" and time.monotonic() - begun > _PATIENCE_SECONDS:
            click.echo(f"{portal}: no service began it within 30 s.", err=True)
            sys.exit(1)
        now = _progress(portal, request)
        if now != shown:
            click.echo(now, err=True)
            shown = now
        time.sleep(_LOOK_SECONDS)


def _progress(portal: str, request: "Request") -> str:
    if request.state == "waiting":
        return f"{portal}: waiting for its driver …"
    return f"{portal}: {request.read} of {request.total or '?'} running workflows read …"


def _await_outcomes(database: "Database", portal: str, found: list[dict[str, object]]) -> None:
    """Wait a while until what was found is concluded, and write the outcomes into `found`."""
    from responder.journal import open_stops
    from responder.journal.reading import decisions

    workflows = {str(one["workflow"]): one for one in found if one["outcome"] == "waiting"}
    deadline = time.monotonic() + _OUTCOMES_SECONDS
    while workflows and time.monotonic() < deadline:
        soon = database.now() + timedelta(seconds=_SOON_SECONDS)
        still = database.read(
            partial(open_stops.due_among, portal=portal, workflow_ids=list(workflows), before=soon)
        )
        for workflow in [one for one in workflows if one not in still]:
            one = workflows.pop(workflow)
            newest = list(decisions.decisions(database, workflow=workflow))[-1]
            one |= {"outcome": newest["outcome"], "detail": newest["detail"]}
        time.sleep(_LOOK_SECONDS)


def _show(
    portal: str,
    result: Mapping[str, object],
    found: list[dict[str, object]],
    *,
    as_json: bool,
) -> None:
    from responder.adapters import local_time
    from responder.adapters.printable_text import to_json
    from responder.adapters.text_table import Column, Table
    from responder.commands.journal.decision_table import outcome_style

    if as_json:
        for one in found:
            click.echo(to_json({"portal": portal, **one}))
        return
    if found:
        columns = (
            *(Column(head) for head in ("DOCUMENT", "WORKFLOW", "TEMPLATE")),
            Column("RULE", fold=True),
            Column("OUTCOME", fold=True, style=outcome_style),
            Column("DETAIL", fold=True),
        )
        with Table(*columns, write=click.echo) as table:
            for one in found:
                names = ("document", "workflow", "template_id", "rule", "outcome")
                detail = local_time.in_text(str(one["detail"] or ""), time_zone())
                table.add(*(str(one[name]) for name in names), detail)
    click.echo(
        f"{portal}: {result['running']} workflows running, {len(found)} found by "
        f"{len(_names(result))} rules",
        err=True,
    )
    held = result["held"]
    for rule, why in held.items() if isinstance(held, dict) else ():
        click.echo(f"{portal}: {rule}: {why}", err=True)


def _names(result: Mapping[str, object]) -> list[object]:
    rules = result["rules"]
    return rules if isinstance(rules, list) else []

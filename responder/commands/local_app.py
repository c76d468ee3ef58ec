"""Defines the command that guides through the installation of a local application."""

from typing import TYPE_CHECKING

import click

from responder.commands.context import fail, is_known_to_the_log, require_portal, settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from responder.service.application.guide import Guide
    from responder.settings.settings import Settings
    from responder.store.applications.held_messages import Held


@click.command()
@click.option("--portal", help="Only this portal; otherwise all that have an application.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def app(portal: str | None, *, as_json: bool) -> None:
    """Show what to fill in and press for a portal's local application, and how it stands."""
    from datetime import UTC, datetime

    from responder.adapters import local_time
    from responder.adapters.printable_text import printable, to_json
    from responder.service.application import guide as guides

    given = settings()
    require_portal(portal, given.portals)
    names = [name for name, one in given.portals.items() if one.domain is not None]
    if portal is not None and portal not in names:
        fail(f"Portal {portal} has no local application: its DOMAIN is not set.")
    if not names:
        fail(
            "No portal has a local application: set RESPONDER_PORTALS__<NAME>__DOMAIN to its host",
            "and RESPONDER_SECRET_KEY, as `responder docs applications` describes.",
        )
    for guide in _guides(given, [portal] if portal else sorted(names), datetime.now(UTC)):
        if as_json:
            click.echo(to_json(guides.as_json(guide)))
        else:
            lines = "\n".join(map(printable, guides.lines(guide)))
            click.echo(local_time.in_text(lines, given.zone) + "\n")


def _guides(given: "Settings", names: "Sequence[str]", now: "datetime") -> "list[Guide]":
    from responder.receive.application import authorization_state
    from responder.service.application.guide import Guide

    assert given.secret_key is not None
    reports, held = _stored(given, names, now)
    return [
        Guide(
            portal=name,
            given=given.portals[name],
            public_url=given.public_url,
            scopes=_scopes(given),
            report=reports[name],
            held=held[name],
            state=authorization_state.made(given.secret_key.get_secret_value(), name, now),
        )
        for name in names
    ]


def _stored(
    given: "Settings", names: "Sequence[str]", now: "datetime"
) -> "tuple[dict[str, dict[str, object]], dict[str, list[Held]]]":
    """Read how the applications stand; before the first start nothing is stored."""
    from pathlib import Path

    from responder.commands.context import opened
    from responder.store.applications import held_messages, report

    url = given.database_url.get_secret_value()
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        seal = report.sealing(given)
        nothing = {name: report.of_nothing(given.portals[name], seal, now) for name in names}
        return nothing, {name: [] for name in names}
    with opened() as (_, database):
        return database.read(
            lambda conn: (
                report.every(conn, given, now),
                {name: held_messages.held(conn, name, now) for name in names},
            )
        )


def _scopes(given: "Settings") -> "list[str]":
    """Return the scopes that the rules need; all that rules can need where they are broken."""
    from responder.rules.ruleset import RulesError, load
    from responder.service.doctor.portal_checks import Needs

    try:
        ruleset = load(
            given.rules.read_bytes(),
            file=str(given.rules),
            portals=given.portals,
            is_known=is_known_to_the_log,
        )
        needs = Needs.of(ruleset.rules)
    except (OSError, RulesError):
        needs = Needs(tasks=True, people=True, lists=True)
    return [
        "bizproc",
        "crm",
        "user_brief",
        *(["task"] if needs.tasks else []),
        *(["lists"] if needs.lists else []),
    ]

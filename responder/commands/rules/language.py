"""Defines the commands that tell what rules may say; only `--portal` needs settings."""

from functools import partial
from typing import TYPE_CHECKING, TypeVar

import click

from responder.adapters.terminal import columns
from responder.commands.context import fail, portal_of, settings
from responder.commands.rules.trials import portal_named

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from responder.bitrix24.client.answers import Failure
    from responder.bitrix24.lists.paged import Send
    from responder.rules.facts.fields import Field

_Found = TypeVar("_Found")


def _own_fields(kind: str | None, name: str) -> "tuple[Field, ...]":
    """Read the own fields of a kind from a portal, or print why they cannot be read and exit."""
    from responder.authoring.own_fields import can_be_read, own_fields

    if kind is None or not can_be_read(kind):
        fail(
            "--portal is for a kind of the CRM, a list, or templates: "
            "responder fields deal --portal main"
        )
    return _read_from(name, partial(own_fields, kind=kind))


def _read_from(name: str, read: "Callable[[Send], Awaitable[_Found | Failure]]") -> "_Found":
    """Read something from a portal, or print why it cannot be read and exit."""
    import asyncio

    from responder.authoring.live_document import sender
    from responder.bitrix24.client.answers import Failure, explain

    given = settings()
    portal = portal_of(given, portal_named(name, given))

    async def ask() -> "_Found | Failure":
        try:
            return await read(sender(portal))
        finally:
            await portal.close()

    found = asyncio.run(ask())
    if isinstance(found, Failure):
        fail(f"{name}: {explain(found)}")
    return found


def _show_templates(name: str, *, as_json: bool) -> None:
    """Print the templates of a portal, whose numbers rules need."""
    from responder.adapters.printable_text import to_json
    from responder.adapters.text_table import Column, Table
    from responder.authoring.own_fields import templates

    found = _read_from(name, templates)
    if as_json:
        for one in found:
            click.echo(to_json(one._asdict()))
        return
    columns_of = (Column("TEMPLATE"), Column("NAME", fold=True), Column("OF"))
    with Table(*columns_of, write=click.echo, width=columns()) as table:
        for one in found:
            table.add(*one)


@click.command()
@click.argument("kind", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--portal", metavar="NAME", help="Read the fields that this portal added, too.")
def fields(kind: str | None, portal: str | None, *, as_json: bool) -> None:
    """List the facts that rules may test, of all kinds of document or of one.

    What a portal added to deals, the fields of a list (list_23), or the numbers of its templates
    (template), it alone knows: name it with --portal.
    """
    from responder.authoring.fact_catalogue import UnknownKindError, render

    if kind == "template" and portal is not None:
        _show_templates(portal, as_json=as_json)
        return
    own = None if portal is None else _own_fields(kind, portal)
    try:
        click.echo(render(kind, as_json=as_json, own=own, width=columns()), nl=False)
    except UnknownKindError as error:
        near = error.suggestion
        meant = f"Did you mean {near}?" if near else "`responder fields` lists all."
        fail(f"There is no kind {kind}. {meant}")


@click.command()
def schema() -> None:
    """Print the language as JSON Schema, for editors that complete and underline.

    Put it beside the rules (responder schema > .rules.schema.json), and as their first line:

    # yaml-language-server: $schema=.rules.schema.json
    """
    from responder.authoring.cases.json_schema import render

    click.echo(render(), nl=False)

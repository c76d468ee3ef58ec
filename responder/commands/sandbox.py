"""Defines the command that serves a portal in miniature."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from responder.commands.context import fail

if TYPE_CHECKING:
    from responder.bitrix24.sandbox import Sandbox

_NEW_KEY = "new"  # the value of `--key` that has none


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8010, show_default=True, type=click.IntRange(0, 65_535))
@click.option(
    "--application",
    is_flag=True,
    help="Add a local application, and serve its OAuth server on a port of 127.0.0.1.",
)
@click.option("--oauth-port", default=8011, show_default=True, type=click.IntRange(0, 65_535))
@click.option(
    "--handler-url",
    default="http://127.0.0.1:8000/app/main",
    show_default=True,
    help="Where the application is told of its installation.",
)
@click.option(
    "--key",
    is_flag=False,
    flag_value=_NEW_KEY,
    help="Be set from outside by POST /__sandbox__/VERB with the header X-Sandbox-Key: KEY; "
    "without a value, and with --application, a new one. `responder docs testing` lists the verbs.",
)
@click.option(
    "--like",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Answer as the portal whose answers `doctor --probe --out` kept there.",
)
def sandbox(
    host: str,
    port: int,
    *,
    application: bool,
    oauth_port: int,
    handler_url: str,
    key: str | None,
    like: Path | None,
) -> None:
    """Run a Bitrix24 portal in miniature: real methods, errors, paging and limits over HTTP.

    Prints the address of its webhook, and what else it has: the application's keys, the OAuth
    server, and where and with which key it is set from outside.
    """
    from responder.bitrix24.sandbox import demo_portal, run

    portal = demo_portal()
    if like is not None:
        _make_like(portal, like)
    address = f"http://{host}:{port}"
    click.echo(f"{address}/rest/{portal.user_id}/{portal.secret}/")
    try:
        with _oauth_server(portal, oauth_port, handler_url) if application else nullcontext():
            if key or application:
                _open_door(portal, address, key or _NEW_KEY)
            asyncio.run(run(host, port, portal))
    except OSError as error:
        other = f" or 127.0.0.1:{oauth_port}" if application else ""
        fail(f"cannot listen on {host}:{port}{other}: {error.strerror}")


def _make_like(portal: "Sandbox", file: Path) -> None:
    """Make a sandbox answer as the portal of a file, or print why not and exit."""
    from responder.bitrix24.probe import kept_answers, likeness

    try:
        likeness.apply(kept_answers.read(file), portal)
    except kept_answers.UnreadableError as error:
        fail(str(error))


@contextmanager
def _oauth_server(portal: "Sandbox", port: int, handler_url: str) -> Iterator[None]:
    """Add an application to a portal, serve its OAuth server, and print keys and address."""
    from responder.bitrix24.sandbox import OAuthServer

    added = portal.add_application(handler_url=handler_url, install_url=handler_url)
    with OAuthServer(portal, port) as server:
        click.echo(f"client id     {added.client_id}")
        click.echo(f"client secret {added.client_secret}")
        click.echo(f"OAuth         {server.url}")
        yield


def _open_door(portal: "Sandbox", address: str, key: str) -> None:
    """Let who has the key set the sandbox, and print where."""
    from responder.bitrix24.sandbox.control import KEY_HEADER, open_door

    key = secrets.token_urlsafe(24) if key == _NEW_KEY else key
    open_door(portal, key)
    click.echo(f"control       {address}/__sandbox__/  {KEY_HEADER}: {key}")

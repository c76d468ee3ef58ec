"""Defines the commands that run something: the service, the demo, the sandbox."""

import asyncio
import http.client
import secrets
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import click

from responder.commands.context import fail, settings, show_mistakes

if TYPE_CHECKING:
    from responder.bitrix24.sandbox import Sandbox

_PR_SET_DUMPABLE = 4  # prctl(2)
_NEW_KEY = "new"  # the value of `--key` that has none


def _run(service: Coroutine[object, object, None]) -> None:
    """Run on uvloop where it is installed: acknowledging is the hot path."""
    try:
        from uvloop import run
    except ImportError:  # it does not exist for Windows
        asyncio.run(service)
    else:
        run(service)


def _keep_memory_private() -> None:
    """Forbid core dumps and reading of this process's memory: tokens and passwords are in it."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


@click.command()
def serve() -> None:
    """Receive events, decide and act. Settings come from RESPONDER_ variables."""
    _keep_memory_private()
    from responder.adapters import logs
    from responder.rules.ruleset import RulesError
    from responder.service.app import serve as run
    from responder.settings.settings import secrets as secrets_of
    from responder.store.database.engines import DatabaseError, StoreUnavailable

    given = settings()
    logs.configure(given.log_level, secrets_of(given))
    try:
        _run(run(given))
    except RulesError as error:
        show_mistakes(error)
        fail("The rules are broken; nothing was started.")
    except (DatabaseError, StoreUnavailable) as error:
        fail(str(error))
    except OSError as error:
        fail(_reason(error))


def _reason(error: OSError) -> str:
    """Return the file and what is wrong with it; for a missing rules file also how to begin one."""
    if error.filename is None:
        return str(error)
    begin = ""
    if isinstance(error, FileNotFoundError):
        begin = f"; `responder recipes lost-deals > {error.filename}` begins one"
    return f"{error.filename}: {error.strerror}{begin}"


@click.command()
@click.option("--keep", is_flag=True, help="Leave portal and service running until Ctrl-C.")
def demo(*, keep: bool) -> None:
    """Play the main job on real HTTP against a sandbox portal; needs no settings."""
    from responder.service.demo import play

    try:
        fine = asyncio.run(play(keep=keep))
    except KeyboardInterrupt:
        fine = True
    sys.exit(0 if fine else 1)


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
def sandbox(
    host: str, port: int, *, application: bool, oauth_port: int, handler_url: str, key: str | None
) -> None:
    """Run a Bitrix24 portal in miniature: real methods, errors, paging and limits over HTTP.

    Prints the address of its webhook, and what else it has: the application's keys, the OAuth
    server, and where and with which key it is set from outside.
    """
    from responder.bitrix24.sandbox import demo_portal, run

    portal = demo_portal()
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


@contextmanager
def _oauth_server(portal: "Sandbox", port: int, handler_url: str) -> Iterator[None]:
    """Add an application to a portal, serve its OAuth server, and print keys and address."""
    from responder.bitrix24.sandbox import OAuthServer

    added = portal.add_application(
        scopes=(*portal.scopes, "lists", "im"), handler_url=handler_url, install_url=handler_url
    )
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


@click.command()
def health() -> None:
    """Ask the running service whether it is alive (for a container's health check)."""
    given = settings()
    host = "127.0.0.1" if given.host in ("0.0.0.0", "::") else given.host  # noqa: S104
    connection = http.client.HTTPConnection(host, given.port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        click.echo(f"not reachable: {error}", err=True)
        sys.exit(1)
    finally:
        connection.close()
    sys.exit(0 if status == 200 else 1)

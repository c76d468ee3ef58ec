"""Defines the commands that run the service: itself, the demo, the check that it is alive."""

import asyncio
import http.client
import sys
from collections.abc import Coroutine

import click

from responder.adapters.collector import leave_alone_what_is_loaded
from responder.commands.context import fail, settings, show_mistakes

_PR_SET_DUMPABLE = 4  # prctl(2)


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
    leave_alone_what_is_loaded()
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

"""What commands open first: the settings and the database. A mistake in them ends the program.

Imports stand in the functions: a command that opens nothing must not wait for them.
"""

import getpass
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from responder.settings import Settings
    from responder.store.database import Database


def fail(*lines: str) -> NoReturn:
    """Say what is wrong with the question, and exit with 2."""
    for line in lines:
        click.echo(line, err=True)
    sys.exit(2)


def who() -> str:
    """Name the person at this terminal, for the log."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):
        return f"somebody@{socket.gethostname()}"


def settings() -> "Settings":
    """Load the settings, or say which variables are wrong and exit."""
    from responder.settings import SettingsError, load

    try:
        return load()
    except SettingsError as error:
        fail("The settings are wrong:", *(f"  {problem}" for problem in error.problems))


@contextmanager
def opened() -> "Iterator[tuple[Settings, Database]]":
    """Load the settings and open their database, or say why not and exit."""
    from responder.store.database import Database, DatabaseError, StoreUnavailable

    given = settings()
    database = Database(given.database_url.get_secret_value())
    if database.path is not None and not database.path.exists():
        fail(f"There is no database at {database.path} yet: `responder serve` makes it.")
    try:
        database.open()
        if not database.schema_is_current():
            fail("The database has an older schema: start `responder serve` once.")
        yield given, database
    except (DatabaseError, StoreUnavailable) as error:
        fail(str(error))
    finally:
        database.close()

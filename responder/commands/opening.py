"""What commands open first: settings, database, rules. A mistake in them ends the program.

Imports stand in the functions: a command that opens nothing must not wait for them.
"""

import getpass
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from responder.rules.ruleset import RulesError, Ruleset
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


def rules_in_use() -> Path:
    """Return the rules file of the settings, which need not be complete for this."""
    from responder.environment import gather

    given, _ = gather(os.environ, Path(".env"))
    return Path(given.get("RESPONDER_RULES") or "rules.yaml")


def must_know(portal: str | None, given: "Settings") -> None:
    """Say which portals there are and exit, where one is named that is none of them."""
    if portal is not None and portal not in given.portals:
        fail(f"There is no portal {portal}; there are: {', '.join(sorted(given.portals))}.")


def show_mistakes(error: "RulesError") -> None:
    """Print the mistakes of a file of rules or tests, with the lines they stand in."""
    from responder.authoring.check import render

    path = Path(error.mistakes[0].file)
    data = path.read_bytes() if path.is_file() else b""
    click.echo(render(error.mistakes, data), nl=False)


def of_revision(revision: str, text: str) -> "Ruleset":
    """Load the rules of a revision that were kept, or say that this version cannot and exit."""
    from responder.rules.ruleset import RulesError, load

    try:
        return load(text.encode(), file=f"revision {revision}")
    except RulesError as error:
        fail(f"This version cannot read the rules of revision {revision}:", str(error))


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

"""What commands open first: settings, database, rules. A mistake in them ends the program.

Imports stand in the functions: a command that opens nothing must not wait for them.
"""

import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from responder.rules.revision import shown

if TYPE_CHECKING:
    from responder.journal.chain_ends import Readable
    from responder.rules.ruleset import RulesError, Ruleset
    from responder.settings.settings import Settings
    from responder.store.database.database import Database


def fail(*lines: str) -> NoReturn:
    """Say what is wrong with the question, and exit with 2."""
    for line in lines:
        click.echo(line, err=True)
    sys.exit(2)


def who() -> str:
    """Name the person at this terminal, for the log.

    The system says whose process this is; the variables, which name somebody too, are anybody's.
    """
    import socket

    return f"{_user()}@{socket.gethostname()}"


def _user() -> str:
    if sys.platform == "win32":
        return os.getlogin()
    import pwd

    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # in a container nobody has a name
        return f"uid {number}"


def settings() -> "Settings":
    """Load the settings, or say which variables are wrong and exit."""
    from responder.settings.settings import SettingsError, load

    try:
        return load()
    except SettingsError as error:
        wrong_settings(*error.problems)


def wrong_settings(*problems: str) -> NoReturn:
    """Say which variables are wrong and exit."""
    fail("The settings are wrong:", *(f"  {problem}" for problem in problems))


def rules_in_use() -> Path:
    """Return the rules file of the settings, which need not be complete for this."""
    from responder.settings.sources import gather

    given, _ = gather(os.environ, Path(".env"))
    return Path(given.get("RESPONDER_RULES") or "rules.yaml")


def must_know(portal: str | None, known: Collection[str]) -> None:
    """Say which portals there are and exit, where one is named that is none of them."""
    if portal is not None and portal not in known:
        fail(f"There is no portal {portal}; there are: {', '.join(sorted(known)) or 'none'}.")


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
        return load(text.encode(), file=f"revision {shown(revision)}")
    except RulesError as error:
        fail(f"This version cannot read the rules of revision {shown(revision)}:", str(error))


def kept_revision(database: "Readable", revision: str) -> tuple[str, str]:
    """Return a revision that somebody named by its first digits, and its text, or exit."""
    from responder.store import rulesets

    found = database.read(lambda conn: rulesets.matching(conn, revision))
    if not found:
        fail(f"No decision was made by a revision {revision}.")
    if len(found) > 1:
        fail("Several revisions begin so:", *(f"  {name}" for name, _ in found))
    return found[0]


@contextmanager
def opened() -> "Iterator[tuple[Settings, Database]]":
    """Load the settings and open their database, or say why not and exit."""
    given = settings()
    with _opened(given.database_url.get_secret_value()) as database:
        yield given, database


@contextmanager
def opened_log(*, any_schema: bool = False) -> "Iterator[Database]":
    """Open the database without any other setting, or say why not and exit."""
    from responder.settings.sources import database_url

    url, problems = database_url(os.environ, Path(".env"))
    if problems:
        wrong_settings(*problems)
    with _opened(url, any_schema=any_schema) as database:
        yield database


@contextmanager
def _opened(url: str, *, any_schema: bool = False) -> "Iterator[Database]":
    from responder.store.database.database import Database
    from responder.store.database.engines import DatabaseError

    try:
        database = Database(url)
    except DatabaseError as error:
        wrong_settings(f"RESPONDER_DATABASE_URL: {error}")
    if database.path is not None and not database.path.exists():
        fail(f"There is no database at {database.path} yet: `responder serve` makes it.")
    try:
        database.open()
        if not any_schema and not database.schema_is_current():
            fail("The database has an older schema: start `responder serve` once.")
        if (place := database.moved_to()) is not None:
            click.echo(f"This log was moved to {place}; what came since is there.", err=True)
        yield database
    except DatabaseError as error:
        fail(str(error))
    finally:
        database.close()

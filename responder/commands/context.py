"""Opens what commands need first: settings, database, rules. A mistake in them ends the program.

Imports are inside the functions, so that a command that opens nothing starts fast.
"""

import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from responder.rules.revision import shown

if TYPE_CHECKING:
    from datetime import tzinfo

    from responder.bitrix24.client.rest import Portal
    from responder.journal.chain_ends import Readable
    from responder.rules.ruleset import RulesError, Ruleset
    from responder.settings.settings import Settings
    from responder.store.database.database import Database


def fail(*lines: str) -> NoReturn:
    """Print what is wrong with the user's question, and exit with 2."""
    for line in lines:
        click.echo(line, err=True)
    sys.exit(2)


def current_user() -> str:
    """Return who is at this terminal, for the log: `anna@host`."""
    import socket

    return f"{_user()}@{socket.gethostname()}"


def _user() -> str:
    # by the owner of the process: variables such as USER can be set to anything
    if sys.platform == "win32":
        return os.getlogin()
    import pwd

    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # in a container a user often has no name
        return f"uid {number}"


def settings() -> "Settings":
    """Return the settings, or print which variables are wrong and exit."""
    from responder.settings.settings import SettingsError, load

    try:
        return load()
    except SettingsError as error:
        wrong_settings(*error.problems)


def wrong_settings(*problems: str) -> NoReturn:
    """Print which variables are wrong, and exit; say so where the folder has no `.env`."""
    lines = [f"  {problem}" for problem in problems]
    if not Path(".env").is_file():  # mostly the command was started in another folder
        lines.append(f"There is no .env in this folder, {Path.cwd()}.")
    fail("The settings are wrong:", *lines)


def rules_in_use() -> Path:
    """Return the path of the rules file in the settings, which may be incomplete otherwise."""
    from responder.settings.sources import gather

    given, _ = gather(os.environ, Path(".env"))
    return Path(given.get("RESPONDER_RULES") or "rules.yaml")


def portals_in_settings() -> set[str]:
    """Return the portals that the settings name, which may be incomplete otherwise."""
    from responder.settings.sources import gather

    given, _ = gather(os.environ, Path(".env"))
    found = (re.match(r"RESPONDER_PORTALS__(.+?)__", name) for name in given)
    return {named[1].lower() for named in found if named is not None}


def require_portal(portal: str | None, known: Collection[str]) -> None:
    """Print which portals there are, and which may be meant, and exit if `portal` is none."""
    if portal is not None and portal not in known:
        names = ", ".join(sorted(known)) or "none"
        fail(f"There is no portal {portal}; there are: {names}.{did_you_mean(portal, known)}")


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """Return a question for the name that is nearest to a wrong word; nothing where none is."""
    near = get_close_matches(word, list(names), 1)
    return f" Did you mean {near[0]}?" if near else ""


def show_mistakes(error: "RulesError") -> None:
    """Print the mistakes of a file of rules or tests, with the lines they are in."""
    from responder.authoring.cases.case_runs import has_rules
    from responder.authoring.check import count, followed, render

    path = Path(error.mistakes[0].file)
    data = path.read_bytes() if path.is_file() else b""
    found = followed(error.mistakes, data, str(path)) if has_rules(data) else error.mistakes
    click.echo(render(found, data) + count(found), nl=False)


def is_known_to_the_log(revision: str) -> bool:
    """Return whether a decision was made by this revision; false where there is no log to ask."""
    from responder.settings.sources import database_url
    from responder.store import rulesets

    url, problems = database_url(os.environ, Path(".env"))
    return not problems and rulesets.knower_at(url)(revision)


def rules_of_revision(revision: str, text: str) -> "Ruleset":
    """Return the rules of a stored revision; exit if this version cannot read them."""
    from responder.rules.ruleset import RulesError, load, was_in_force

    try:
        return load(text.encode(), file=f"revision {shown(revision)}", is_known=was_in_force)
    except RulesError as error:
        fail(f"This version cannot read the rules of revision {shown(revision)}:", str(error))


def stored_revision(database: "Readable", revision: str) -> tuple[str, str]:
    """Return the revision that begins with these digits, and its text, or exit."""
    from responder.store import rulesets

    found = database.read(lambda conn: rulesets.matching(conn, revision))
    if not found:
        fail(f"No decision was made by a revision {revision}.")
    if len(found) > 1:
        fail("Several revisions begin so:", *(f"  {name}" for name, _ in found))
    return found[0]


def portal_of(given: "Settings", name: str) -> "Portal":
    """Return a portal that a command asks, or print why it cannot be asked now and exit."""
    from responder.bitrix24.client.rest import Portal
    from responder.service.application import stored_address

    if given.portals[name].domain is None:
        return Portal(name, stored_address.of_settings(given.portals[name]))
    with _opened(given.database_url.get_secret_value()) as database:
        try:
            now = database.now()
            address = database.read(lambda conn: stored_address.stored(conn, given, name, now))
        except stored_address.NoAddress as why:
            fail(f"{name}: {why}.")
    return Portal(name, address)


def time_zone() -> "tzinfo":
    """Return the time zone in which tables say times, or print that there is none such and exit."""
    from responder.settings.sources import TIMEZONE, timezone
    from responder.settings.time_zone import zone_named

    try:
        return zone_named(timezone(os.environ, Path(".env")))
    except ValueError as why:
        wrong_settings(f"{TIMEZONE} {why}")


@contextmanager
def opened() -> "Iterator[tuple[Settings, Database]]":
    """Yield the settings and their database, opened, or print why not and exit."""
    given = settings()
    with _opened(given.database_url.get_secret_value()) as database:
        yield given, database


@contextmanager
def opened_log(*, any_schema: bool = False) -> "Iterator[Database]":
    """Yield the database, opened without any other setting, or print why not and exit."""
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

"""Defines the command that moves the whole log to another database."""

import json
import os
import sys
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from responder.commands.context import fail

if TYPE_CHECKING:
    from responder.journal.audit.verify import Verified
    from responder.journal.upkeep.transfer import Moved
    from responder.store.database.database import Database

_FROM_A_VARIABLE = "env:"
_REDRAW_SECONDS = 0.2


@click.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
@click.option("--broken-too", is_flag=True, help="Copy even a log that does not verify.")
@click.option("--again", is_flag=True, help="Move a log that was already moved elsewhere.")
def migrate(source: str, target: str, *, as_json: bool, broken_too: bool, again: bool) -> None:
    """Copy the whole database FROM into the empty database TO, and prove that it is the same.

    Both are URLs as in RESPONDER_DATABASE_URL; `env:NAME` reads one from a variable, so that no
    password is on the command line. Stop the service first, on every machine. Once the copy is
    proved, FROM refuses all writes, and says where the log is now. A failure or an interruption
    before that leaves TO empty and FROM as it was; after a crash, run the same command again.
    """
    from responder.journal.upkeep import transfer
    from responder.store.database.engines import DatabaseError

    old, new = _database(source, "FROM"), _database(target, "TO")
    _must_differ(old, new)
    began = time.monotonic()
    try:
        with closing(old), closing(new):
            old.open()
            new.open()
            moved = transfer.move(
                old, new, progress=_Progress(), broken_too=broken_too, again=again
            )
    except (transfer.NotMovable, DatabaseError) as error:
        fail(f"Nothing was copied: {error}.")
    except transfer.NotTheSame as error:
        click.echo(f"Nothing was copied: the log does not verify:\n{error}", err=True)
        sys.exit(1)
    except transfer.Unsure as error:
        fail(
            f"TO broke off while it was committing: {error}.",
            "It has all of it or nothing, and FROM takes nothing more. Run the same again: it goes",
            "on, or says that TO has it.",
        )
    except KeyboardInterrupt:
        click.echo("Stopped. Nothing was copied, and TO is as empty as it was.", err=True)
        sys.exit(1)
    _print(moved, time.monotonic() - began, as_json=as_json)


def _database(given: str, side: str) -> "Database":
    """Return the database of an argument, or print what is wrong and exit; never its password."""
    from responder.store.database.database import Database
    from responder.store.database.engines import DatabaseError

    url = _variable(given, side) if given.startswith(_FROM_A_VARIABLE) else given
    try:
        database = Database(url)
    except DatabaseError as error:
        fail(f"{side}: {error}; it is written as RESPONDER_DATABASE_URL is.")
    if side == "FROM" and database.path is not None and not database.path.is_file():
        fail(f"FROM: there is no database at {database.path}.")
    return database


def _variable(given: str, side: str) -> str:
    from responder.settings.sources import gather

    name = given.removeprefix(_FROM_A_VARIABLE)
    ours, _ = gather(os.environ, Path(".env"))
    url = os.environ.get(name) or ours.get(name.upper())
    if not url:
        fail(f"{side}: there is no variable {name}.")
    return url.strip()


def _must_differ(old: "Database", new: "Database") -> None:
    if old.path is None or new.path is None or not new.path.exists():
        return
    if old.path.samefile(new.path):
        fail("FROM and TO are the same file.")


@dataclass(slots=True)
class _Progress:
    """The callback that prints progress: a line a table, and on a terminal within each."""

    drawn_at: float = 0.0

    def __call__(self, table: str, rows: int, total: int) -> None:
        """Print how many rows of a table are copied."""
        if rows == total:
            click.echo(self._line(table, rows, total), err=True)
        elif sys.stderr.isatty() and time.monotonic() - self.drawn_at > _REDRAW_SECONDS:
            self.drawn_at = time.monotonic()
            click.echo(self._line(table, rows, total), err=True, nl=False)

    def _line(self, table: str, rows: int, total: int) -> str:
        start = "\r" if sys.stderr.isatty() else ""
        return f"{start}{table:<16} {rows:>12,} of {total:,} rows"


def heads_of(chains: "Iterable[Verified]") -> dict[str, dict[str, object]]:
    """Return, by portal, the last entry of each chain, for JSON."""
    return {
        one.portal: {"entries": one.entries, "seq": one.seq, "hash": one.hash} for one in chains
    }


def chain_line(chain: "Verified") -> str:
    """Return a line about the last entry of a chain."""
    return (
        f"{chain.portal}: {chain.entries} entries, the last is {chain.seq} with hash {chain.hash}"
    )


def _print(moved: "Moved", seconds: float, *, as_json: bool) -> None:
    if as_json:
        result = {
            "schema": moved.schema,
            "rows": dict(moved.rows),
            "chains": heads_of(moved.chains),
            "wrong": list(moved.wrong),
            "seconds": round(seconds, 3),
        }
        click.echo(json.dumps(result))
    else:
        for chain in moved.chains:
            click.echo(chain_line(chain))
        click.echo(f"{sum(moved.rows.values())} rows are the same in both, in {seconds:.1f} s")
    for line in moved.wrong:
        click.echo(f"copied, although it does not verify: {line}", err=True)
    click.echo(
        "FROM can still be read. It refuses all writes, and says where the log is now.\n"
        "Set RESPONDER_DATABASE_URL to TO, and start the service.",
        err=True,
    )

"""Defines the command that copies a log while it is served."""

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from responder.commands.context import fail, opened_log
from responder.commands.journal.migrate import chain_line, heads_of

if TYPE_CHECKING:
    from responder.journal.upkeep.sqlite_copy import Copied


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
@click.option(
    "--broken-too", is_flag=True, help="Keep the copy even where the log does not verify."
)
def backup(file: Path, *, as_json: bool, broken_too: bool) -> None:
    """Copy the log to FILE while it is served, and verify the copy. SQLite only.

    FILE must not exist yet, and appears only once the copy is complete. Exits with 1, and leaves no
    FILE, where the log does not verify.
    """
    from responder.journal.upkeep import sqlite_copy as copying

    began = time.monotonic()
    with opened_log(any_schema=True) as database:
        if database.path is None:
            fail(
                "This copies a SQLite file. On PostgreSQL, `pg_dump --format=custom --file=FILE`",
                "makes a consistent copy while it is served.",
            )
        try:
            copied = copying.backup(database, file, broken_too=broken_too)
        except copying.NotCopied as error:
            fail(f"Nothing was copied: {error}.")
        except copying.NotWhole as error:
            click.echo(f"Nothing was kept: the log does not verify:\n{error}", err=True)
            sys.exit(1)
        except KeyboardInterrupt:
            click.echo("Stopped. Nothing was kept.", err=True)
            sys.exit(1)
    _print(file, copied, time.monotonic() - began, as_json=as_json)


def _print(file: Path, copied: "Copied", seconds: float, *, as_json: bool) -> None:
    chains = copied.chains or ()
    if as_json:
        result = {
            "file": str(file),
            "bytes": copied.bytes,
            "chains": heads_of(chains),
            "wrong": list(copied.wrong),
            "seconds": round(seconds, 3),
        }
        click.echo(json.dumps(result))
    else:
        for chain in chains:
            click.echo(chain_line(chain))
        click.echo(f"{file}: {copied.bytes:,} bytes, in {seconds:.1f} s")
    for line in copied.wrong:
        click.echo(f"copied, although it does not verify: {line}", err=True)
    if copied.chains is None and not copied.wrong:
        click.echo("The log is of an older version: its chains were not checked.", err=True)

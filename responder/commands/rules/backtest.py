"""Defines the command that tries new rules on what was recorded."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from responder.commands.arguments.instant_argument import SINCE, SINCE_HELP
from responder.commands.context import (
    fail,
    is_known_to_the_log,
    opened_log,
    require_portal,
    rules_of_revision,
    show_mistakes,
    stored_revision,
)

if TYPE_CHECKING:
    from responder.authoring.backtest.backtest import Tick
    from responder.journal.reading.history import Span
    from responder.rules.ruleset import Ruleset
    from responder.store.database.database import Database

_SINCE = timedelta(days=30)


@click.command()
@click.argument("new", metavar="NEW.yaml", type=click.Path(path_type=Path))
@click.option("--since", type=SINCE, help=f"{SINCE_HELP} 30d if not given.")
@click.option(
    "--against", metavar="REVISION", help="Compare with this revision, not with what was done."
)
@click.option("--portal", metavar="NAME", help="Only this portal.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, a summary last.")
@click.option(
    "--fail-on", type=click.Choice(["added"]), help="Exit with 1 where kills would be added."
)
def backtest(
    *,
    new: Path,
    since: datetime | None,
    against: str | None,
    portal: str | None,
    as_json: bool,
    fail_on: str | None,
) -> None:
    """Try new rules on recorded facts, and list what would have been different.

    Every kill that rules condemn counts, whatever their mode; a recorded `would_kill` is a kill.
    What was not recorded is undecidable. Nothing is called, and nothing is written.
    """
    from responder.authoring.backtest import result as report
    from responder.authoring.backtest.backtest import Backtest
    from responder.journal import chain_ends

    with opened_log() as database:
        trial = Backtest(
            database=database,
            new=_rules(new),
            since=since or datetime.now(UTC) - _SINCE,
            against=None if against is None else _revision(database, against),
        )
        require_portal(portal, database.read(chain_ends.portals))
        spans = trial.spans(portal)
        with _progress(spans) as tick:
            result = trial.run(spans, tick)
    for line in report.to_lines(result) if as_json else report.render(result):
        click.echo(line)
    if not as_json:
        for note in report.notes(result):
            click.echo(note, err=True)
    sys.exit(1 if fail_on == "added" and result.count("added") else 0)


def _rules(path: Path) -> "Ruleset":
    """Return the new rules, or print their mistakes as `check` does and exit."""
    from responder.rules.ruleset import RulesError, load

    try:
        return load(path.read_bytes(), file=str(path), is_known=is_known_to_the_log)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    except RulesError as error:
        show_mistakes(error)
        sys.exit(2)


def _revision(database: "Database", revision: str) -> "Ruleset":
    return rules_of_revision(*stored_revision(database, revision))


@contextmanager
def _progress(spans: "list[Span]") -> "Iterator[Tick]":
    """Yield a callback that shows progress on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _entries: None
        return
    entries = sum(span.last - span.first + 1 for span in spans)
    with click.progressbar(length=entries, label="judging", file=sys.stderr) as bar:
        yield bar.update

"""Defines the commands for an auditor: verifying, checkpoints, exports, erasing."""

import json
import sys
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, NoReturn, TextIO

import click

from responder.commands.context import current_user, fail, opened_log, require_portal

if TYPE_CHECKING:
    from responder.journal.audit.verify import Verified
    from responder.store.database.database import Database


@click.group()
def audit() -> None:
    """Verify the decision log, export it, or erase the facts behind a decision."""


@audit.command(short_help="Check the whole log; name the first entry that is wrong.")
@click.option(
    "--checkpoint",
    "given",
    type=click.File("r", encoding="utf-8", errors="replace"),
    help="What `audit checkpoint` printed earlier, or the service's log, which has many.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a portal.")
def verify(given: TextIO | None, *, as_json: bool) -> None:
    """Check the whole log; name the first entry that is not as it was written, and exit with 1.

    The rows beside the log are compared with it: deliveries, rules, approvals, calls, limits.
    """
    from responder.journal import chain_ends
    from responder.journal.audit import checkpoints as log
    from responder.journal.audit.inspection import Inspection

    try:
        marks = {} if given is None else log.marks(given)
    except ValueError as error:
        fail(f"The checkpoint cannot be used: {error}.")
    with opened_log() as database:
        portals = sorted({*database.read(chain_ends.portals), *marks})
        inspection = Inspection(database, portals)
        found = []
        for portal in portals:
            found.append(inspection.of(portal, marks.get(portal), database.now()))
            click.echo(_line(found[-1], as_json=as_json))
        wrong = [*map(str, inspection.of_all()), *_changed_rulesets(database), *_damage(database)]
    for line in wrong:
        click.echo(line, err=as_json)
    if wrong or any(one.bad or one.differing for one in found):
        sys.exit(1)
    too_old = [one for one in found if one.portal in marks and one.compared == 0]
    if too_old:
        fail(*(_too_old(one) for one in too_old))


@audit.command(short_help="Print where each chain ends, as JSON, to be kept elsewhere.")
def checkpoint() -> None:
    """Print number, hash and time of each chain's last entry, as JSON. Keep it elsewhere."""
    from responder.journal.audit import checkpoints as log

    with opened_log() as database:
        click.echo(json.dumps(database.read(partial(log.checkpoint, at=database.now()))))


@audit.command(short_help="Print every entry with its evidence, one JSON object a line.")
@click.option("--portal", help="Only this portal; otherwise all, one after the other.")
def export(portal: str | None) -> None:
    """Print every entry with its evidence, one JSON object a line, for another verifier."""
    from responder.journal import chain_ends
    from responder.journal.audit import checkpoints as log

    with opened_log() as database:
        portals = database.read(chain_ends.portals)
        require_portal(portal, portals)
        try:
            for name in portals if portal is None else [portal]:
                for entry in log.export(database, name):
                    click.echo(json.dumps(entry))
        except log.Moved as error:
            _not_so(f"The export ends here: {error}.")


@audit.command(short_help="Erase the facts behind decisions; the chain still holds.")
@click.argument("decisions", metavar="DECISION...", nargs=-1, required=True)
@click.option("--by", help="Who asked for it, for the log; otherwise the user of this terminal.")
def erase(decisions: tuple[str, ...], by: str | None) -> None:
    """Erase the facts behind decisions; what was decided stays, and the chain holds."""
    from responder.journal.upkeep import erase as erasing

    name = by or current_user()
    with opened_log() as database:
        now = database.now()
        try:
            found = [erasing.find(database, one) for one in decisions]
        except erasing.NotErasable as error:
            fail(f"Nothing was erased: {error}.")
        for facts in found:
            erased = database.write(partial(erasing.remove, facts=facts, by=name, at=now))
            if erased is None:
                click.echo(f"{facts.decision_id}: was erased before", err=True)
                continue
            number = _count(len(erased.entries), "entry", "entries")
            forms = _count(erased.deliveries, "received form", "received forms")
            click.echo(f"{facts.decision_id}: erased the facts of {number} and {forms}")
        if not erasing.scrub(database):
            click.echo("The database is busy: it frees the erased text a little later.", err=True)


def _line(found: "Verified", *, as_json: bool) -> str:
    if as_json:
        return json.dumps(asdict(found))
    if found.bad is not None:
        bad = f"{found.portal}-{found.bad.seq}: {found.bad.why}"
        return "\n".join([bad, *_differing(found)])
    parts = [
        f"{found.portal}: {_count(found.entries, 'entry holds', 'entries hold')}, "
        f"the last is {found.seq} with hash {found.hash}"
    ]
    if found.compared:
        parts.append(f"{_count(found.compared, 'checkpoint agrees', 'checkpoints agree')}")
    if found.erased:
        parts.append(f"the facts of {_count(found.erased, 'entry', 'entries')} were erased")
    if found.pruned:
        older = (
            ""
            if found.kept_days is None
            else f", older than {_count(found.kept_days, 'day', 'days')}"
        )
        parts.append(f"entries up to {found.pruned} were pruned{older}")
    return "\n".join(["; ".join(parts), *_differing(found)])


def _differing(found: "Verified") -> list[str]:
    """Return a line for each difference between the rows and the log."""
    lines = [f"{found.portal}: {difference}" for difference in found.differs]
    more = found.differing - len(lines)
    return [*lines, f"{found.portal}: {more} more"] if more else lines


def _changed_rulesets(database: "Database") -> list[str]:
    from responder.journal.audit.integrity import changed_rulesets

    changed = changed_rulesets(database)
    return [f"the kept text of ruleset {revision} was changed" for revision in changed]


def _damage(database: "Database") -> list[str]:
    from responder.journal.audit.integrity import damage

    found = damage(database)
    if found is None and database.dialect == "sqlite":
        click.echo("The file's indexes were not checked: that would hold up the service.", err=True)
    return [f"the file {database.path}: {line}" for line in found or ()]


def _too_old(found: "Verified") -> str:
    return (
        f"The checkpoint is too old to prove anything of {found.portal}: entries up to "
        f"{found.pruned} were pruned. (One without the time of its entry proves nothing of them.)"
    )


def _not_so(line: str) -> NoReturn:
    click.echo(line, err=True)
    sys.exit(1)


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"

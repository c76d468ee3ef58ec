"""Defines the commands of the operator: status, pause, resume, rearm."""

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import click

from responder.adapters.printable_text import printable
from responder.commands.context import (
    current_user,
    did_you_mean,
    fail,
    is_known_to_the_log,
    opened,
    require_portal,
    time_zone,
)
from responder.rules.revision import shown

if TYPE_CHECKING:
    from responder.journal.open_stops import Stop
    from responder.journal.reading.approval_cases import ApprovalCase
    from responder.rules.ruleset import Ruleset
    from responder.service.alarms.alarm import Alarm
    from responder.settings.settings import Settings
    from responder.stop.control import Status
    from responder.store.database.database import Database

_SEEN_BY_ALL_SECONDS = 1.0
_SAYS_ALL = "`responder check` names each mistake."
_MOST_ASKED = 5  # of what waits for approval; `responder approve` lists all


class _Line(NamedTuple):
    """A line for people: its head, and a text, whose further lines are indented."""

    head: str = ""
    text: str = ""
    indent: int | None = None  # as far as the head is long


def ruleset_of(settings: "Settings") -> "Ruleset":
    """Return the rules of the settings, or print that the file is broken and exit."""
    ruleset = _ruleset_or_why(settings)
    return fail(f"{ruleset}.", _SAYS_ALL) if isinstance(ruleset, str) else ruleset


def require_rule(rule: str, ruleset: "Ruleset") -> None:
    """Print which rule may be meant, and exit if `rule` is none that stops anything."""
    known = [one.id for one in ruleset.rules if one.acts]
    if rule not in known:
        fail(f"There is no rule {rule!r} that stops anything.{did_you_mean(rule, known)}")


def _ruleset_or_why(settings: "Settings") -> "Ruleset | str":
    from responder.rules.ruleset import RulesError, load

    try:
        data = settings.rules.read_bytes()
        return load(
            data,
            file=str(settings.rules),
            portals=settings.portals,
            is_known=is_known_to_the_log,
        )
    except RulesError as error:
        first = error.mistakes[0]
        return f"{first.file}:{first.line}:{first.column} {first.message}"
    except OSError as error:
        return f"{settings.rules}: {error.strerror}"


@click.command()
def pause() -> None:
    """Stop all new kills at once, on every replica, until `resume`."""
    from responder.stop import control

    with opened() as (settings, database):
        portals = sorted(settings.portals)
        if not control.pause(database, portals, by=current_user(), at=database.now()):
            click.echo("Everything was paused already.", err=True)
            return
        click.echo("Paused: nothing more is begun. What would be stopped is held.")
        time.sleep(_SEEN_BY_ALL_SECONDS)
        _print(_under_way_line(stop) for stop in control.under_way(database, portals))


def _under_way_line(stop: "Stop") -> "_Line":
    what = f"{stop.action.value} of {stop.workflow_id} on {stop.document.ref}"
    by = f"by rule {stop.rule} (decision {stop.decision_id})"
    return _Line("already under way: ", f"{what} {by}", indent=2)


@click.command()
def resume() -> None:
    """Allow kills again; what was held is judged afresh on the facts of this moment."""
    from responder.stop import control

    with opened() as (settings, database):
        freed = control.resume(
            database, sorted(settings.portals), by=current_user(), at=database.now()
        )
        if freed is None:
            click.echo("Nothing was paused.", err=True)
        else:
            click.echo(f"Resumed; {_afresh(freed)}.")


@click.command()
@click.argument("rule")
@click.option("--portal", help="In this portal alone; otherwise in all.")
@click.option("--yes", is_flag=True, help="Do not ask on a terminal.")
def rearm(rule: str, portal: str | None, *, yes: bool) -> None:
    """Let a tripped rule act again, and judge afresh what it held.

    It says first what that frees, and asks on a terminal.
    """
    from responder.journal.reading import counts
    from responder.stop import control

    with opened() as (settings, database):
        require_portal(portal, settings.portals)
        known = [one.id for one in ruleset_of(settings).rules if one.acts]
        portals = [portal] if portal else sorted(settings.portals)
        held = database.read(lambda conn: counts.held_by_rule(conn, portals, rule))
        if held.stops or rule in known:
            _print([_Line(f"{rule}: ", held.sentence, indent=2)], err=True)
            if not yes and sys.stdin.isatty():
                click.confirm(f"Rearm {rule}?", abort=True, err=True)
        try:
            freed = control.rearm(
                database, portals, rule, known=known, by=current_user(), at=database.now()
            )
        except control.UnknownRule:
            fail(f"There is no rule {rule!r} that stops anything.{did_you_mean(rule, known)}")
        click.echo(f"Rearmed {rule}; {_afresh(freed)}.")


def _afresh(freed: int) -> str:
    return "1 held stop is judged afresh" if freed == 1 else f"{freed} held stops are judged afresh"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def status(*, as_json: bool) -> None:
    """Show what needs you, mode, rules with their budgets, and each portal's backlog and breaker.

    With a broken rules file all the rest is shown, and the exit code is 1.
    """
    from responder.journal.reading import approval_cases
    from responder.stop import control

    with opened() as (settings, database):
        ruleset = _ruleset_or_why(settings)
        known = None if isinstance(ruleset, str) else ruleset
        now = database.now()
        found = control.status(database, settings, known, now)
        alarms = _alarms(settings, database, ruleset if isinstance(ruleset, str) else None, now)
        asked = database.read(
            lambda conn: approval_cases.first_to_lapse(conn, list(settings.portals), _MOST_ASKED)
        )
        if as_json:
            listed = [alarm.to_json() for alarm in alarms]
            waiting = [{**case.to_json(), "about": case.about} for case in asked]
            click.echo(json.dumps({"alarms": listed, "approvals": waiting, **asdict(found)}))
        else:
            _print([*_alarm_lines(alarms, asked), *_lines(found)])
        if known is None:
            click.echo(f"{_SAYS_ALL} A service that runs goes on by the last good rules.", err=True)
            sys.exit(1)


def _print(lines: "Iterable[_Line]", *, err: bool = False) -> None:
    """Print lines no wider than the terminal, with local times."""
    from responder.adapters import local_time
    from responder.adapters.text_table import wrapped

    zone = time_zone()
    for line in lines:
        text = local_time.in_text(printable(line.text), zone)
        click.echo("\n".join(wrapped(printable(line.head), text, line.indent)), err=err)


def _alarms(
    settings: "Settings", database: "Database", rules_error: str | None, now: datetime
) -> "list[Alarm]":
    """Return the alarms, as far as they show without the service that runs."""
    from responder.service.alarms import reading
    from responder.service.alarms.alarm_kinds import alarms
    from responder.service.alarms.known import Here
    from responder.service.alarms.standing_alarms import with_since

    here = Here(rules_error=rules_error, free_bytes=database.free_bytes())
    known = database.read(lambda conn: reading.known(conn, settings, here, now, past=True))
    return with_since(alarms(known), known.records)


_SEVERITIES = {"needs_you": "NEEDS YOU", "is_wrong": "IS WRONG", "was_wrong": "was wrong"}
_HEAD = 11  # columns before an alarm's sentence


def _alarm_lines(alarms: "Sequence[Alarm]", asked: "Sequence[ApprovalCase]") -> "Iterator[_Line]":
    """Yield each alarm in words, with since when, what to do about it, and what is asked."""
    from responder.store.canonical_json import instant_text

    if not alarms:
        yield _Line("alarms   ", "none")
    for alarm in alarms:
        since = "" if alarm.since is None else f" Since {instant_text(alarm.since)}."
        yield _Line(f"{_SEVERITIES[alarm.severity]:<{_HEAD}}", f"{alarm.sentence}{since}")
        if alarm.severity != "was_wrong":
            yield _Line(" " * _HEAD, alarm.todo)
        if alarm.kind == "approval":
            yield from (_asked_line(one) for one in asked if one.asked.portal == alarm.portal)
    yield _Line()


def _asked_line(case: "ApprovalCase") -> "_Line":
    one = case.asked
    what = f"{one.action.value} {case.about}: rule {one.rule}, decision {one.decision_id}"
    return _Line(f"{'-':>{_HEAD + 1}} ", what)


def _lines(found: "Status") -> "Iterator[_Line]":
    paused = (
        "no" if found.paused is None else f"since {found.paused['since']} by {found.paused['by']}"
    )
    yield _Line("mode     ", _mode(found))
    yield _Line("paused   ", paused)
    yield _Line("ruleset  ", shown(found.ruleset or "BROKEN"))
    yield _Line()
    for name, portal in found.portals.items():
        yield _Line("portal ", name)
        for key, value in portal.items():
            yield _Line(f"  {key.replace('_', ' '):<20} ", _cell(value))
        yield _Line()
    for rule in found.rules:
        yield _Line("rule ", _rule_in_words(rule, is_broken=found.ruleset is None))


def _rule_in_words(rule: Mapping[str, object], *, is_broken: bool) -> str:
    state = f"TRIPPED: {rule['tripped']}" if rule["tripped"] else "armed"
    if is_broken:
        return f"{rule['rule']} ({rule['portal']}): {state}"
    if rule["disabled"]:
        state = f"disabled: {rule['disabled']}"
    return (
        f"{rule['rule']} ({rule['portal']}): {rule['action']}, {rule['mode']}, "
        f"{rule['stopped_last_hour']} of {rule['per_hour']} stopped in the last hour, "
        f"{rule['would_have_last_hour']} would have been; {state}"
    )


def _mode(found: "Status") -> str:
    """Return in which mode the service runs, and whether the settings here say another."""
    running = ", ".join(found.running_modes)
    if not running:
        return f"{found.mode} (in the settings here; no service runs)"
    if running == found.mode:
        return running
    return f"{running}; the settings here say {found.mode}, which counts once it is started again"


def _cell(value: object) -> str:
    if isinstance(value, dict) and value:
        shown = {key: one for key, one in value.items() if one not in (None, [], 0)}  # nor False
        return ", ".join(f"{key.replace('_', ' ')} {_cell(one)}" for key, one in shown.items())
    if isinstance(value, list):
        return "; ".join(map(_words, value)) or "-"
    if isinstance(value, float):
        return f"{value:.0f}"
    return "-" if value in (None, {}) else str(value)


def _words(value: object) -> str:
    return " ".join(map(str, value.values())) if isinstance(value, dict) else str(value)

"""Defines the command that examines an installation."""

import asyncio
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from responder.adapters import local_time
from responder.adapters.printable_text import to_json
from responder.adapters.terminal import Style, columns
from responder.adapters.text_table import Column, Table
from responder.commands.context import fail, portal_of, require_portal, time_zone

if TYPE_CHECKING:
    from responder.service.doctor.checks import Finding
    from responder.settings.settings import Settings

    Show = Callable[[Finding, Callable[[str], str]], object]

_STATUS = 8  # places for the longest
_STYLES: "dict[str, Style]" = {"problem": "red", "warning": "yellow", "ok": "green"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--probe", is_flag=True, help="Ask the portals whether they answer as we rely on.")
@click.option("--portal", help="With --probe: this portal alone.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --probe: keep the answers there, each value replaced by its shape.",
)
@click.option("--with-kill", is_flag=True, help="With --probe: also kill an id that cannot exist.")
def doctor(
    *, as_json: bool, probe: bool, portal: str | None, out: Path | None, with_kill: bool
) -> None:
    """Report what is wrong with this installation, and what to do. Changes nothing.

    Exits with 0 when there is no problem, 1 when there is one, 2 when the settings are wrong. With
    --probe it asks each portal instead, in 60 calls at most that only read, and exits with 1 where
    an answer differs from what responder relies on.
    """
    if not probe and (portal is not None or out is not None or with_kill):
        fail("--portal, --out and --with-kill belong to --probe.")
    given = _settings(as_json=as_json)
    if probe:
        work = _probe(given, _portals(given, portal, out), out, with_kill=with_kill, json=as_json)
    else:
        work = _examine(given, _shown(as_json=as_json))
    try:
        sys.exit(asyncio.run(work))
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(1)


def _settings(*, as_json: bool) -> "Settings":
    from responder.service.doctor.checks import wrong_settings
    from responder.settings.settings import SettingsError, load

    try:
        return load()
    except SettingsError as error:
        show = _shown(as_json=as_json)
        for finding in wrong_settings(error.problems):
            show(finding, str)
        sys.exit(2)


def _portals(given: "Settings", portal: str | None, out: Path | None) -> list[str]:
    """Return the portals to ask, or print which there are and exit."""
    require_portal(portal, given.portals)
    names = sorted(given.portals) if portal is None else [portal]
    if out is not None and len(names) > 1:
        fail(f"--out keeps the answers of one portal: --portal {' or '.join(names)}.")
    return names


async def _probe(
    given: "Settings", portals: list[str], out: Path | None, *, with_kill: bool, json: bool
) -> int:
    from responder.adapters.logs import configure, redactor
    from responder.bitrix24.probe import kept_answers
    from responder.bitrix24.probe.question import Result
    from responder.bitrix24.probe.questions.question_table import QUESTIONS, READING
    from responder.service.doctor import probing
    from responder.settings.settings import secrets

    configure("error", secrets(given))  # that a method was refused is among what is asked
    redacted, differs = redactor(secrets(given)), False
    for name in portals:
        questions = QUESTIONS if with_kill else READING
        found = await probing.probe(
            portal_of(given, name), given.portals[name], questions, lambda: datetime.now(UTC)
        )
        lines = [to_json(probing.as_object(name, one)) for one in found.findings] if json else []
        for line in lines or probing.table(name, found):
            click.echo(redacted(line))
        differs |= any(found.of(Result.DIFFERS))
        if out is not None:
            try:
                kept_answers.write(out, found)
            except OSError as error:
                fail(f"{out}: {error.strerror}")
    return 1 if differs else 0


async def _examine(given: "Settings", show: "Show") -> int:
    from responder.adapters.logs import redactor
    from responder.service.doctor.checks import Status
    from responder.service.doctor.examination import examine
    from responder.settings.settings import secrets

    redacted = redactor(secrets(given))
    exit_code = 0
    async for finding in examine(given, datetime.now(UTC)):
        show(finding, redacted)
        if finding.status is Status.PROBLEM:
            exit_code = 1
    return exit_code


def _shown(*, as_json: bool) -> "Show":
    """Return a function that shows a finding, as JSON or as a row with its status in colour."""
    if as_json:
        return lambda finding, redacted: click.echo(redacted(_as_json(finding)))
    table = Table(
        Column(usual=_STATUS, style=_STYLES.get),
        Column(usual=columns() - _STATUS, fold=True),
        write=click.echo,
    )
    table.flush()  # each is shown when it is found
    return lambda finding, redacted: table.add(finding.status.value, redacted(_in_words(finding)))


def _in_words(finding: "Finding") -> str:
    where = f"{finding.portal}: " if finding.portal else ""
    advice = f" -> {finding.advice}" if finding.advice else ""
    line = f"{where}{finding.check}: {finding.message}{advice}"
    return local_time.in_text(line, time_zone())


def _as_json(finding: "Finding") -> str:
    return to_json(
        {
            "check": finding.check,
            "portal": finding.portal,
            "status": finding.status.value,
            "message": finding.message,
            "advice": finding.advice,
        }
    )

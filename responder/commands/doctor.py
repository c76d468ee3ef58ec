"""Defines the command that examines an installation."""

import asyncio
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from responder.service.doctor.checks import Finding
    from responder.settings.settings import Settings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def doctor(*, as_json: bool) -> None:
    """Report what is wrong with this installation, and what to do. Changes nothing.

    Exits with 0 when there is no problem, 1 when there is one, 2 when the settings are wrong.
    """
    from responder.service.doctor.checks import wrong_settings
    from responder.settings.settings import SettingsError, load

    try:
        given = load()
    except SettingsError as error:
        for finding in wrong_settings(error.problems):
            click.echo(_as_json(finding) if as_json else _as_line(finding))
        sys.exit(2)
    try:
        sys.exit(asyncio.run(_examine(given, _as_json if as_json else _as_line)))
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(1)


async def _examine(given: "Settings", written: "Callable[[Finding], str]") -> int:
    from responder.adapters.logs import redactor
    from responder.service.doctor.checks import Status
    from responder.service.doctor.examination import examine
    from responder.settings.settings import secrets

    redacted = redactor(secrets(given))
    exit_code = 0
    async for finding in examine(given, datetime.now(UTC)):
        click.echo(redacted(written(finding)))
        if finding.status is Status.PROBLEM:
            exit_code = 1
    return exit_code


def _as_line(finding: "Finding") -> str:
    from responder.adapters.printable_text import printable

    where = f"{finding.portal}: " if finding.portal else ""
    advice = f" -> {finding.advice}" if finding.advice else ""
    return printable(f"{finding.status.value:<8} {where}{finding.check}: {finding.message}{advice}")


def _as_json(finding: "Finding") -> str:
    from responder.adapters.printable_text import to_json

    return to_json(
        {
            "check": finding.check,
            "portal": finding.portal,
            "status": finding.status.value,
            "message": finding.message,
            "advice": finding.advice,
        }
    )

"""Lists all commands in one table: the module of each, and its line in the help.

A command is imported when it is run: `check` needs no server, and the help needs none of them.

Exit codes: 0 fine; 1 the thing checked is not so; 2 the question was wrong (settings, rules,
arguments). Output for programs goes to stdout, what people read besides to stderr.
"""

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click

from responder.adapters.collector import collecting_rarely
from responder.adapters.terminal import close_output, escape_output

COMMANDS = {
    "serve": ("serve:serve", "Receive events, decide and act."),
    "demo": ("serve:demo", "Play the main job on real HTTP; needs no settings."),
    "sandbox": ("sandbox:sandbox", "Run a Bitrix24 portal in miniature over real HTTP."),
    "health": ("serve:health", "Ask the running service whether it is alive."),
    "status": ("operate:status", "Show mode, rules, trips, and each portal's backlog and breaker."),
    "pause": ("operate:pause", "Stop all new kills at once, on every replica, until `resume`."),
    "resume": ("operate:resume", "Allow kills again; what was held is judged afresh."),
    "rearm": ("operate:rearm", "Let a tripped rule act again; what it held is judged afresh."),
    "cancel": ("approve:cancel", "Stop decisions that wait or are held."),
    "approve": ("approve:approve", "Approve decisions of rules in mode approve, or list them."),
    "restart": (
        "restart:restart",
        "Start a stopped workflow anew, as near to undoing as there is.",
    ),
    "sweep": ("sweep:sweep", "Judge all running workflows now, as if an event had come."),
    "decisions": ("journal.log:decisions", "Print the decision log, oldest first."),
    "events": ("journal.log:events", "List what was received, and what concluded it."),
    "audit": ("journal.audit:audit", "Verify the decision log, export it, or erase facts."),
    "migrate": (
        "journal.migrate:migrate",
        "Copy the whole database into another, and prove it the same.",
    ),
    "backup": ("journal.backup:backup", "Copy a SQLite log to a file while it is served."),
    "check": ("rules.check:check", "Report every mistake in a rules file."),
    "test": ("rules.trials:test", "Run the tests of rules."),
    "explain": (
        "rules.trials:explain",
        "Read rules aloud, or go through a case, decision or document.",
    ),
    "backtest": ("rules.backtest:backtest", "Try new rules on recorded facts."),
    "schema": ("rules.language:schema", "Print the rule language as JSON Schema, for editors."),
    "recipes": ("texts:recipes", "List policies that people ask for, or print one."),
    "rules": (
        "rules.in_force:rules",
        "Print each rule in plain English, and what it would have done.",
    ),
    "fields": ("rules.language:fields", "List the facts that rules may test."),
    "doctor": ("doctor:doctor", "Report what is wrong with this installation, and what to do."),
    "app": ("local_app:app", "Show how to install a local application, and how it stands."),
    "password": ("password:password", "Hash a password for RESPONDER_ADMINS__<NAME>."),
    "docs": ("texts:docs", "List the pages of the documentation, or print one."),
    "deploy": ("texts:deploy", "List the files to deploy and watch it with, or print one."),
}

GROUPS = {
    "Run it": ("serve", "demo", "sandbox", "app", "doctor", "health", "password", "migrate"),
    "Look": ("status", "decisions", "events", "explain"),
    "Act": ("pause", "resume", "rearm", "approve", "cancel", "restart", "sweep"),
    "Rules": ("check", "test", "backtest", "rules", "fields", "recipes", "schema"),
    "Audit": ("audit", "backup"),
    "Read": ("docs", "deploy"),
}
"""The headings of the help, with the commands below each; one that is nowhere comes last."""

# Their exit code says whether something is so: unless they were heard out, they have not said yes.
_JUDGING = frozenset({"check", "test", "backtest", "audit", "doctor", "sweep", "migrate", "backup"})
_NOT_HEARD_OUT = 141  # what a shell says of a program that a closed pipe ended


class _Commands(click.Group):
    """The group of all commands, each of which is imported when it is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return a command, or None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name][0].split(":")
        command = getattr(importlib.import_module(f"responder.commands.{module}"), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the help's list of commands from the table, importing none of them."""
        for heading, names in _groups():
            with formatter.section(heading):
                formatter.write_dl([(name, COMMANDS[name][1]) for name in names])

    def main(self, *args: Any, **more: Any) -> Any:  # noqa: ANN401 -- as in click
        """Run the program, and leave nothing for the interpreter to write at its end."""
        with collecting_rarely():
            try:
                return super().main(*args, **more)
            finally:
                close_output()

    def make_context(self, *args: Any, **more: Any) -> click.Context:  # noqa: ANN401 -- as in click
        """Read the command line; the help is printed here."""
        with _reader_may_leave(lambda: 0):
            return super().make_context(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 -- as in click
        """Run a command."""
        with _reader_may_leave(lambda: _NOT_HEARD_OUT if ctx.invoked_subcommand in _JUDGING else 0):
            return super().invoke(ctx)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is meant, or raise an error that names the nearest one."""
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            raise click.NoSuchCommand(error.command_name, possibilities=COMMANDS, ctx=ctx) from None


def _groups() -> Iterator[tuple[str, list[str]]]:
    """Yield each heading of the help with its commands, in the order of the table of groups."""
    named = {name for names in GROUPS.values() for name in names}
    more = {"More": tuple(name for name in COMMANDS if name not in named)}
    for heading, names in (GROUPS | more).items():
        there = [name for name in names if name in COMMANDS]
        if there:
            yield heading, there


@contextlib.contextmanager
def _reader_may_leave(code: Callable[[], int]) -> Iterator[None]:
    """End the program without a word, and with this exit code, where nobody reads any more."""
    heard = True
    try:
        yield
    except BrokenPipeError:
        heard = False
    finally:
        heard &= close_output()
    if not heard:
        sys.exit(code())


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="responder")
def main() -> None:
    """Stop Bitrix24 workflows that break a company's rules, and say why."""
    escape_output()

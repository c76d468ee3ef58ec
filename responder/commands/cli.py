"""Lists all commands in one table: the module of each, and its line in the help.

A command is imported when it is run: `check` needs no server, and the help needs none of them.

Exit codes: 0 fine; 1 the thing checked is not so; 2 the question was wrong (settings, rules,
arguments). Output for programs goes to stdout, what people read besides to stderr.
"""

import importlib

import click

from responder.adapters.terminal import escape_output

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
    "check": ("rules.files:check", "Report every mistake in a rules file."),
    "test": ("rules.trials:test", "Run the tests of rules."),
    "explain": (
        "rules.trials:explain",
        "Read rules aloud, or go through a case, decision or document.",
    ),
    "backtest": ("rules.backtest:backtest", "Try new rules on recorded facts."),
    "schema": ("rules.files:schema", "Print the rule language as JSON Schema, for editors."),
    "recipes": ("texts:recipes", "List policies that people ask for, or print one."),
    "rules": (
        "rules.in_force:rules",
        "Print each rule in plain English, and what it would have done.",
    ),
    "fields": ("rules.files:fields", "List the facts that rules may test."),
    "doctor": ("doctor:doctor", "Report what is wrong with this installation, and what to do."),
    "app": ("local_app:app", "Show how to install a local application, and how it stands."),
    "password": ("password:password", "Hash a password for RESPONDER_ADMINS__<NAME>."),
    "docs": ("texts:docs", "List the pages of the documentation, or print one."),
    "deploy": ("texts:deploy", "List the files to deploy and watch it with, or print one."),
}


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
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is meant, or raise an error that names the nearest one."""
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            raise click.NoSuchCommand(error.command_name, possibilities=COMMANDS, ctx=ctx) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="responder")
def main() -> None:
    """Stop Bitrix24 workflows that break a company's rules, and say why."""
    escape_output()

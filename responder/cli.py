"""All commands, in one table. Each is loaded when it is asked for: `check` needs no server.

Exit codes: 0 fine; 1 the thing checked is not so; 2 the question was wrong (settings, rules,
arguments). What a machine may read goes to stdout, what people read besides to stderr.
"""

import importlib

import click

COMMANDS = {
    "serve": "serve:serve",
    "demo": "serve:demo",
    "sandbox": "serve:sandbox",
    "health": "serve:health",
    "status": "operate:status",
    "pause": "operate:pause",
    "resume": "operate:resume",
    "rearm": "operate:rearm",
    "cancel": "operate:cancel",
    "approve": "approve:approve",
    "sweep": "sweep:sweep",
    "decisions": "log:decisions",
    "events": "log:events",
    "audit": "audit:audit",
    "migrate": "migrate:migrate",
    "check": "rules:check",
    "test": "trials:test",
    "explain": "trials:explain",
    "backtest": "backtest:backtest",
    "schema": "rules:schema",
    "recipes": "rules:recipes",
    "rules": "kept:rules",
    "fields": "rules:fields",
    "doctor": "doctor:doctor",
    "password": "password:password",
}


class _Commands(click.Group):
    """Loads a command from `responder.commands` when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return a command, or None if there is none of that name."""
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, name = place.split(":")
        command = getattr(importlib.import_module(f"responder.commands.{module}"), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is meant, or tell the nearest name of the table."""
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            raise click.NoSuchCommand(error.command_name, possibilities=COMMANDS, ctx=ctx) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="responder")
def main() -> None:
    """Stop Bitrix24 workflows that break a company's rules, and say why."""

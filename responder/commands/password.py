"""Defines the command that hashes a password for `RESPONDER_ADMINS__<NAME>`."""

import sys

import click

from responder.commands.context import fail


@click.command()
def password() -> None:
    """Hash a password for RESPONDER_ADMINS__<NAME>: one line from stdin; prints the hash alone."""
    from responder.service.pages.login.passwords import BadPassword, hashed

    try:
        click.echo(hashed(_read_password()))
    except BadPassword as error:
        fail(f"This password will not do: {error}.")


def _read_password() -> str:
    if sys.stdin.isatty():
        prompted: str = click.prompt(
            "Password", hide_input=True, confirmation_prompt=True, err=True
        )
        return prompted
    try:
        return sys.stdin.readline().rstrip("\r\n")
    except UnicodeDecodeError:
        fail("The password is not UTF-8.")

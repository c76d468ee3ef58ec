"""Defines the commands that print texts installed with the program. They need no settings."""

import click

from responder.adapters.package_texts import DEPLOY, DOCS, RECIPES, Texts, UnknownTextError
from responder.adapters.terminal import print_verbatim
from responder.commands.context import fail


@click.command()
@click.argument("name", required=False)
def recipes(name: str | None) -> None:
    """List policies that people ask for, or print one: a rules file with its tests."""
    _print("recipes", RECIPES, name)


@click.command()
@click.argument("name", required=False)
def docs(name: str | None) -> None:
    """List the pages of the documentation, or print one."""
    _print("docs", DOCS, name)


@click.command()
@click.argument("name", required=False)
def deploy(name: str | None) -> None:
    """List the files to deploy and watch it with, or print one."""
    _print("deploy", DEPLOY, name)


def _print(command: str, texts: Texts, name: str | None) -> None:
    """Print a text unchanged; without a name, print a line for each text there is."""
    if name is None:
        from responder.adapters.text_table import Column, Table

        with Table(Column(), Column(fold=True), write=click.echo) as table:
            for row in texts.index():
                table.add(*row)
        return
    try:
        print_verbatim(texts.text(name))
    except UnknownTextError as error:
        from responder.rules.yaml_positions import nearest

        meant = nearest(name, texts.names())
        fail(
            f"{error}; "
            + (f"did you mean {meant}?" if meant else f"`responder {command}` lists all")
        )

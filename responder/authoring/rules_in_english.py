"""Prints a rules file in plain English: rule by rule, in the order in which it is read."""

import textwrap
from collections.abc import Iterator

from responder.adapters.printable_text import printable
from responder.model import Action
from responder.rules.english.paragraphs import paragraph
from responder.rules.rule import Rule
from responder.rules.ruleset import Ruleset

_WIDTH = 80


def ruleset_in_english(ruleset: Ruleset) -> Iterator[str]:
    """Yield the lines of a ruleset in plain English."""
    if not ruleset.rules:
        yield "There are no rules, so nothing is ever stopped."
        return
    for number, rule in enumerate(ruleset.rules, start=1):
        if number > 1:
            yield ""
        yield f"{number}. {rule.id} ({_mode_in_words(rule)})"
        yield from _wrapped(paragraph(rule))
        if rule.because is not None:
            yield from _wrapped(f"Because: {rule.because}")


def _mode_in_words(rule: Rule) -> str:
    return "protects" if rule.then is Action.LEAVE else str(rule.mode)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        printable(text), width=_WIDTH, initial_indent="   ", subsequent_indent="   "
    )

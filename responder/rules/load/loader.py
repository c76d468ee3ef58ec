"""Parses rules.yaml: its version, its defaults, its lists and its rules.

Unknown keys are mistakes everywhere, because a misspelt `unless` that is ignored widens a kill.
Every mistake is recorded, and parsing goes on with the rest.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, tzinfo
from typing import NamedTuple

from responder.model import Mode
from responder.rules import idle_guards, time_zones
from responder.rules.facts.literals import FileContext
from responder.rules.load import calendar_parser, limit_parser
from responder.rules.load.key_parser import Keys
from responder.rules.load.limit_parser import Limit
from responder.rules.load.rule_parser import RULE_KEYS, Defaults, RuleReader
from responder.rules.load.suggestions import indentation, written_values, yaml_text
from responder.rules.load.syntax import key_words
from responder.rules.rule import Rule
from responder.rules.yaml_positions import Items, Mistakes, Node, Scalar, Table

VERSION = "1"
FILE_KEYS = ("version", "defaults", "lists", "calendars", "rules", "tests")
DEFAULT_KEYS = ("mode", "limit", "portals", "timezone")
_NAME = re.compile(r"[a-z0-9_-]+")


class Loaded(NamedTuple):
    """The content of a file: its rules, and its own time zone, if it names one."""

    rules: tuple[Rule, ...]
    zone: tzinfo | None


def read(
    root: Node,
    lines: list[str],
    mistakes: Mistakes,
    portals: Collection[str] | None,
) -> Loaded:
    """Parse the tree of a file; the result must not be used if any mistake is recorded."""
    if not isinstance(root, Table):
        mistakes.error(root, "a rules file is a map with `version` and `rules`")
        return Loaded((), None)
    keys = Keys(mistakes)
    root = _indented(root, mistakes)
    keys.known(root, FILE_KEYS)
    _version(root, keys)
    defaults = _defaults(root, keys)
    context = FileContext(
        zone=defaults.zone,
        lists=_lists(root, mistakes),
        misses_names=any(_is_misread(root, name, keys) for name in ("lists", "calendars")),
        calendars=calendar_parser.read(root, keys, defaults.zone or UTC),
    )
    reader = RuleReader(
        mistakes=mistakes, defaults=defaults, context=context, lines=lines, known_portals=portals
    )
    reader.portals(defaults.portals)
    rules = tuple(_rules(root, reader, keys))
    idle_guards.warn(rules, root, mistakes)
    return Loaded(rules, defaults.zone)


def _indented(root: Table, mistakes: Mistakes) -> Table:
    """Return a file whose keys that begin their lines, and should not, stand where they belong."""
    in_defaults = [name for name in DEFAULT_KEYS if name not in FILE_KEYS]
    in_rules = [name for name in RULE_KEYS if name not in (*FILE_KEYS, *DEFAULT_KEYS)]
    in_tests = key_words.KEYS["test"].difference(in_rules)
    root = indentation.with_keys_further_in(root, "rules", in_rules, mistakes)
    root = indentation.with_keys_further_in(root, "tests", in_tests, mistakes)
    return indentation.with_keys_below(root, "defaults", in_defaults, mistakes)


def _version(root: Table, keys: Keys) -> None:
    node, mistakes = root.get("version"), keys.mistakes
    if node is None:
        if keys.lacks(root, "version", FILE_KEYS):
            mistakes.at(root.line, root.column, "`version` is missing: write `version: 1`")
    elif not isinstance(node, Scalar) or node.text != VERSION or node.kind != "number":
        mistakes.error(node, "this program reads version 1: write `version: 1`", VERSION)


def _defaults(root: Table, keys: Keys) -> Defaults:
    table = root.get("defaults")
    if table is None:
        return Defaults(zone=None if keys.lacks(root, "defaults", FILE_KEYS) else UTC)
    if not isinstance(table, Table):
        message = "`defaults` is a map, such as {mode: observe}, without dashes or square brackets"
        keys.mistakes.error(table, message, yaml_text.in_one_map(table))
        return Defaults(zone=UTC)
    keys.known(table, DEFAULT_KEYS)
    zone = time_zones.read(table, keys, None)
    if zone is None and not keys.lacks(table, "timezone", DEFAULT_KEYS):
        zone = UTC  # what is wrong with it is said there, and not once more at each schedule
    mode = keys.choice(table, "mode", tuple(Mode))
    portals = tuple(keys.names(table, "portals")) if table.get("portals") else None
    return Defaults(
        mode=Mode(mode or Mode.OBSERVE),
        portals=portals,
        limit=limit_parser.read(table, keys, Limit()),
        zone=zone,
    )


def _is_misread(root: Table, name: str, keys: Keys) -> bool:
    """Return whether the names under a key could not be read, which is reported."""
    node = root.get(name)
    if node is None:
        return not keys.lacks(root, name, FILE_KEYS)
    return not isinstance(node, Table)


def _lists(root: Table, mistakes: Mistakes) -> Mapping[str, tuple[Node, ...]]:
    table = root.get("lists")
    if table is None:
        return {}
    if not isinstance(table, Table):
        message = "`lists` is a map: the name of each stands before it, without a dash"
        mistakes.error(table, message, yaml_text.in_one_map(table))
        return {}
    found = {key.text: tuple(_list(key, node, mistakes)) for key, node in table.pairs}
    # A name in other letters is reported there, and not once more where it is used.
    return {name.lower(): items for name, items in found.items()} | found


def _list(key: Scalar, node: Node, mistakes: Mistakes) -> Iterator[Node]:
    if not _NAME.fullmatch(key.text):
        plain = re.sub(r"\s+", "_", key.text.strip().lower())
        meant = plain if _NAME.fullmatch(plain) else None
        mistakes.error(key, "the name of a list has only a-z, 0-9, - and _", meant)
    if not isinstance(node, Items):
        shown = key if isinstance(node, Scalar) and not node.text else node
        meant = written_values.several_of(node.text) if isinstance(node, Scalar) else None
        if isinstance(node, Table):
            shown, meant = (
                node,
                yaml_text.in_brackets(yaml_text.written(one) for one, _ in node.pairs),
            )
        mistakes.error(shown, f"`{key.text}` is a list of values, such as [17, 204]", meant)
        return
    if not node.items:
        mistakes.warn(key, f"the list `{key.text}` is empty, so nothing is in it")
    for item in node.items:
        if isinstance(item, Scalar) and item.kind != "null" and item.text:
            yield item
        else:
            mistakes.error(item, "a list has plain values, none of them empty")


def _rules(root: Table, reader: RuleReader, keys: Keys) -> Iterator[Rule]:
    node, key, mistakes = root.get("rules"), root.key("rules"), keys.mistakes
    if node is None or key is None:
        if keys.lacks(root, "rules", FILE_KEYS):
            mistakes.at(root.line, root.column, "`rules` is missing")
        return
    if not isinstance(node, Items):
        mistakes.error(key, "`rules` is a list: each rule begins with `- id:`")
        return
    if not node.items:
        mistakes.warn(key, "there are no rules, so nothing is ever stopped")
    needed = ("when", "if", "then")
    for item in indentation.joined_items(node.items, "rule", RULE_KEYS, needed, mistakes):
        rule = reader.read(item)
        if rule is not None:
            yield rule

"""Reads tests that stand elsewhere than they should, and says where that is."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from responder.rules.facts import registry
from responder.rules.facts.operators import OPERATORS
from responder.rules.load.plain_words import Said
from responder.rules.load.suggestions import comparisons, synonyms, yaml_text
from responder.rules.yaml_positions import Items, Mistakes, Node, Scalar, Table


def alternatives(key: Scalar, value: Table, mistakes: Mistakes) -> Items:
    """Return the list that is meant by a map below `any` or `all`, and record that it is none."""
    name, _ = value.pairs[0]
    if name.line == key.line:
        message = f"`{key.text}` is a list: its tests stand in square brackets, each in braces"
        pairs = (yaml_text.in_braces([one]) for one in yaml_text.pairs_of(value))
        mistakes.error(value, message, yaml_text.in_brackets(pairs))
    else:
        message = f"`{key.text}` is a list: each of its tests begins with a dash"
        mistakes.error(name, message, "\n".join(f"- {one}" for one in yaml_text.pairs_of(value)))
    place = {"line": value.line, "column": value.column, "last_line": value.last_line}
    items = (Table(pairs=(pair,), length=1, **place) for pair in value.pairs)
    return Items(items=tuple(items), length=1, **place)


def values_in_braces(tests: Sequence[tuple[Scalar, Node]]) -> str | None:
    """Return the values that are meant by `{F, S}`; None where there are tests."""
    values = [key for key, value in tests if isinstance(value, Scalar) and value.kind == "null"]
    is_one = any(key.text in OPERATORS or synonyms.OPERATORS.get(key.text) for key in values)
    if len(values) < len(tests) or is_one:
        return None
    written = [yaml_text.written(one) for one in values]
    return written[0] if len(written) == 1 else yaml_text.in_brackets(written)


def as_a_map(written: str, lists: Collection[str]) -> Said:
    """Return what is wrong with a text that begins with a fact: `deal.company_id in vips`."""
    path, _, rest = written.partition(" ")
    compared = comparisons.read(rest)
    if compared is None:
        meant = f"{path}: {rest}" if rest else None
        return Said(0, f"a colon is missing after `{path}`", meant)
    test = "in_list" if compared.operand in lists else compared.test
    meant = f"{path}: {{{test}: {compared.operand}}}"
    return Said(0, "a test is a map, not an expression", meant)


def apart(key: Scalar, value: Node, mistakes: Mistakes) -> tuple[Scalar, Node]:
    """Return a fact and its tests; those of a key such as `deal.opportunity below` apart."""
    path, _, rest = key.text.partition(" ")
    test = comparisons.named(rest)
    if registry.find(path) is None or test is None:
        return key, value
    written = value.text if isinstance(value, Scalar) else "…"
    message = "a test stands below its fact, or in braces behind it"
    mistakes.error(key, message, f"{path}: {{{test}: {written}}}")
    column = key.column + len(path) + 1
    name = replace(key, text=test, column=column, length=len(rest))
    place = {"line": key.line, "column": column, "length": 1, "last_line": value.last_line}
    return replace(key, text=path, length=len(path)), Table(pairs=((name, value),), **place)

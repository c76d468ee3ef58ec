"""Reads lines that are indented wrongly, or have a dash too much, where they were meant to stand.

What they say is read there, so that a mistake in indenting has no consequences.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from responder.rules.facts import registry
from responder.rules.load.suggestions import yaml_text
from responder.rules.yaml_positions import Items, Mistakes, Node, Scalar, Table

_CLAUSES = ("if", "unless")


def with_indented_tests(node: Table, mistakes: Mistakes) -> Table:
    """Return a rule in which the tests of an `if` that is empty stand below it."""
    facts = tuple(pair for pair in node.pairs if registry.find(pair[0].text) is not None)
    for name in _CLAUSES:
        value = node.get(name)
        if facts and isinstance(value, Scalar) and value.kind == "null":
            first = facts[0][0]
            message = f"the tests of `{name}` are indented further than `{name}` itself"
            mistakes.error(first, message)
            place = {"line": first.line, "column": first.column, "length": 1}
            tests = Table(pairs=facts, last_line=facts[-1][1].last_line, **place)
            rest = (pair for pair in node.pairs if pair not in facts)
            pairs = ((key, tests if key.text == name else other) for key, other in rest)
            return replace(node, pairs=tuple(pairs))
    clause = node.get("if")
    if not facts or not isinstance(clause, Table):
        return node
    for key, _ in facts:
        message = f"`{key.text}` is a test: it stands below `if`, and further in"
        mistakes.error(key, message)
    tests = replace(clause, pairs=tuple(_each_once((*clause.pairs, *facts))))
    rest = (pair for pair in node.pairs if pair not in facts)
    return replace(node, pairs=tuple((k, tests if k.text == "if" else v) for k, v in rest))


def with_keys_beside(
    node: Table, within: Collection[str], names: Collection[str], mistakes: Mistakes
) -> Table:
    """Return a map in which the keys of these names stand that are in the maps `within` it.

    Such a key is indented too far: `then` below `if`, among its tests.
    """
    pairs: list[tuple[Scalar, Node]] = []
    for key, value in node.pairs:
        beside = _too_far(value, names) if key.text in within else []
        if isinstance(value, Table) and beside:
            rest = tuple(pair for pair in value.pairs if pair not in beside)
            pairs.append((key, replace(value, pairs=rest)))
        else:
            pairs.append((key, value))
        for name, there in beside:
            message = f"`{name.text}` stands beside `{key.text}`, not within it"
            if name.line == key.line:
                pair = f"{name.text}: {yaml_text.written(there)}"
                message += f": write `{pair}` in a line of its own"
            elif name.line > key.line:
                message += f": its line begins with {node.column - 1} spaces"
            mistakes.error(name, message)
            if not isinstance(there, Scalar) or there.kind != "null":
                pairs.append((name, there))  # else what stands below it was read as the rest
    return replace(node, pairs=tuple(_each_once(pairs)))


def _too_far(value: Node, names: Collection[str]) -> list[tuple[Scalar, Node]]:
    """Return the pairs of a map that belong outside of it; none where all of them do."""
    pairs = value.pairs if isinstance(value, Table) else ()
    found = [pair for pair in pairs if pair[0].text in names]
    return found if len(found) < len(pairs) else []


def _each_once(pairs: Sequence[tuple[Scalar, Node]]) -> Iterator[tuple[Scalar, Node]]:
    seen: set[str] = set()
    for key, value in pairs:
        if key.text not in seen:
            yield key, value
        seen.add(key.text)


def joined_items(
    items: Sequence[Node], what: str, keys: Collection[str], needed: Collection[str], m: Mistakes
) -> list[Node]:
    """Return the items of a list, those joined that are one, cut by a dash too much.

    `what` is a rule, which begins with `id`, or a test, which begins with `name`; one of the keys
    `needed` is missing where it was cut.
    """
    first = "id" if what == "rule" else "name"
    found: list[Node] = []
    for item in items:
        above = found[-1] if found else None
        if (
            isinstance(item, Table)
            and isinstance(above, Table)
            and _goes_on(item, above, first, keys, needed)
        ):
            message = f"a dash begins another {what}, and this line goes on with the one above"
            m.at(item.line, max(item.column - 2, 1), f"{message}: write spaces instead of the dash")
            pairs = (*above.pairs, *item.pairs)
            found[-1] = replace(above, pairs=pairs, last_line=item.last_line)
        else:
            found.append(item)
    return found


def _goes_on(
    item: Table, above: Table, first: str, keys: Collection[str], needed: Collection[str]
) -> bool:
    there, here = ({key.text for key, _ in table.pairs} for table in (above, item))
    return (
        first in there
        and first not in here
        and here <= set(keys)
        and not here & there
        and any(one in here and one not in there for one in needed)
    )


def with_keys_further_in(
    root: Table, below: str, names: Collection[str], mistakes: Mistakes
) -> Table:
    """Return a file in which the keys of a rule or a test, that begin their lines, stand in it.

    `below` is the key of the list: `rules` or `tests`. They belong to the item above them.
    """
    stray = [pair for pair in root.pairs if pair[0].text in names]
    node = root.get(below)
    items = list(node.items) if isinstance(node, Items) else []
    moved = []
    for key, value in stray:
        place = next((n for n in reversed(range(len(items))) if items[n].line < key.line), None)
        item = None if place is None else items[place]
        if place is None or not isinstance(item, Table) or item.get(key.text) is not None:
            continue
        message = f"`{key.text}` is a key within `{below}`: its line begins with"
        mistakes.error(key, f"{message} {item.column - 1} spaces, as those of the item above it")
        items[place] = replace(
            item, pairs=(*item.pairs, (key, value)), last_line=max(item.last_line, value.last_line)
        )
        moved.append(key)
    if not moved or not isinstance(node, Items):
        return root
    pairs = ((key, value) for key, value in root.pairs if key not in moved)
    whole = replace(node, items=tuple(items))
    return replace(root, pairs=tuple((k, whole if k.text == below else v) for k, v in pairs))


def with_keys_below(root: Table, name: str, names: Collection[str], mistakes: Mistakes) -> Table:
    """Return a map in which keys stand below another: `timezone` below `defaults`."""
    stray = tuple(pair for pair in root.pairs if pair[0].text in names)
    there = root.get(name)
    if not stray or not (there is None or isinstance(there, Table)):
        return root
    for key, value in stray:
        meant = f"{name}: {{{key.text}: {yaml_text.written(value)}}}"
        where = f", on line {there.line}" if there is not None else ""
        mistakes.error(key, f"`{key.text}` stands in `{name}`{where}", None if there else meant)
    first, last = stray[0][0], stray[-1][1]
    inner = Table(
        pairs=tuple(_each_once((*(there.pairs if there else ()), *stray))),
        line=first.line,
        column=first.column,
        length=1,
        last_line=last.last_line,
    )
    key = root.key(name) or replace(first, text=name)
    rest = (pair for pair in root.pairs if pair not in stray and pair[0].text != name)
    return replace(root, pairs=(*rest, (key, inner)))

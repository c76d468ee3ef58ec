"""Writes values as YAML, within braces or brackets too, so that a suggestion can be pasted."""

import re
from collections.abc import Iterable

from responder.rules.yaml_positions import Items, Node, Scalar, Table

# Signs with which no plain text begins, or which end it; a bare word among them says much less.
_PLAIN = re.compile(
    r"(?![-?:](?:\s|$))[^\s,\[\]{}#&*!|>'\"%@`:][^,\[\]{}:#]*(?:[:#](?=\S)[^,\[\]{}:#]*)*"
)
_OTHER_THAN_TEXT = re.compile(r"(?i:true|false|null|~)|-?[0-9]+(?:\.[0-9]+)?|[0-9]+:[0-9]+")


def quoted(text: str) -> str:
    """Return a text in quotes, within which a backslash means itself."""
    if "\\" in text or '"' in text:
        return "'" + text.replace("'", "''") + "'"
    return f'"{text}"'


def as_text(text: str) -> str:
    """Return a text as it is, or in quotes where YAML would read something else."""
    is_plain = _PLAIN.fullmatch(text) is not None and not text.endswith((" ", ":"))
    return text if is_plain and not _OTHER_THAN_TEXT.fullmatch(text) else quoted(text)


def written(node: Node) -> str:
    """Return a part of the file in one line."""
    match node:
        case Scalar():
            if node.kind != "text":
                return node.text
            return as_text(node.text)
        case Items():
            return in_brackets(map(written, node.items))
        case Table():
            return in_braces(f"{as_text(key.text)}: {written(value)}" for key, value in node.pairs)
        case _:
            raise AssertionError(node)


def in_braces(pairs: Iterable[str]) -> str:
    """Return a map of pairs that are written already."""
    return f"{{{', '.join(pairs)}}}"


def in_brackets(items: Iterable[str]) -> str:
    """Return a list of items that are written already."""
    return f"[{', '.join(items)}]"


def pairs_of(table: Table) -> list[str]:
    """Return the pairs of a map as they are written."""
    return [f"{as_text(key.text)}: {written(value)}" for key, value in table.pairs]


def in_one_map(node: Node) -> str | None:
    """Return the map that is meant by a list of maps; None where it is no such list."""
    items = node.items if isinstance(node, Items) else ()
    pairs = [pair for item in items if isinstance(item, Table) for pair in item.pairs]
    said = [f"{as_text(key.text)}: {written(value)}" for key, value in pairs]
    return in_braces(said) if said and len(pairs) >= len(items) else None

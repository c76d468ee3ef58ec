"""Parses plain keys of a rules file: texts, yes and no, words to choose from, lists of names."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from responder.rules.facts import registry
from responder.rules.load.suggestions.synonyms import KEYS, REMARKS, TRUTHS, VALUES, Synonyms
from responder.rules.load.suggestions.synonyms import meant as synonym
from responder.rules.yaml_positions import Items, Mistakes, Node, Scalar, Table, truth

_EXAMPLES = {"per": "starter.id", "tell": "timeline, starter", "warn": "timeline, starter"}


@dataclass(frozen=True, slots=True)
class Keys:
    """A parser of single keys, which records mistakes and returns None where there is one."""

    mistakes: Mistakes

    def known(
        self, table: Table, names: Iterable[str], synonyms: Synonyms = KEYS, *, of: str = "here"
    ) -> None:
        """Record a mistake for every key of a map that is not one of these names."""
        names = list(names)
        for key, value in table.pairs:
            if "if" in names and registry.find(key.text) is not None:
                message = f"`{key.text}` is a test: it stands below `if`, and further in"
                self.mistakes.error(key, message)
            elif key.text not in names and key.text.split(" ")[0] in names:
                self._without_colon(key, value)
            elif key.text not in names:
                remark = REMARKS.get(key.text.lower())
                message = f"there is no key `{key.text}` {of}" + (f": {remark}" if remark else "")
                meant = None if remark else synonym(key.text, names, synonyms)
                self.mistakes.error(key, message, meant)

    def _without_colon(self, key: Scalar, value: Node) -> None:
        """Record that a key is followed by another, as in `limit per_hour: 5`."""
        first, _, rest = key.text.partition(" ")
        said = value.text if isinstance(value, Scalar) else "…"
        message = f"a colon is missing after `{first}`"
        self.mistakes.error(key, message, f"{first}: {{{rest.strip()}: {said}}}")

    def lacks(
        self, table: Table, name: str, names: Iterable[str], synonyms: Synonyms = KEYS
    ) -> bool:
        """Return whether a map has no such key, nor one that is reported as meaning it."""
        names = list(names)
        meant = (
            key if key in names else synonym(key, names, synonyms) or key.split(" ")[0]
            for key in (key.text for key, _ in table.pairs)
        )
        # What is meant may be a key with its value: `then: kill` by `kill: true`.
        return name not in {one.partition(":")[0] for one in meant}

    def text(self, table: Table, name: str) -> str | None:
        """Read a key whose value is a text that is not empty."""
        node = table.get(name)
        if node is None:
            return None
        if isinstance(node, Scalar) and node.kind in ("text", "number") and node.text.strip():
            return node.text
        self.mistakes.error(self._shown(table, name), f"`{name}` is a text")
        return None

    def truth(self, table: Table, name: str) -> bool | None:
        """Read a key whose value is true or false."""
        node = table.get(name)
        if node is None:
            return None
        if isinstance(node, Scalar) and node.kind == "truth":
            return truth(node)
        said = TRUTHS.get(node.text.lower()) if isinstance(node, Scalar) else None
        self.mistakes.error(self._shown(table, name), f"`{name}` is true or false", said)
        return None

    def choice(self, table: Table, name: str, choices: Iterable[str]) -> str | None:
        """Read a key whose value is one of a few words."""
        node = table.get(name)
        if node is None:
            return None
        choices, text = list(choices), _only(node)
        if isinstance(node, Scalar) and node.text in choices:
            return node.text
        message = f"`{name}` is one of {', '.join(choices)}"
        meant = None if "," in text else synonym(text, choices, VALUES)
        self.mistakes.error(self._shown(table, name), message, meant)
        return None

    def names(self, table: Table, name: str) -> Iterator[Scalar]:
        """Read a key whose value is a list of names, at least one."""
        node = table.get(name)
        if node is None:
            return
        if not isinstance(node, Items) or not node.items:
            message = f"`{name}` is a list, such as [{_EXAMPLES.get(name, 'main')}]"
            self.mistakes.error(self._shown(table, name), message, _as_a_list(node))
            return
        for item in node.items:
            if isinstance(item, Scalar) and item.kind not in ("null", "truth"):
                yield item
            else:
                self.mistakes.error(item, f"`{name}` is a list of names")

    def _shown(self, table: Table, name: str) -> Node:
        """Return the node to point at: the value, or its key where the value is empty."""
        value, key = table.get(name), table.key(name)
        assert value is not None
        assert key is not None
        return key if isinstance(value, Scalar) and not value.text else value


def _only(node: Node) -> str:
    """Return the text of a scalar without a remark, or of the only item of a list; else nothing."""
    if isinstance(node, Items) and len(node.items) == 1:
        (node,) = node.items
    return node.text.partition(" //")[0].strip() if isinstance(node, Scalar) else ""


def _as_a_list(node: Node) -> str | None:
    """Return the list that is meant by a text."""
    if not isinstance(node, Scalar) or not node.text:
        return None
    return f"[{', '.join(part.strip() for part in node.text.split(','))}]"

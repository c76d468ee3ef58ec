"""Parses plain keys of a rules file: texts, yes and no, words to choose from, lists of names."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from responder.rules.yaml_positions import Items, Mistakes, Node, Scalar, Table, nearest, truth


@dataclass(frozen=True, slots=True)
class Keys:
    """A parser of single keys, which records mistakes and returns None where there is one."""

    mistakes: Mistakes

    def known(self, table: Table, names: Iterable[str]) -> None:
        """Record a mistake for every key of a map that is not one of these names."""
        names = list(names)
        for key, _ in table.pairs:
            if key.text not in names:
                meant = nearest(key.text, names)
                self.mistakes.error(key, f"there is no key `{key.text}` here", meant)

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
        self.mistakes.error(self._shown(table, name), f"`{name}` is true or false")
        return None

    def choice(self, table: Table, name: str, choices: Iterable[str]) -> str | None:
        """Read a key whose value is one of a few words."""
        node = table.get(name)
        if node is None:
            return None
        choices = list(choices)
        text = node.text if isinstance(node, Scalar) else ""
        if text in choices:
            return text
        message = f"`{name}` is one of {', '.join(choices)}"
        self.mistakes.error(self._shown(table, name), message, nearest(text, choices))
        return None

    def names(self, table: Table, name: str) -> Iterator[Scalar]:
        """Read a key whose value is a list of names, at least one."""
        node = table.get(name)
        if node is None:
            return
        if not isinstance(node, Items) or not node.items:
            self.mistakes.error(self._shown(table, name), f"`{name}` is a list, such as [main]")
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

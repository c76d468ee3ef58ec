"""Parses plain keys of a rules file: texts, yes and no, words to choose from, lists of names."""

# Russian words are what is looked for
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from responder.rules.facts import registry
from responder.rules.load.suggestions import misplaced_keys, russian, yaml_text
from responder.rules.load.suggestions.synonyms import KEYS, REMARKS, VALUES, Synonyms, truth_meant
from responder.rules.load.suggestions.synonyms import meant as synonym
from responder.rules.yaml_positions import Items, Mistakes, Node, Scalar, Table, nearest, truth

_EXAMPLES = {"per": "starter.id", "tell": "timeline, starter", "warn": "starter, responsible"}
_BETWEEN_NAMES = re.compile(r"\s*[,;&+|]\s*|\s+(?:and|or|und|oder|и|или)\s+")
# Words for keys below which nothing else than the right value can stand.
_PLAIN = frozenset(
    (
        *("condition", "conditions", "where", "filter", "match", "except", "exception"),
        *(
            "reason",
            "description",
            "comment",
            "action",
            "expects",
            "expected",
            "given",
            "result",
            "running",
        ),
        *("если", "условие", "условия", "кроме", "причина", "тогда"),
    )
)
_FEW = 20  # so many keys are told to who wrote another one


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
                remark, meant = _meant(key.text, value, names, synonyms)
                message = f"there is no key `{key.text}` {of}" + (f": {remark}" if remark else "")
                if not meant and not remark and len(names) <= _FEW:
                    message += f", where {', '.join(names)} may stand"
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
            key.text
            if key.text in names
            else _meant(key.text, value, names, synonyms)[1] or key.text.split(" ")[0]
            for key, value in table.pairs
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
        self.mistakes.error(self._shown(table, name), _is_a_text(name), _only(node))
        return None

    def truth(self, table: Table, name: str) -> bool | None:
        """Read a key whose value is true or false."""
        node = table.get(name)
        if node is None:
            return None
        if isinstance(node, Scalar) and node.kind == "truth":
            return truth(node)
        said = truth_meant(node.text) if isinstance(node, Scalar) else None
        self.mistakes.error(self._shown(table, name), f"`{name}` is true or false", said)
        return None

    def choice(self, table: Table, name: str, choices: Iterable[str]) -> str | None:
        """Read a key whose value is one of a few words."""
        node = table.get(name)
        if node is None:
            return None
        choices = list(choices)
        if isinstance(node, Scalar) and node.text in choices:
            return node.text
        message = f"`{name}` is one of {', '.join(choices)}"
        self.mistakes.error(self._shown(table, name), message, _choice_meant(node, choices))
        return None

    def names(
        self, table: Table, name: str, meant: Callable[[str], str | None] = str
    ) -> Iterator[Scalar]:
        """Read a key whose value is a list of names, at least one.

        `meant` returns the name that is meant by a word, for the suggestion; None for no name.
        """
        node = table.get(name)
        if node is None:
            return
        if not isinstance(node, Items) or not node.items:
            message = f"`{name}` is a list, such as [{_EXAMPLES.get(name, 'main')}]"
            if name == "portals":
                message = "`portals` is a list of names from the settings, such as [main]"
                is_an_address = isinstance(node, Scalar) and bool(set("./") & set(node.text))
                message += (
                    ", and not of addresses" if is_an_address else ": all, where it is left out"
                )
            self.mistakes.error(self._shown(table, name), message, _as_a_list(node, meant))
            return
        for item in node.items:
            if isinstance(item, Scalar) and item.kind not in ("null", "truth"):
                yield item
            else:
                self.mistakes.error(item, f"`{name}` is a list of names")

    def as_meant(self, table: Table, names: Iterable[str], synonyms: Synonyms = KEYS) -> Table:
        """Return a map whose wrong keys have their right names, where it is plain which these are.

        They were reported, and what stands below them is read as it was meant.
        """
        names = list(names)
        right = set(names) - {key.text for key, _ in table.pairs}
        pairs = []
        for key, value in table.pairs:
            said = key.text.strip().lower().replace("-", "_").replace(" ", "_")
            meant = None
            if key.text not in names and not self._is_rewritten(key, value, names, synonyms):
                meant = synonym(key.text, right, synonyms)
            is_plain = (
                russian.english(said, right) == meant
                or said in _PLAIN
                or said == meant
                or nearest(said, right, likeness=0.85)
            )
            if meant in right and is_plain:
                right.discard(meant)
                pairs.append((replace(key, text=meant), value))
            else:
                pairs.append((key, value))
        return replace(table, pairs=tuple(pairs))

    def _is_rewritten(
        self, key: Scalar, value: Node, names: Sequence[str], synonyms: Synonyms
    ) -> bool:
        """Return whether another value is meant with another key."""
        return ":" in (_meant(key.text, value, names, synonyms)[1] or "")

    def _shown(self, table: Table, name: str) -> Node:
        """Return the node to point at: the value, or its key where the value is empty."""
        value, key = table.get(name), table.key(name)
        assert value is not None
        assert key is not None
        return key if isinstance(value, Scalar) and not value.text else value


def _meant(
    written: str, value: Node, names: Sequence[str], synonyms: Synonyms
) -> tuple[str | None, str | None]:
    """Return what there is to say of a wrong key, and what stands for it, or for its line."""
    remark = REMARKS.get(written.lower())
    if remark is not None:
        return remark, None
    if written.lower() == "rule" and "id" in names:
        return None, "id"  # in a file it is meant for `rules`
    elsewhere = misplaced_keys.of_key(written, value, names)
    if elsewhere is not None and written.lower() not in synonyms:
        return elsewhere
    meant = synonym(written, names, synonyms)
    if meant in ("portals", "tell", "warn") and not isinstance(value, Items):
        return None, f"{meant}: {_as_a_list(value, str) or yaml_text.written(value)}"
    if meant == "when" and isinstance(value, Table):
        return None, f"when: [{yaml_text.written(value)}]"
    if meant is None and elsewhere is not None:
        return elsewhere
    return None, meant


def _is_a_text(name: str) -> str:
    said = {
        "disabled": "`disabled` says why, such as `not ready yet`; a rule without it is on",
        "during": "`during` is the name of one of `calendars`, where the hours stand",
        "wait": "`wait` is a duration, such as 10m",
        "expires": "`expires` is a day, such as 2026-12-31",
        "every": "`every` is a duration, such as 15m",
        "timezone": "`timezone` is the name of one, such as Europe/Moscow",
        "daily_at": "`daily_at` is a time of day; for two of them, write two schedules",
    }
    return said.get(name, f"`{name}` is a text")


def _only(node: Node) -> str | None:
    """Return the text of the only item of a list, or of the only value of a map."""
    items = node.items if isinstance(node, Items) else ()
    items = tuple(value for _, value in node.pairs) if isinstance(node, Table) else items
    item = items[0] if len(items) == 1 else None
    return yaml_text.written(item) if isinstance(item, Scalar) else None


def _choice_meant(node: Node, choices: list[str]) -> str | None:
    """Return the word that is meant by another, by the first of several, or by a sentence."""
    items: Iterable[Node] = node.items if isinstance(node, Items) else (node,)
    if isinstance(node, Table):
        parts = [part for pair in node.pairs for part in pair]
        items = [one for one in parts if isinstance(one, Scalar) and one.text in choices]
    # What stands behind `//`, `#` or a comma is no part of the word in other languages.
    said = [re.split(" //|#", one.text)[0] for one in items if isinstance(one, Scalar)]
    texts = [text.strip().rstrip(",;.").rstrip() for text in said]
    if not texts or (len(texts) > 1 and any(one in choices for one in texts[1:])):
        return None
    first = texts[0]
    if "," in first:
        return None
    word = first.split(" ")[0].lower()
    return synonym(first, choices, VALUES) or (word if word in choices else None)


def _as_a_list(node: Node, meant: Callable[[str], str | None]) -> str | None:
    """Return the list that is meant by a text."""
    if isinstance(node, Table):
        keys = [meant(key.text) for key, _ in node.pairs]
        return yaml_text.in_brackets(one for one in keys if one) if keys and all(keys) else None
    if not isinstance(node, Scalar) or not node.text:
        return None
    parts = [meant(part) for part in _BETWEEN_NAMES.split(node.text.strip()) if part]
    return f"[{', '.join(part for part in parts if part)}]" if all(parts) else None

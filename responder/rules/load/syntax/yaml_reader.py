"""Parses the bytes of a rules file into a tree whose nodes know their lines and columns.

Where a line cannot be read and it is plain what its author meant, the line is mended in our copy of
the text and reading goes on, so that all mistakes are reported at once. The mistake stays an error:
nothing that was mended is ever used but for finding more mistakes.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import yaml

from responder.rules.load import plain_words
from responder.rules.load.syntax import quotes, spaces
from responder.rules.load.syntax.edits import Broken, Edit, Stumble
from responder.rules.load.syntax.tree_builder import TOO_DEEP, Builder, TooDeepError, place_of
from responder.rules.yaml_positions import Mistakes, Node, Scalar, lines

MAX_BYTES = 1024 * 1024
# Each try reads the file once more. Who has more mistakes of this kind mends these first.
_MOST_TRIES = 50
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read(data: bytes, mistakes: Mistakes) -> Node | None:
    """Return the tree of one YAML document; None when nothing of it can be used."""
    if len(data) > MAX_BYTES:
        mistakes.at(1, 1, "the file is larger than 1 MiB")
        return None
    text = _text(data, mistakes)
    if text is None:
        return None
    reader = _Reader(mistakes, spaces.made_plain(text, mistakes))
    root = reader.read()
    if reader.is_read and (root is None or (isinstance(root, Scalar) and root.kind == "null")):
        mistakes.at(1, 1, "the file is empty")
        return None
    return root


def _text(data: bytes, mistakes: Mistakes) -> str | None:
    if plain_words.is_utf_16(data):
        mistakes.at(1, 1, "the file is written in UTF-16: save it as UTF-8")
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line, column = _position_after(data[: error.start].decode())
        mistakes.at(line, column, f"byte 0x{data[error.start]:02x} here is not valid UTF-8")
        return None
    # A byte order mark is what some editors put before the first character; it is not a text.
    text = text.removeprefix("\ufeff")
    wrong = _FORBIDDEN.search(text)
    if wrong is None:
        return text
    line, column = _position_after(text[: wrong.start()])
    name = "NUL" if wrong[0] == "\0" else f"U+{ord(wrong[0]):04X}"
    mistakes.at(line, column, f"the character {name} is not allowed in a rules file")
    return None


def _position_after(before: str) -> tuple[int, int]:
    split = lines(before)
    return len(split), len(split[-1]) + 1


@dataclass(slots=True)
class _Reader:
    """A reader of one text, which mends the lines that keep it from being YAML.

    `edits` are the changes made to its lines, at most one for each. `is_read` is true once a try
    came to the end of the text.
    """

    mistakes: Mistakes
    text: str
    is_read: bool = False
    edits: dict[int, Edit] = field(default_factory=dict)

    def read(self) -> Node | None:
        """Return the tree, or None where the text is no YAML."""
        for _ in range(_MOST_TRIES):
            found = Mistakes(self.mistakes.file, forgives_new=self.mistakes.forgives_new)
            builder = Builder(found, self.edits)
            try:
                self._build(builder)
            except yaml.MarkedYAMLError as error:
                if not self._mend(error):
                    self.mistakes.found += found.found
                    return None
            else:
                if self._apply(self._sentences(builder)):
                    continue
                # Older versions loaded rules whose tests have such lines.
                lenient = self.mistakes.forgives_new
                if builder.broken and not lenient and self._apply(builder.broken, new=True):
                    continue
                self.mistakes.found += found.found
                return builder.root if self.is_read else None
        return None

    def _sentences(self, builder: Builder) -> list[Broken]:
        """Return what is wrong with the texts that the parser read as something else."""
        split = lines(self.text)
        found = (quotes.around_text(number, split[number - 1]) for number in builder.sentences)
        return [one for one in found if one is not None]

    def _build(self, builder: Builder) -> None:
        try:
            for event in _events(self.text):
                builder.add_event(event)
        except TooDeepError:
            return
        except yaml.MarkedYAMLError:
            raise
        except yaml.YAMLError as error:
            self.mistakes.at(1, 1, f"this is not YAML: {error}")
            return
        self.is_read = True

    def _mend(self, error: yaml.MarkedYAMLError) -> bool:
        """Record what is wrong, and mend it if it is plain how; return whether it was mended."""
        from responder.rules.load.syntax import broken_lines  # most files are well-formed

        at = place_of(error.problem_mark or error.context_mark)
        if error.problem and "nesting depth" in error.problem:
            self.mistakes.at(*at, TOO_DEEP)
            return False
        split = lines(self.text)
        began = place_of(error.context_mark)
        stumble = Stumble(error.problem or "", at, error.context or "", began)
        return self._apply(broken_lines.find(stumble, split))

    def _apply(self, broken: Sequence[Broken], *, new: bool = False) -> bool:
        """Record mistakes, and mend them if it is plain how; return whether they were mended."""
        split = lines(self.text)
        if not broken or any(one.line in self.edits for one in broken):
            return False  # what is wrong with this line was said; it is not certain what else is
        for one in broken:
            meant = one.suggestion
            if meant is None and new and one.edit is not None:
                meant = one.edit.applied_to(split[one.line - 1]).strip().removeprefix("- ")
            self.mistakes.at(one.line, one.column, one.message, meant, new=new)
        edits = [one.edit for one in broken if one.edit is not None]
        if len(edits) < len(broken):
            return False
        for edit in edits:
            split[edit.line - 1] = edit.applied_to(split[edit.line - 1])
            self.edits[edit.line] = edit
        self.text = "\n".join(split)
        return True


def _events(text: str) -> Iterator[yaml.Event]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    yield from yaml.parse(text, Loader=loader)

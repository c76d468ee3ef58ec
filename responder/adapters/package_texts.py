"""Reads texts that are installed with the program: recipes, documentation, files to deploy it with.

The name of a text is the name of its file without the ending, in lower case. The first line of
each, `# …`, is its description; JSON, which has no comments, has a field of that name.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import responder


class UnknownTextError(LookupError):
    """The error for a text that does not exist."""


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts in one folder of the package; `kind` is the word for one of them."""

    kind: str
    folder: str

    def names(self) -> list[str]:
        """Return the names of all texts."""
        return sorted(self._files())

    def text(self, name: str) -> str:
        """Return the text of a file. Raise UnknownTextError if there is none of this name."""
        file = self._files().get(name)
        if file is None:
            raise UnknownTextError(f"there is no {self.kind} `{name}`")
        return file.read_text(encoding="utf-8")

    def index(self) -> Iterator[tuple[str, str]]:
        """Yield each name with its description."""
        for name in self.names():
            yield name, _description(self.text(name))

    def _files(self) -> dict[str, Path]:
        folder = Path(responder.__file__).parent / self.folder
        return {file.stem.lower(): file for file in folder.iterdir() if file.is_file()}


def _description(text: str) -> str:
    if text.startswith("{"):
        return str(json.loads(text)["description"])
    return text.partition("\n")[0].removeprefix("# ")


RECIPES = Texts("recipe", "authoring/recipes")
DOCS = Texts("page", "docs")
DEPLOY = Texts("file", "deploy")

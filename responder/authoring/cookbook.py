"""Lists and prints the recipes: policies that people ask for, each with its reason and its tests.

A recipe is a rules file like any other. Its first line, a comment, says what it is for.
"""

from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable

from responder.rules.source import nearest

_SUFFIX = ".yaml"


class UnknownRecipeError(Exception):
    """The error for a recipe that does not exist. `suggestion` is the nearest name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no recipe `{name}`")
        self.suggestion = nearest(name, names())


def names() -> list[str]:
    """Return the names of all recipes."""
    return sorted(
        entry.name.removesuffix(_SUFFIX)
        for entry in _folder().iterdir()
        if entry.name.endswith(_SUFFIX)
    )


def text(name: str) -> str:
    """Return the text of a recipe, or raise UnknownRecipeError."""
    if name not in names():
        raise UnknownRecipeError(name)
    return _folder().joinpath(name + _SUFFIX).read_text(encoding="utf-8")


def index() -> Iterator[str]:
    """Yield a line for each recipe: its name and its purpose."""
    width = max(map(len, names()))
    for name in names():
        first, _, _ = text(name).partition("\n")
        yield f"{name:<{width}}  {first.removeprefix('# ')}"


def _folder() -> Traversable:
    return resources.files("responder.authoring").joinpath("recipes")

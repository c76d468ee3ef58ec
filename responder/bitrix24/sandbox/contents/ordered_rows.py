"""Keeps rows by their ids, and the order of the ids from one list to the next."""

from collections.abc import Callable
from typing import Any, TypeVar

V = TypeVar("V")


class OrderedRows(dict[str, V]):
    """A dict of rows by id that remembers how its ids are sorted until one comes or goes.

    A long list is read in hundreds of pages, and a portal's database has an index for that.
    """

    def __init__(self, sorted_by: Callable[[str], Any]) -> None:
        super().__init__()
        self._sorted_by = sorted_by
        self._sorted: list[str] | None = None

    def in_order(self) -> list[V]:
        """Return the rows, ordered by their ids."""
        if self._sorted is None:
            self._sorted = sorted(self, key=self._sorted_by)
        return [self[key] for key in self._sorted]

    def __setitem__(self, key: str, row: V) -> None:
        """Add or replace a row."""
        if key not in self:
            self._sorted = None
        super().__setitem__(key, row)

    def __delitem__(self, key: str) -> None:
        """Remove a row."""
        self._sorted = None
        super().__delitem__(key)

    def pop(self, key: str, *default: Any) -> Any:  # noqa: ANN401 -- as a dict has it
        """Remove a row and return it."""
        self._sorted = None
        return super().pop(key, *default)

    def clear(self) -> None:
        """Remove all rows."""
        self._sorted = None
        super().clear()

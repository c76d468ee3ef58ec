"""Counts coverage where a test may reach lines that no other does, for it costs half the time.

The same test on the other database takes the same way, but in the rooms that speak to a database.
In tests of whole processes, it is the processes that count (`forked`). Random plays meet nothing
that the tests of the rooms do not.
"""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from coverage import Coverage

from tests.support import forked

_WHOLE_PROGRAM = ("process", "replicas", "random")
_DATABASES = ("store", "journal")


@contextmanager
def imported_and_stopped() -> Iterator[None]:
    """Import the whole program, which counts, and stop counting within this block."""
    counting = Coverage.current()
    if counting is None:
        yield
        return
    for name in forked.modules():
        importlib.import_module(name)
    counting.stop()
    try:
        yield
    finally:
        counting.start()


@contextmanager
def counted(item: pytest.Item, folder: str) -> Iterator[None]:
    """Run a test of this folder, without counting where that would count nothing new."""
    counting = Coverage.current()
    if counting is None or not _is_twice(item, folder):
        yield
        return
    counting.stop()
    try:
        yield
    finally:
        counting.start()


def _is_twice(item: pytest.Item, folder: str) -> bool:
    return folder in _WHOLE_PROGRAM or ("[postgresql" in item.name and folder not in _DATABASES)

"""Counts coverage where a test may reach lines that no other does, for it costs half the time.

The same test on the other database takes the same way, but in the rooms that speak to a database.
In tests of whole processes, it is the processes that count (`forked`). Random plays meet nothing
that the tests of the rooms do not. Of the hundred examples of a property the first twenty count.
"""

import functools
import importlib
import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from coverage import Coverage

from tests.support import forked

_WHOLE_PROGRAM = ("process", "replicas", "random")
_DATABASES = ("store", "journal")
_EXAMPLES = 20


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
    if counting is None:
        yield
    elif _is_twice(item, folder):
        counting.stop()
        try:
            yield
        finally:
            counting.start()
    elif item.get_closest_marker("hypothesis") is not None:
        with _only_first_examples(item, counting):
            yield
    else:
        yield


@contextmanager
def _only_first_examples(item: pytest.Item, counting: Coverage) -> Iterator[None]:
    """Stop counting after the first examples of a property, until the test has ended."""
    assert isinstance(item, pytest.Function)
    property_ = item.obj.hypothesis
    test, played = property_.inner_test, itertools.count(1)
    counts = True

    @functools.wraps(test)
    def one_example(*given: object, **named: object) -> object:
        nonlocal counts
        if next(played) > _EXAMPLES and counts:
            counting.stop()
            counts = False
        return test(*given, **named)

    property_.inner_test = one_example
    try:
        yield
    finally:
        property_.inner_test = test
        if not counts:
            counting.start()


def _is_twice(item: pytest.Item, folder: str) -> bool:
    return folder in _WHOLE_PROGRAM or ("[postgresql" in item.name and folder not in _DATABASES)

"""Sets how often Python's cyclic garbage collector runs.

Hardly anything of what a program imports is ever garbage, yet the collector goes through all of it
again and again while it grows: a tenth of the time of a short command.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_USUAL = gc.get_threshold()
_YOUNG = 50_000  # a few megabytes at most


@contextmanager
def collecting_rarely() -> Iterator[None]:
    """Let the collector run only after many objects more, until the block ends."""
    gc.set_threshold(_YOUNG, *_USUAL[1:])
    try:
        yield
    finally:
        gc.set_threshold(*_USUAL)


def leave_alone_what_is_loaded() -> None:
    """Take all objects there are out of the collector's sight, and let it run as usual again.

    A program that runs for months collects only what it made itself, in shorter pauses.
    """
    gc.freeze()
    gc.set_threshold(*_USUAL)

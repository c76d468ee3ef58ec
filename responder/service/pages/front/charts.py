"""Draws bars as paths of SVG. Pure: numbers in, numbers out.

A picture is stretched to its place by the browser, so it has no text: what it says stands beside it
in words, and in a table for those who do not see it.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from responder.model import Outcome

HEIGHT = 100
_GAP = 0.1
_LEAST = 1.5  # of the height: one of a thousand is seen too


class Series(NamedTuple):
    """Outcomes that one colour stands for, with its name and sign."""

    name: str
    tone: str
    sign: str
    outcomes: frozenset[str]


SERIES = (
    Series("stopped", "done", "✕", frozenset({Outcome.KILLED, Outcome.TERMINATED})),
    Series(
        "would be stopped", "would", "◇", frozenset({Outcome.WOULD_KILL, Outcome.WOULD_TERMINATE})
    ),
    Series("failed", "trouble", "!", frozenset({Outcome.REFUSED, Outcome.GAVE_UP})),
    Series("open", "open", "…", frozenset({Outcome.WAITING, Outcome.HELD, Outcome.IN_DOUBT})),
    Series(
        "not stopped after all",
        "spared",
        "✓",
        frozenset({Outcome.CLEARED, Outcome.CANCELLED, Outcome.ALREADY_GONE}),
    ),
)


def top_of(highest: int) -> int:
    """Return a round number that is no less than this: the end of an axis, which can be halved."""
    size = int(f"1{'0' * (len(str(highest)) - 1)}")
    return max(2, next(size * one for one in (1, 2, 4, 6, 8, 10) if size * one >= highest))


def stacked(columns: Sequence[Sequence[int]], top: int) -> list[str]:
    """Return a path for each series; each column has a number for each, drawn one on the other."""
    paths = [""] * max(map(len, columns), default=0)
    for place, column in enumerate(columns):
        filled = 0.0
        for series, number in enumerate(column):
            height = _height(number, top)
            filled += height
            if height:
                paths[series] += (
                    f"M{place + _GAP:g} {HEIGHT - filled:.4g}h{1 - 2 * _GAP:g}v{height:.4g}"
                    f"h-{1 - 2 * _GAP:g}z"
                )
    return paths


def sparkline(values: Iterable[int]) -> str:
    """Return the path of small bars, the highest of them as high as the picture."""
    given = list(values)
    (path,) = stacked([(value,) for value in given], max([1, *given])) if given else ("",)
    return path


def _height(number: int, top: int) -> float:
    return max(_LEAST, HEIGHT * number / top) if number else 0.0


def share(part: float, whole: float) -> float:
    """Return how much of the whole this is, in percent, between 0 and 100."""
    return min(100.0, max(0.0, 100 * part / whole)) if whole > 0 else 0.0

"""What a benchmark gives: figures, each with its target where there is one, and their table."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure. `at_most` and `at_least` are targets; a figure may have none.

    `void`: it was measured while something else was going on, and says neither yes nor no.
    """

    what: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    void: bool = False

    @property
    def verdict(self) -> Literal["", "ok", "MISSED", "void"]:
        """Say whether the target was met."""
        if self.at_most is None and self.at_least is None:
            return ""
        if self.void:
            return "void"
        met = (self.at_most is None or self.value <= self.at_most) and (
            self.at_least is None or self.value >= self.at_least
        )
        return "ok" if met else "MISSED"

    @property
    def target(self) -> str:
        """Write the target."""
        if self.at_most is not None:
            return f"<= {self.at_most:g}"
        return "" if self.at_least is None else f">= {self.at_least:g}"


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the value below which so many of the values lie."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def show(figures: Sequence[Figure]) -> None:
    """Print figures as a table."""
    width = max(len(figure.what) for figure in figures)
    for figure in figures:
        print(  # noqa: T201
            f"{figure.what:{width}}{figure.value:10.2f} {figure.unit:6}"
            f"{figure.target:>9}  {figure.verdict}".rstrip()
        )

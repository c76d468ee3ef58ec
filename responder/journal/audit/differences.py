"""Collects differences between the log and the tables beside it."""

from dataclasses import dataclass, field

MOST = 100


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that no entry of the log bears out, or that an entry says must exist and does not.

    `kind` is the kind of row, `id` which one: the id of a decision or evaluation, a rule, a
    revision.
    """

    kind: str
    id: str
    why: str

    def __str__(self) -> str:
        """Return the difference in one line."""
        return f"{self.kind} {self.id}: {self.why}"


@dataclass(slots=True)
class Differences:
    """The differences found so far: all are counted, a hundred are kept."""

    named: list[Difference] = field(default_factory=list)
    count: int = 0

    def add(self, kind: str, of: str, why: str) -> None:
        """Count a difference, and keep it while there are fewer than a hundred."""
        self.count += 1
        if len(self.named) < MOST:
            self.named.append(Difference(kind, of, why))

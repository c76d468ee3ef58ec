"""What stands in the tables and not in the log, or the other way round."""

from dataclasses import dataclass, field

MOST = 100


@dataclass(frozen=True, slots=True)
class Difference:
    """One row of the working state that the log does not bear out, or has and the tables have not.

    `kind` says what it is of, `id` which one: the name of a decision or evaluation, of a rule, of a
    revision.
    """

    kind: str
    id: str
    why: str

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.kind} {self.id}: {self.why}"


@dataclass(slots=True)
class Differences:
    """What was found so far: all are counted, a hundred are named."""

    named: list[Difference] = field(default_factory=list)
    count: int = 0

    def add(self, kind: str, of: str, why: str) -> None:
        """Note a difference."""
        self.count += 1
        if len(self.named) < MOST:
            self.named.append(Difference(kind, of, why))

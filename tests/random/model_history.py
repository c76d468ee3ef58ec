"""How the portal was: each state from one instant of real time on, and what readers may have seen.

Who asks the portal for deals, for workflows and for tasks asks more than once, and between two
requests it may change. So what a reading saw is a *mixture*: the deals of one moment, the workflows
of another and the tasks of a third, all of them within the reading, and so it is with elements of
lists and with what deals are linked to. It is judged by our clock at some moment of the reading. A
judgement is sound where the rules say so of some mixture; each of its parts has an end, after which
it was so no more.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from itertools import product
from typing import Any, NamedTuple

from tests.random.model_facts import View

Parts = Mapping[str, Any]


class Seen(NamedTuple):
    """A mixture, and until when in real time all parts of it were true."""

    view: View
    until: float


class History:
    """All states that there were, by their places."""

    def __init__(self) -> None:
        self.timed = False  # whether rules test how old something is
        self._views: list[View] = []
        self._since: list[float] = []

    @property
    def now(self) -> View:
        """Return how it is."""
        return self._views[-1]

    @property
    def place(self) -> int:
        """Return the place of the state that is now."""
        return len(self._views) - 1

    def add(self, view: View, at: float) -> None:
        """Remember how it is from now on; what has not changed is the same object as before."""
        if self._views:
            pairs = ((name, getattr(self._views[-1], name), getattr(view, name)) for name in _PARTS)
            view = replace(view, **{name: last for name, last, now in pairs if last == now})
        self._views.append(view)
        self._since.append(at)

    def views(self, first: int, through: int | None = None) -> Sequence[View]:
        """Return the states from one place to another, both included, or until now."""
        return self._views[first : None if through is None else through + 1]

    def seen(self, first: int, now: float) -> Iterator[Seen]:
        """Yield what a reading may have seen that began in the state at this place."""
        ends = [*self._since[first + 1 :], now]
        some = list(zip(self._views[first:], ends, strict=True))
        parts = [
            _lasting([({name: getattr(view, name) for name in names}, end) for view, end in some])
            for names in _READ_AT_ONCE
        ]
        clocks = [view.clock for view, _ in some] if self.timed else [self.now.clock]
        for clock in {min(clocks), max(clocks)}:  # what is older than so much stays so
            at = replace(self.now, clock=clock)
            for mixed in product(*parts):
                seen = {name: part for found, _ in mixed for name, part in found.items()}
                yield Seen(replace(at, **seen), min(end for _, end in mixed))

    def with_tasks(self, seen: Seen, place: int) -> View:
        """Return the mixture with the tasks that there were at a place."""
        return replace(seen.view, tasks=self._views[place].tasks)


_PARTS = tuple(field.name for field in fields(View))
_READ_AT_ONCE = (("deals", "denied"), ("workflows",), ("tasks",), ("elements",), ("linked",))


def _lasting(some: Sequence[tuple[Parts, float]]) -> list[tuple[Parts, float]]:
    """Put together what is the same, with the latest end of it."""
    found = {tuple(map(id, parts.values())): (parts, end) for parts, end in some}
    return list(found.values())

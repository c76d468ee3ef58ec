"""How the portal was: each state from one instant of real time on, and what readers may have seen.

Who asks the portal for deals, for workflows and for tasks asks more than once, and between two
requests it may change. So what a reading saw is a *mixture*: the deals of one moment, the workflows
of another and the tasks of a third, all of them within the reading. A judgement is sound where the
rules say so of some mixture; each of its parts has an end, after which it was so no more.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import NamedTuple, TypeVar

from tests.random.model_rules import Rule, View

T = TypeVar("T")


class Seen(NamedTuple):
    """A mixture, and until when in real time all parts of it were true."""

    view: View
    until: float


class History:
    """All states that there were, by their places."""

    def __init__(self) -> None:
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
            last = self._views[-1]
            view = View(
                deals=last.deals if last.deals == view.deals else view.deals,
                denied=last.denied if last.denied == view.denied else view.denied,
                workflows=last.workflows if last.workflows == view.workflows else view.workflows,
                tasks=last.tasks if last.tasks == view.tasks else view.tasks,
            )
        self._views.append(view)
        self._since.append(at)

    def views(self, first: int, through: int | None = None) -> Sequence[View]:
        """Return the states from one place to another, both included, or until now."""
        return self._views[first : None if through is None else through + 1]

    def seen(self, first: int, now: float) -> Iterator[Seen]:
        """Yield what a reading may have seen that began in the state at this place."""
        ends = [*self._since[first + 1 :], now]
        some = list(zip(self._views[first:], ends, strict=True))
        deals = _lasting([((view.deals, view.denied), end) for view, end in some])
        workflows = _lasting([((view.workflows,), end) for view, end in some])
        tasks = _lasting([((view.tasks,), end) for view, end in some])
        for (items, one), ((rows,), two), ((waits,), three) in product(deals, workflows, tasks):
            fields, denied = items
            view = View(deals=fields, denied=denied, workflows=rows, tasks=waits)
            yield Seen(view, min(one, two, three))

    def with_tasks(self, seen: Seen, place: int) -> View:
        """Return the mixture with the tasks that there were at a place."""
        return replace(seen.view, tasks=self._views[place].tasks)


def _lasting(some: Sequence[tuple[T, float]]) -> list[tuple[T, float]]:
    """Put together what is the same, with the latest end of it."""
    found: dict[tuple[int, ...], tuple[T, float]] = {}
    for parts, end in some:
        assert isinstance(parts, tuple)
        found[tuple(map(id, parts))] = (parts, end)
    return list(found.values())


def perhaps_spared(
    rule: Rule, workflow_id: str, seen: Iterable[Seen], *, in_run: bool
) -> frozenset[str]:
    """Return whom a rule with `keep` may have spared when it condemned a workflow."""
    if not rule.keep:
        return frozenset()
    found = set()
    for view in (one.view for one in seen):
        mine, of_mine = view.workflows.get(workflow_id), view.facts(workflow_id)
        if mine is None or of_mine is None:
            continue
        group = rule.group(mine, of_mine, in_run=in_run)
        for name, row in view.workflows.items():
            facts = view.facts(name)
            if name != workflow_id and facts is not None and rule.holds(facts) is True:
                same = rule.group(row, facts, in_run=in_run) == group
                if same and rule.is_better((name, row), (workflow_id, mine)):
                    found.add(name)
    return frozenset(found)

"""Cuts what a round judged into slices, each of which passes the gate once: no I/O, no clock.

A slice has no more calls than go out in one batch, and few enough evaluations that its commit does
not delay deliveries. Plans and rechecks of one document are in one slice if they fit. Of a document
with more stops than that, each slice has as many as fit, all on the same reading: the limiter
checks a set as a whole, however much of it is in the slice. What leads to a call comes first, in
the order it became due, in batches as full as possible; what is only written fills the rest.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from responder.bitrix24.client.answers import stopping_method
from responder.journal.element_names import key_of
from responder.judge.jobs import Job, of_stop
from responder.judge.plans import Plan
from responder.judge.recheck.recheck import Recheck

# Evaluations and steps in one transaction: a delivery that comes meanwhile waits for all of them.
# The intents of one batch of calls must be written in one; plans without calls need not be.
WITH_CALLS, WRITTEN = 100, 20


@dataclass(slots=True)
class Slice:
    """Plans and rechecked stops that pass the gate in one transaction, and their calls."""

    plans: list[Plan] = field(default_factory=list)
    rechecks: list[Recheck] = field(default_factory=list)
    calls: int = 0
    most_calls: int = 0

    @property
    def size(self) -> int:
        """Return how many evaluations and steps there are to write."""
        return len(self.plans) + len(self.rechecks)

    @property
    def refs(self) -> set[str]:
        """Return the names of the documents, of each the one that stands for all it has."""
        names = [plan.job.ref for plan in self.plans]
        names += [one.stop.document.ref for one in self.rechecks]
        return {key_of(name) for name in names}

    @property
    def jobs(self) -> list[Job]:
        """Return the jobs of the plans and rechecks."""
        return [plan.job for plan in self.plans] + [of_stop(one.stop) for one in self.rechecks]

    @property
    def methods(self) -> set[str]:
        """Return the methods of the calls."""
        planned = (one for plan in self.plans for one in plan.planned)
        actions = {one.decision.action for one in planned if one.step and one.step.call}
        actions |= {one.stop.action for one in self.rechecks if one.step.call}
        return {stopping_method(action) for action in actions}

    def add(self, other: "Slice") -> None:
        """Add another slice's plans and rechecks."""
        self.plans += other.plans
        self.rechecks += other.rechecks
        self.calls += other.calls

    def parts(self) -> "list[Slice]":
        """Return the slice in parts, if many of its rechecks make no call: those first, 20 a part.

        They are written before the calls, because until then the limiter counts them as stops of
        their set that still wait.
        """
        quiet = [one for one in self.rechecks if not one.step.call]
        if len(quiet) <= WRITTEN:
            return [self]
        starts = range(0, len(quiet), WRITTEN)
        parts = [Slice(rechecks=quiet[start : start + WRITTEN]) for start in starts]
        acting = [one for one in self.rechecks if one.step.call]
        rest = Slice(plans=self.plans, rechecks=acting, calls=self.calls)
        return [*parts, rest] if rest.size else parts

    def split(self, calls: int) -> tuple["Slice", "Slice"]:
        """Return the stops that ask for so many calls, after all plans, and the rest."""
        first, rest = Slice(plans=self.plans), Slice()
        first.calls = sum(plan.calls for plan in self.plans)
        for one in self.rechecks:
            part = first if first.calls + one.step.call <= calls else rest
            part.rechecks.append(one)
            part.calls += one.step.call
        return first, rest

    def has_room_for(self, other: "Slice") -> bool:
        """Return whether another slice may be added to this one."""
        if not self.size:
            return True
        calls, size = self.calls + other.calls, self.size + other.size
        most = WITH_CALLS if other.calls else WRITTEN
        return calls <= max(self.most_calls, self.calls) and size <= most


class Backlog:
    """The plans and rechecks of a round that are not written yet, by document in `order`.

    `order` names the documents, the oldest first. `capacity` returns how many commands of a method
    go into one batch at that moment.
    """

    def __init__(
        self,
        plans: Sequence[Plan],
        rechecks: Sequence[Recheck],
        *,
        order: Iterable[str],
        capacity: Callable[[str], int],
    ) -> None:
        units = _by_document(plans, rechecks, order)
        self._acting = deque(part for unit in units if unit.calls for part in unit.parts())
        self._quiet = deque(part for unit in units if not unit.calls for part in unit.parts())
        self._methods = set[str]().union(*(unit.methods for unit in self._acting))
        self._capacity = capacity

    def __bool__(self) -> bool:
        """Return whether something is left."""
        return bool(self._acting or self._quiet)

    def has_calls_on_others(self, documents: Collection[str]) -> bool:
        """Return whether the next slice has calls, and none on these documents of earlier ones."""
        first = self._acting[0] if self._acting else Slice()
        # what is left of a document that was cut stands first
        return first.calls > 0 and first.refs.isdisjoint(documents)

    def cut(self) -> Slice:
        """Remove the next slice and return it.

        An evaluation with more calls than fit is not cut: the gate begins as many as fit, and the
        others are due in the next round.
        """
        most = min((self._capacity(one) for one in self._methods), default=1)
        cut = Slice(most_calls=most)
        if self._acting and self._acting[0].calls > most:
            first, rest = self._acting.popleft().split(most)
            cut.add(first)
            self._acting.extendleft([rest] if rest.size else [])
        for units in (self._acting, self._quiet):
            while units and cut.has_room_for(units[0]):
                cut.add(units.popleft())
        return cut


def _by_document(
    plans: Sequence[Plan], rechecks: Sequence[Recheck], order: Iterable[str]
) -> list[Slice]:
    found = {ref: Slice() for ref in order}
    for plan in plans:
        unit = found[plan.job.ref]
        unit.plans.append(plan)
        unit.calls += plan.calls
    for one in rechecks:
        unit = found[one.stop.document.ref]
        unit.rechecks.append(one)
        unit.calls += one.step.call
    return [unit for unit in found.values() if unit.size]

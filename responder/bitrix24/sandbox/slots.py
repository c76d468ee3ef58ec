"""Limits how many workflows run on one CRM item: two in the cloud, the next ones queue.

A third begins when one of the two ends (https://helpdesk.bitrix24.com/open/22381584/). Every
workflow that the sandbox lists waits for something: one that waits for nothing ends as it starts.
Robots' runs take no slot, nor does anything on a document outside the CRM.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

Triple = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Start:
    """A workflow that is to start; `begin` lists it as running."""

    workflow_id: str
    triple: Triple
    needs_slot: bool
    begin: Callable[[], None]


class Slots:
    """The slots of all items: `most` for each, None for no limit."""

    def __init__(self, most: int | None) -> None:
        self.most = most
        self.queue: list[Start] = []
        self._holders: dict[Triple, list[str]] = {}

    def start(self, start: Start, running: Collection[str]) -> None:
        """Start a workflow if there is a slot for it, else put it into the queue."""
        if self._gets_slot(start, running):
            start.begin()
        else:
            self.queue.append(start)

    def fill(self, running: Collection[str]) -> None:
        """Start the queued workflows, in their order, for which there is a slot now."""
        waiting, self.queue = self.queue, []
        for start in waiting:
            self.start(start, running)

    def _gets_slot(self, start: Start, running: Collection[str]) -> bool:
        if self.most is None or not start.needs_slot or start.workflow_id in running:
            return True
        holders = [one for one in self._holders.get(start.triple, ()) if one in running]
        free = len(holders) < self.most
        self._holders[start.triple] = [*holders, start.workflow_id] if free else holders
        return free

"""Checks a whole log: each portal's chain, and the rows beside it.

First the deliveries are counted by evaluation (`delivery_counts`). Then each chain is read
(`verify`) and the tables are compared with what its entries say (`replay`, `working_state`); last
comes what concerns all portals.
"""

from collections.abc import Collection
from datetime import datetime
from functools import partial

from responder.journal.audit import working_state
from responder.journal.audit.checkpoint_marks import Marks
from responder.journal.audit.delivery_counts import count
from responder.journal.audit.differences import Difference
from responder.journal.audit.replay import Replay
from responder.journal.audit.verify import Verified, walk
from responder.journal.chain_ends import Readable
from responder.store.database.damage import Damaged, undamaged


class Inspection:
    """A check of several portals, one after the other, then of what concerns all of them."""

    def __init__(self, database: Readable, portals: Collection[str]) -> None:
        """Count the deliveries."""
        self._database = database
        self._concluded = count(database, portals)
        self._replays: dict[str, Replay] = {}
        self._holds = True

    def of(self, portal: str, marks: Marks | None = None, now: datetime | None = None) -> Verified:
        """Return the check of a portal's chain, and of its rows against it."""
        found, replay = walk(self._database, portal, marks or {}, now, self._concluded[portal])
        self._replays[portal] = replay
        self._holds = self._holds and found.bad is None
        return found

    def of_all(self) -> list[Difference]:
        """Return the differences that concern all portals. Call it once each portal was checked."""
        if not self._holds:  # what a broken chain says proves nothing
            return []
        look = partial(working_state.pause, replays=self._replays)
        try:
            return undamaged(partial(self._database.read, look))
        except Damaged:
            return [Difference("pause", "of all portals", "it cannot be read any more")]

"""Finds the jobs that are due in a portal: waiting stops, second looks, deliveries.

Usually they are few, and one read finds them. In a storm there are more than a round can judge:
then as many as the round can judge are read again, in several short reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from responder.journal import open_stops
from responder.journal.open_stops import MOST, Stop
from responder.judge import jobs
from responder.judge.backoff import Backoff
from responder.judge.context import Context
from responder.judge.jobs import Job
from responder.judge.stop_lifecycle import OVER_WITHIN
from responder.model import Outcome
from responder.rules.ruleset import Ruleset
from responder.store.applications import offline_takings
from responder.store.database.database import Connection
from responder.store.inbox import inbox, second_looks
from responder.store.inbox.inbox import Alike, Waiting

CLAIMED = 200  # documents with deliveries, at first
UNNAMED = 2_000  # deliveries that no rule names, concluded by one statement
REFS = 100  # documents whose waiting stops one query finds


@dataclass(frozen=True, slots=True, kw_only=True)
class DueJobs:
    """The jobs that are due at an instant, stops first. `more`: there may be others, not read."""

    jobs: list[Job]
    more: bool
    at: datetime


class EventQueue:
    """The jobs of one portal that are due."""

    def __init__(self, context: Context, backoff: Backoff) -> None:
        self._context = context
        self._backoff = backoff

    async def due(self) -> DueJobs:
        """Return the jobs that are due, for a few hundred documents."""
        now = self._context.now()

        def read(conn: Connection) -> DueJobs:
            stops, second = self._stops_and_looks(conn, now)
            waiting = self._waiting(conn, now, CLAIMED)
            fresh = [jobs.of_waiting(self._context.portal, group) for group in waiting]
            early = self._early(conn, now, [one.ref for one in fresh if one.ref])
            more = len(waiting) >= CLAIMED or len(stops) >= MOST
            return DueJobs(jobs=[*stops, *second, *fresh, *early], more=more, at=now)

        return await self._context.database.reading(read)

    async def unnamed(self, ruleset: Ruleset) -> tuple[Job | None, bool]:
        """Return the events that have waited longest as one job, if no rule names any of them.

        Robot calls, and events without a document, are left out: they are concluded one by one.
        Return too whether others wait, or may wait.
        """
        front = await self._context.read(inbox.front, UNNAMED)
        events = [one for one in front if one.trigger == "event" and one.kind is not None]
        if any(self._is_named(ruleset, one) for one in events):
            return None, True
        more = len(events) < len(front) or sum(len(one.ids) for one in front) >= UNNAMED
        return (jobs.of_unmatched(self._context.portal, events) if events else None), more

    def _is_named(self, ruleset: Ruleset, alike: Alike) -> bool:
        if alike.event is None or alike.kind is None:
            return True
        return bool(ruleset.in_question("event", (alike.event,), alike.kind, self._context.portal))

    async def due_in_storm(self, documents: int) -> list[Job]:
        """Return the jobs of so many documents, with all that is due on each of them."""
        now, database = self._context.now(), self._context.database
        stops, second = await database.reading(lambda conn: self._stops_and_looks(conn, now))
        waiting = await database.reading(lambda conn: self._waiting(conn, now, documents))
        fresh = [jobs.of_waiting(self._context.portal, group) for group in waiting]
        refs = list(dict.fromkeys(one.ref for one in (*stops, *second, *fresh) if one.ref))
        first = set(refs[:documents])
        found = [one for one in (*stops, *second, *fresh) if not one.ref or one.ref in first]
        have_deliveries = {one.ref for one in fresh} & first
        # A query finds a thousand due stops at most. The rest of those on the same documents are
        # read too, because the limit of a document counts all of its stops at once.
        incomplete = {one.ref for one in stops} & first if len(stops) >= MOST else set[str]()
        known = {one.stop.decision_id for one in stops if one.stop is not None}
        some = [ref for ref in refs if ref in have_deliveries or ref in incomplete]
        for start in range(0, len(some), REFS):
            on = partial(self._waiting_on, refs=some[start : start + REFS])
            found += [
                jobs.of_stop(stop)
                for stop in await database.reading(on)
                if stop.decision_id not in known
                and self._goes_with(stop, now, have_deliveries, incomplete)
            ]
        return found

    def _goes_with(
        self, stop: Stop, now: datetime, have_deliveries: set[str], incomplete: set[str]
    ) -> bool:
        ref = stop.document.ref
        if ref in incomplete and stop.due_at is not None and stop.due_at <= now:
            return True
        return ref in have_deliveries and self._is_early(stop, now)

    def _stops_and_looks(self, conn: Connection, now: datetime) -> tuple[list[Job], list[Job]]:
        due = open_stops.due(conn, self._context.portal, now, Outcome.WAITING)
        resting = self._backoff.resting(now)
        second = [
            jobs.of_look(self._context.portal, look)
            for look in second_looks.due(conn, self._context.portal, now)
            if look.document_ref not in resting
        ]
        return [jobs.of_stop(stop) for stop in due], second

    def _waiting(self, conn: Connection, now: datetime, documents: int) -> list[Waiting]:
        """Return deliveries, but not of documents that rest or whose events are being taken.

        A taking that nobody ended is over in time: the application may be gone meanwhile.
        """
        skip = self._backoff.resting(now)
        taking = offline_takings.under_way(conn, self._context.portal)
        if taking is not None and abs(now - taking.sent_at) < OVER_WITHIN:
            skip |= taking.documents
        return inbox.waiting(conn, self._context.portal, documents=documents, skip=skip)

    def _early(self, conn: Connection, now: datetime, refs: Sequence[str]) -> list[Job]:
        """Return the stops that wait for their time on documents that have deliveries."""
        stops = self._waiting_on(conn, refs)
        return [jobs.of_stop(stop) for stop in stops if self._is_early(stop, now)]

    def _waiting_on(self, conn: Connection, refs: Sequence[str]) -> list[Stop]:
        """Return all stops that wait on these documents, though one query returns a thousand."""
        found = open_stops.waiting_on(conn, self._context.portal, refs)
        if len(found) < MOST or len(refs) < 2:
            return found
        middle = len(refs) // 2
        return [*self._waiting_on(conn, refs[:middle]), *self._waiting_on(conn, refs[middle:])]

    def _is_early(self, stop: Stop, now: datetime) -> bool:
        """Return whether a stop waits for its rule's time, and any event judges it earlier."""
        if stop.due_at is None or stop.due_at <= now:
            return False
        rules = self._context.rules.ruleset.rules
        return any(
            rule.id == stop.rule and (rule.wait is not None or rule.during is not None)
            for rule in rules
        )

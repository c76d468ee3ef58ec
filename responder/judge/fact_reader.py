"""Reads the facts of many jobs in the cheaper of two ways, and computes a round's size.

Theory of operation. A few documents are read *one by one* (`document_facts.gather`): two commands
each, fifty commands a request. Many are read *by pages* (`Survey.of`): all that runs, about fifty
rows a command, and then their fields, fifty documents a command. Which one takes fewer requests
depends on how much runs in the portal. Each complete list of what runs gives that number anew;
before the first one, its first page does. The same choice is made to find whether workflows still
run.

The list of all that runs may fail where single documents would not (it changed too fast). Then
documents are read one by one for a minute.

The larger part of the portal's bucket is for rounds that judge much at once: once 40 % of it is
used up, due jobs collect for up to two seconds after the last reading, or until enough has leaked
out. A portal with little traffic never fills it so far. They collect as long where all that runs is
a long list, which would be read for a small part of what is coming in.

A storm's round has as many documents as can be read and stopped in `WITHIN_SECONDS`: what the
portal's bucket allows in that time, or, where the answers and our commits are slower, what their
recent speed allows. Facts would be too old for a call soon after that; documents that were not
finished in time are read again, and the next round is smaller.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from responder.bitrix24.client import rate_limit
from responder.bitrix24.client.answers import STOPPING, Command, Failure, FailureKind, explain
from responder.bitrix24.client.rate_limit import LIMIT_CODES
from responder.bitrix24.fetch import document_facts
from responder.bitrix24.fetch.document_facts import Ask, Reading
from responder.bitrix24.fetch.survey import Survey
from responder.bitrix24.lists.requests import PORTION, SharedRequests, Source
from responder.bitrix24.lists.row_warnings import RowWarnings
from responder.bitrix24.lists.workflows import RunningWorkflows, WorkflowList, pages_of
from responder.judge.backoff import Backoff
from responder.judge.context import Context
from responder.model import Unknown

# From the beginning of a reading to its last call: facts are too old for the gate after 22 seconds
# (`executor.is_fresh`, with the time that its commit may take).
WITHIN_SECONDS = 21.5
MOST = 4_000
ONE_BY_ONE_FOR = timedelta(seconds=60)
LOST = (FailureKind.BUSY, FailureKind.UNCERTAIN)
COMMANDS_EACH = 2  # commands for one document: its item, its workflows
COUNTED_FOR = timedelta(minutes=10)
GATHERS_FOR = timedelta(seconds=2)
GATHERS_ABOVE = 0.4  # of the bucket: above this level due jobs collect before a reading
LONG_LIST = 2  # requests; before such a list of all that runs is read, due jobs collect too,
CALLS_FOR_A_REQUEST = 4  # until so many batches of calls follow from each of its requests
BESIDE = 3  # commands of such a request that read something else: templates, tasks
IN_BULK = 50 * (PORTION - BESIDE)  # documents whose fields one request reads
FIRST_SLICE_SECONDS = 0.25

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadStrategy:
    """The way in which the next documents are read, and how many of them at once."""

    by_pages: bool
    documents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsRead:
    """The facts that were read of documents, by their names, and when the reading began.

    `rows` is the list of all that runs, if it was read by pages, and `failure` why that list could
    not be read. `deferred` are the documents that could not be read and are read again later.
    """

    began_at: datetime
    readings: Mapping[str, Reading]
    rows: RunningWorkflows | None = None
    failure: Failure | None = None
    deferred: Collection[str] = ()

    @property
    def workflows(self) -> list[str]:
        """Return the ids of the workflows on all of the documents."""
        return [
            workflow.id
            for reading in self.readings.values()
            if not isinstance(reading.workflows, Unknown)
            for workflow in reading.workflows
        ]


class FactReader:
    """The readings of one portal's rounds, with what they measured of its size and speed."""

    def __init__(self, context: Context, backoff: Backoff) -> None:
        self._context = context
        self._backoff = backoff
        self._counted: tuple[datetime, int] | None = None
        self._row_warnings = RowWarnings(context.portal, context.now)
        self._slice_seconds = FIRST_SLICE_SECONDS
        self._one_by_one_until: datetime | None = None
        self._read_at: datetime | None = None
        self._collects = False  # a reading of few documents waits for more of them

    @property
    def running(self) -> int | None:
        """Return how many workflows ran when last counted; None if that was not lately."""
        if (
            self._counted is None
            or not timedelta(0) <= self._context.now() - self._counted[0] < COUNTED_FOR
        ):
            return None
        return self._counted[1]

    def _record_running(self, running: int | None) -> None:
        if running is not None:
            self._counted = (self._context.now(), running)

    @property
    def must_wait(self) -> bool:
        """Return whether nothing is read now: due jobs collect, or the portal is away and rests."""
        return bool(self._gathers_for()) or self._backoff.is_left_alone(self._context.now())

    def idle_seconds(self, at_most: float) -> float:
        """Return how long to wait when nothing is due: until the first document has rested."""
        wait = self._backoff.seconds_until_first(self._context.now(), at_most)
        return max(wait, min(self._gathers_for(), at_most))

    def _gathers_for(self) -> float:
        """Return for how many seconds due jobs collect before they are read; mostly 0."""
        now, above = self._context.now(), self._context.client.burst * GATHERS_ABOVE
        if self._read_at is None or (self._level() <= above and not self._collects):
            return 0.0
        left = self._read_at + GATHERS_FOR - now
        return left.total_seconds() if timedelta(0) < left <= GATHERS_FOR else 0.0

    def begin(self) -> datetime:
        """Record that a reading begins now, and return the instant."""
        self._read_at, self._collects = self._context.now(), False
        return self._read_at

    def collects(self, documents: int) -> bool:
        """Return whether due jobs collect: a long list would be read for the sake of so few."""
        list_requests = pages_of(self.running or 0) / PORTION
        calls = documents / max(map(self._context.client.capacity, STOPPING))
        self._collects = list_requests >= LONG_LIST and calls < CALLS_FOR_A_REQUEST * list_requests
        return self.must_wait

    def strategy(self, documents: int, *, more: bool) -> ReadStrategy:
        """Return how so many due documents, or `more`, are best read, and how many of them now."""
        if self._backoff.is_away:
            return self._strategy(self._context.few)  # enough to find whether it answers again
        return self._strategy(MOST if more and documents > self._context.few else documents)

    def _strategy(self, documents: int) -> ReadStrategy:
        few = ReadStrategy(by_pages=False, documents=self._context.few)
        if documents <= self._context.few:
            return few
        requests, a_batch = self._requests(), max(map(self._context.client.capacity, STOPPING))
        pages = pages_of(self.running or 0) / PORTION
        some = _in_full((requests - pages - 1) / (1 / a_batch + 1 / IN_BULK), a_batch)
        if some > self._context.few and not self._avoids_pages() and pages < requests / 2:
            now = min(documents, some)
            if self.running is None or pages + now / IN_BULK < now * COMMANDS_EACH / PORTION:
                return ReadStrategy(by_pages=True, documents=some)
        # one more command for each reads its tasks, which are the evidence
        some = _in_full(requests / (1 / a_batch + (COMMANDS_EACH + 1) / PORTION), a_batch)
        return ReadStrategy(by_pages=False, documents=some) if some > self._context.few else few

    def _requests(self) -> float:
        """Return how many requests can be made within `WITHIN_SECONDS`."""
        client = self._context.client
        room = max(0.0, client.burst * rate_limit.SAFE_SHARE - self._level())
        allowed = room + WITHIN_SECONDS * client.rate * rate_limit.SAFE_RATE
        return min(allowed, WITHIN_SECONDS / self._slice_seconds)

    def _level(self) -> float:
        client, seconds = self._context.client, self._context.now().timestamp()
        return rate_limit.drained(client.bucket, seconds, client.rate).level

    def learn_seconds(self, seconds: float) -> None:
        """Update the measured duration of a slice, from the gate to its outcomes."""
        self._slice_seconds = max(0.001, (self._slice_seconds + max(0.0, seconds)) / 2)

    def was_too_slow(self) -> None:
        """Double the measured duration of a slice: facts grew too old before a round was done."""
        self._slice_seconds *= 2

    async def read(
        self, asks: Mapping[str, Ask], *, by_pages: bool, along: Sequence[Source] = ()
    ) -> FactsRead | None:
        """Read what is asked of each document; None where another round does, in another way.

        What is `along` is asked in the same requests, if documents are read by pages.
        """
        found = await (self._by_pages(asks, along) if by_pages else self._one_by_one(asks))
        if found is None:
            return None
        await self._check_whether_away(found.readings.values())
        self._context.client.away_since = self._backoff.away_since
        if found.failure is not None and self._is_lists_own(found.failure):
            self.avoid_pages(found.failure)
            return None
        now, few = self._context.now(), self._context.few
        return replace(found, deferred=self._backoff.deferred(found.readings, now, few=few))

    async def _one_by_one(self, asks: Mapping[str, Ask]) -> FactsRead:
        now, context = self.begin(), self._context
        readings = await document_facts.gather(
            context.client.send, list(asks.values()), context.templates, now
        )
        for reading in readings:
            self._row_warnings.warn(reading.odd)
        return FactsRead(began_at=now, readings=dict(zip(asks, readings, strict=True)))

    async def _by_pages(self, asks: Mapping[str, Ask], along: Sequence[Source]) -> FactsRead | None:
        """Read all that runs; None where its first page shows that another way is cheaper."""
        now, named = self.begin(), list(asks.values())
        survey = Survey.of(named, self._context.templates, now, expected=self.running, along=along)
        knew = self.running is not None
        while await survey.step(self._context.client.send):
            if survey.total is None or knew:
                continue
            knew = True
            self._record_running(survey.total)
            if not self._strategy(len(asks)).by_pages or self.collects(len(asks)):
                return None
        return self._of_pages(survey, asks, now)

    def _of_pages(self, survey: Survey, asks: Mapping[str, Ask], began_at: datetime) -> FactsRead:
        failure = survey.failure
        if failure is None and survey.unread is not None and survey.unread.kind in LOST:
            failure = survey.unread
        if failure is not None:
            unread = Reading({}, Unknown(explain(failure)), failure)
            return FactsRead(
                began_at=began_at, readings=dict.fromkeys(asks, unread), failure=failure
            )
        self._record_running(survey.running)
        self._row_warnings.warn(survey.odd)
        found = dict(survey.readings())
        readings = {ref: found[ask.document] for ref, ask in asks.items()}
        return FactsRead(began_at=began_at, readings=readings, rows=survey.listed)

    async def _check_whether_away(self, readings: Collection[Reading]) -> None:
        """Call `profile` where something could not be read, to find whether the portal is away."""
        failures = [reading.failure for reading in readings if reading.failure is not None]
        lost = [one for one in failures if one.kind in LOST and one.code not in LIMIT_CODES]
        if not lost:
            if any(reading.failure is None for reading in readings):
                self._backoff.mark_answering()
            return
        (answer,) = await self._context.client.send([Command("profile", {})])
        if answer.failure is not None and answer.failure.kind in LOST:
            self._backoff.mark_away(self._context.now())
        else:
            self._backoff.mark_answering()

    def _is_lists_own(self, failure: Failure) -> bool:
        """Return whether the list of all that runs cannot be read, and not the portal."""
        passing = failure.kind in LOST and failure.code not in LIMIT_CODES
        return passing and not self._backoff.is_away

    def avoid_pages(self, failure: Failure | None) -> None:
        """Read documents one by one for a minute: the list of all that runs could not be read."""
        self._one_by_one_until = self._context.now() + ONE_BY_ONE_FOR
        log.warning(
            "what runs could not be read by pages; documents are read one by one",
            portal=self._context.portal,
            why=None if failure is None else explain(failure),
        )

    async def all_running(self, ids: int) -> RunningWorkflows | None:
        """Read the list of all that runs, to search it for so many workflows.

        Return None where a search by ids is cheaper, or where the list could not be read whole or
        has rows without an id, which may be any of these workflows.
        """
        if self._avoids_pages() or (self.running is not None and pages_of(self.running) >= ids):
            return None
        listing, requests = WorkflowList(self.running), SharedRequests()
        requests.set_sources([listing])
        while await requests.step(self._context.client.send):
            self._record_running(listing.total)
            if self.running is not None and pages_of(self.running) >= ids:
                return None
        if listing.whole:
            self._row_warnings.warn(listing.odd)
            return None if listing.odd.nameless else RunningWorkflows(listing.rows, listing.odd)
        self.avoid_pages(listing.failure or requests.failure)
        return None

    def _avoids_pages(self) -> bool:
        until, now = self._one_by_one_until, self._context.now()
        return until is not None and now < until <= now + ONE_BY_ONE_FOR


def _in_full(documents: float, a_batch: int) -> int:
    """Return how many documents at most have no batch begun for the sake of a few of them."""
    some = min(MOST, int(documents))
    return some - some % a_batch if some > a_batch else some


def in_whole_requests(documents: int) -> int:
    """Return how many of these documents to read by pages: no last few by a request of their own.

    It is made for at least half of what it can read; fewer go with the next round.
    """
    rest = documents % IN_BULK
    return documents - rest if documents > IN_BULK and rest < IN_BULK / 2 else documents

"""Runs one round of a driver: fetch, verify, read, judge, gate, send, record.

Theory of operation: see `driver`. All decisions are made in `judge` and `rules`; this file moves
values from one step to the next.

The plans and rechecks of a round pass the gate in *slices* (`batches`), each with no more calls
than one batch carries. The round that judged writes the first slice at once, and each round after
it the next, until all is written; so the steps of a storm of thousands are no longer than any other
round. Each slice is checked against lease, rules, pause, limits and the age of the facts as if it
were alone. If a check fails, the rest is dropped: it was not written, so it is due as before, and
judged afresh.

Where the portal answers a batch quickly, a round writes slices for about a second: while one batch
is under way, the next slice passes the gate and is sent beside it. Two batches at most are under
way, never two of one document, and none once the round has ended.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from responder.bitrix24.client.answers import STOPPING
from responder.bitrix24.events.registration import OFFLINE_EVENTS_WAIT
from responder.judge import jobs, judgement
from responder.judge.backoff import Backoff
from responder.judge.context import Context
from responder.judge.event_queue import EventQueue
from responder.judge.fact_reader import FactReader, FactsRead, in_whole_requests
from responder.judge.jobs import Job, JobBatch
from responder.judge.judgement import Grounds
from responder.judge.recheck import kept_groups, recheck
from responder.rules.ruleset import Ruleset
from responder.service.driver.plan_names import PlanNames
from responder.service.driver.quarantine import Quarantine
from responder.service.driver.unmatched import UnmatchedEvents
from responder.stop.batches import Backlog, Slice
from responder.stop.call import StopCall
from responder.stop.evidence import EvidenceReader
from responder.stop.executor import CallStep, Executor, is_fresh
from responder.stop.gate import Gate
from responder.stop.intents import StaleError
from responder.stop.verifier import Settlement, Verifier
from responder.store.database.engines import StoreUnavailable
from responder.store.leases import LeaseLost

COMMITS_WITHIN = timedelta(seconds=3)  # a commit mostly takes less: facts age by this until sent
WRITES_FOR = timedelta(seconds=1)  # the slices of one round
BESIDE = 1  # batches under way while another is sent

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Work:
    """The judged work that is written slice by slice (`left`), and the facts it rests on.

    `part` is the newest slice of a round, and `batches` how many of its slices had calls. The first
    of them passed the gate at `gated_at`. If it `is_stale`, nothing more is written.
    """

    left: Backlog
    settlement: Settlement | None
    ruleset: Ruleset
    read_at: datetime
    shut: Mapping[str, str]
    has_begun: bool = False
    batches: int = 0
    part: Slice | None = None
    gated_at: datetime | None = None
    is_stale: bool = False


@dataclass(frozen=True, slots=True)
class Flight:
    """A batch of calls that is under way, with the jobs and the documents of its slice."""

    jobs: JobBatch
    documents: Collection[str]
    calls: Sequence[StopCall]
    steps: asyncio.Task[Sequence[CallStep]]


class Rounds:
    """The rounds of one portal's driver, under one lease."""

    def __init__(self, context: Context, gate: Gate) -> None:
        self._context = context
        self._gate = gate
        self._backoff = Backoff(context.portal)
        self._queue = EventQueue(context, self._backoff)
        self._reader = FactReader(context, self._backoff)
        self._verifier = Verifier(context, gate, self._reader)
        self._names = PlanNames(context)
        self._evidence = EvidenceReader(context)
        self._executor = Executor(context, gate, self._reader)
        self._unmatched = UnmatchedEvents(context, gate, self._queue)
        self._quarantine = Quarantine(context, gate, self._backoff)
        self._work: Work | None = None  # with which the next round continues
        self._under_way: deque[Flight] = deque()  # the oldest first; empty between rounds
        self._in_progress: JobBatch | None = None  # the jobs that a fault of ours would concern now
        self._was_busy = False
        self._offline_events_wait = False

    async def round(self) -> bool:
        """Judge what is due, or write the next slice. Return False where nothing was due."""
        self._in_progress, self._was_busy = None, False
        try:
            await self._seven_steps()
        except (LeaseLost, StoreUnavailable):
            raise
        except Exception as error:
            some = self._in_progress  # one of these makes the round fail
            if some is None:
                raise
            self._was_busy |= await self._quarantine.isolate(some.jobs, some.ruleset, error)
        return self._was_busy

    async def _seven_steps(self) -> None:
        """Run all seven steps; if judged work is left, those from the gate on."""
        batch = await self._fetch()
        await self._verify(batch)
        found = await self._read(batch)
        work = await self._judge(batch, found)
        if work is not None:
            await self._write(work)

    async def _fetch(self) -> JobBatch | None:
        """Return the jobs to read in this round; conclude those that no rule names."""
        if self._work is not None or self._reader.must_wait:
            return None
        ruleset = self._context.rules.ruleset
        due = await self._queue.due()
        matched, unmatched = jobs.split(due.jobs, ruleset)
        if unmatched:
            self._offline_events_wait |= any(one.newest == OFFLINE_EVENTS_WAIT for one in unmatched)
            await self._unmatched.conclude(unmatched, ruleset)
        more = due.more
        if more and not matched:
            # where these were all, the driver rests: in a flood it concludes many at once
            more = await self._unmatched.conclude_unnamed(ruleset)
        self._was_busy |= bool(unmatched) and more
        return await self._choose(matched, ruleset, more=due.more)

    async def _choose(self, matched: Sequence[Job], ruleset: Ruleset, *, more: bool) -> JobBatch:
        """Choose which documents are read now, and how; if `more` may be due, among all."""
        few = self._context.few
        strategy = self._reader.strategy(len(jobs.refs(matched)), more=more)
        if strategy.documents > few and more:
            matched, _ = jobs.split(await self._queue.due_in_storm(strategy.documents), ruleset)
        chosen = self._backoff.next_batch(jobs.refs(matched), most=strategy.documents, few=few)
        by_pages = strategy.by_pages and len(chosen) > few
        if by_pages:
            chosen = chosen[: in_whole_requests(len(chosen))]
        if by_pages and self._reader.collects(len(chosen)):
            chosen = []
        return JobBatch(jobs=jobs.on(chosen, matched), ruleset=ruleset, by_pages=by_pages)

    async def _verify(self, batch: JobBatch | None) -> None:
        """Search for workflows that were called or just stopped; many wait for the list of all."""
        if batch is not None:
            self._was_busy |= await self._verifier.verify(wait_for_list=batch.by_pages)

    async def _read(self, batch: JobBatch | None) -> FactsRead | None:
        """Read the facts of each document that the rules ask for."""
        if batch is None or not batch.jobs:
            return None
        self._in_progress = batch
        asks = jobs.asks(batch.jobs, batch.ruleset)
        found = await self._reader.read(asks, by_pages=batch.by_pages, along=self._evidence.along())
        self._was_busy |= found is None  # the next round reads it in the other way
        return found

    async def _judge(self, batch: JobBatch | None, found: FactsRead | None) -> Work | None:
        """Judge what was read; if nothing was, return the judged work that is left."""
        if batch is None or found is None:
            work, self._work = self._work, None
            return work
        ready = batch.ready(found.deferred)
        if not ready:
            return None
        grounds = await self._grounds(ready, batch, found)
        plans, rechecks = await judgement.judge_all(self._context, ready, grounds)
        names = self._names.wanted(plans, found.readings)
        await self._evidence.gather(plans, rechecks, names.along(self._context.client.send))
        plans = await self._names.named(plans, names)
        backlog = Backlog(
            plans, rechecks, order=found.readings, capacity=self._context.client.capacity
        )
        return self._work_of(batch, found, backlog)

    def _work_of(self, batch: JobBatch, found: FactsRead, backlog: Backlog) -> Work:
        return Work(
            left=backlog,
            settlement=self._verifier.settlement(found.rows, found.began_at),
            ruleset=batch.ruleset,
            read_at=found.began_at,
            shut=self._shut(),
        )

    async def _grounds(self, ready: Sequence[Job], batch: JobBatch, found: FactsRead) -> Grounds:
        """Read what else judging needs: the journal, and whether the kept are still kept."""
        known = await judgement.known_of(self._context, found.workflows, batch.ruleset.revision)
        withheld = self._context.client.breakers.withheld()
        known = replace(known, shut=withheld, away=self._backoff.is_away)
        kept = jobs.kept_workflows(ready)
        running = await self._verifier.whether_running(kept, found.readings.values(), found.rows)
        running, groups = await kept_groups.groups_now(
            self._context, ready, batch.ruleset, found.readings, running
        )
        return Grounds(
            ruleset=batch.ruleset,
            readings=found.readings,
            known=known,
            running=running,
            groups=groups,
        )

    async def _write(self, work: Work) -> None:
        """Write the next slice of what was judged, or several whose batches go side by side."""
        began_at, work.gated_at, work.batches = self._context.now(), None, 0
        try:
            settled = await self._write_slice(work)
            while self._goes_on(work, began_at):
                settled = await self._write_slice(work)
        except asyncio.CancelledError:
            self._abandon()
            raise
        finally:
            await self._finish(at_most=0)
        if work.batches and work.gated_at is not None:
            spent = self._context.now() - work.gated_at
            self._reader.learn_seconds(spent.total_seconds() / work.batches)
        if work.is_stale:  # the rest was not written, and is judged afresh
            return
        self._was_busy |= settled or work.part is not None
        if work.left or settled:
            self._work = work

    async def _write_slice(self, work: Work) -> bool:
        """Commit the next slice and send its calls; return whether other searches were settled."""
        work.part = work.left.cut() if work.left else None
        calls = await self._pass_gate(work, work.part or Slice())
        if work.is_stale:
            return False
        if calls:
            await self._begin(work, calls)
        return work.settlement is not None and await work.settlement.step()

    def _goes_on(self, work: Work, began_at: datetime) -> bool:
        """Return whether this round writes one more slice, whose batch goes beside the last one."""
        if work.is_stale or not self._under_way:
            return False
        in_time = timedelta(0) <= self._context.now() - began_at < WRITES_FOR
        busy = set[str]().union(*(flight.documents for flight in self._under_way))
        newest = [call.command for call in self._under_way[-1].calls]
        may_send = self._context.client.may_send_beside(newest)
        return in_time and may_send and work.left.has_calls_on_others(busy)

    async def _pass_gate(self, work: Work, part: Slice) -> Sequence[StopCall]:
        """Commit a slice of what was judged, and return the calls that may now be made."""
        await self._finish(at_most=BESIDE)
        self._in_progress = JobBatch(jobs=part.jobs, ruleset=work.ruleset)
        try:
            return await self._commit(work, part) if part.size else ()
        except StaleError as stale:
            log.info("judged afresh", portal=self._context.portal, why=str(stale))
            work.is_stale = self._was_busy = True
            return ()

    async def _commit(self, work: Work, part: Slice) -> Sequence[StopCall]:
        plans, rechecks, proofs = await self._evidence.prove(part.plans, part.rechecks)
        now = self._context.now()
        work.gated_at = work.gated_at or now
        if not self._is_fresh(work, now):
            plans, rechecks = recheck.put_off_stale(plans, rechecks, now)
        calls = await self._gate.pass_through(
            plans, rechecks, proofs, work.ruleset, most_calls=part.most_calls
        )
        work.has_begun = True
        for plan in plans:
            self._backoff.judged(plan.job.ref, self._context.now())
        return calls

    def _is_fresh(self, work: Work, now: datetime) -> bool:
        """Return whether the facts are fresh enough for a call.

        Raise StaleError if they are not, or the portal is shut, or other methods are withheld than
        at the judgement, once a slice was written: the rest is judged afresh.
        """
        fresh = is_fresh(work.read_at, now + COMMITS_WITHIN)
        if not fresh:
            self._reader.was_too_slow()
        if work.has_begun and not fresh:
            raise StaleError("the facts have grown too old for the rest")
        if work.has_begun and self._context.client.breakers.of_portal is not None:
            raise StaleError("an answer has shut the portal")
        if work.has_begun and self._shut() != work.shut:
            raise StaleError("other methods are withheld than when it was judged")
        return fresh

    async def _begin(self, work: Work, calls: Sequence[StopCall]) -> None:
        """Begin to send the calls of the newest slice."""
        assert self._in_progress is not None
        assert work.part is not None
        steps = asyncio.create_task(self._send(work, calls))
        self._under_way.append(Flight(self._in_progress, work.part.refs, calls, steps))
        work.batches += 1
        await asyncio.sleep(0)  # so that they leave at once, whatever this task does next

    async def _send(self, work: Work, calls: Sequence[StopCall]) -> Sequence[CallStep]:
        """Make the calls whose intents are committed."""
        return await self._executor.send(calls, work.read_at)

    async def _finish(self, *, at_most: int) -> None:
        """Commit the outcomes of the oldest batches, until at most so many are under way."""
        jobs = self._in_progress
        try:
            while len(self._under_way) > at_most:
                flight = self._under_way.popleft()
                self._in_progress = flight.jobs
                await self._executor.record(await flight.steps)
        except BaseException:
            self._abandon()
            raise
        self._in_progress = jobs

    def _abandon(self) -> None:
        """Wait for no answer any more: the intents are committed, so each will be searched for."""
        for flight in self._under_way:
            flight.steps.cancel()
        self._under_way.clear()

    def _shut(self) -> dict[str, str]:
        """Return the methods that stop workflows and are not called now, and why."""
        withheld = self._context.client.breakers.withheld()
        return {method: withheld[method] for method in STOPPING if method in withheld}

    def heard_of_offline_events(self) -> bool:
        """Return whether the portal has announced offline events since this was asked last."""
        heard, self._offline_events_wait = self._offline_events_wait, False
        return heard

    def end_refusals(self) -> None:
        """Read at once what waits only because there was no way to call the portal."""
        self._backoff.end_refusals()

    def drop(self) -> None:
        """Drop what was judged and not written yet: it is due as before."""
        self._work = None

    @property
    def is_amid_work(self) -> bool:
        """Return whether something was judged that is not written yet."""
        return self._work is not None

    def idle_seconds(self, at_most: float) -> float:
        """Return how long to wait when nothing is due: until the first document has rested."""
        return self._reader.idle_seconds(at_most)

"""One round of a driver: look, read, judge, pass the gate, call, write down what came of it.

Theory of operation: see `driver`. Everything that decides is in `planner` and `lifecycle`, which
are pure; this file moves values between them, the gate and the lane.

What was read and judged together passes the gate in *slices* (`batches`), each with no more calls
than one batch carries. A round that judged does the first slice at once, and each round after it
the next, until all is written; so a storm of thousands is driven in steps that are no longer than
any other round. Each slice is held against lease, rules, pause, limits and the age of the facts as
if it were alone. When one of them says no, what is left is dropped: it was not written, so it is
due as before, and judged afresh.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from responder.bitrix24.client.answers import STOPPING
from responder.bitrix24.client.client import LIMIT_CODES
from responder.bitrix24.client.rest import Command, Failure
from responder.bitrix24.facts.lookup import Reading
from responder.judge import jobs, judgement, recheck
from responder.judge.backoff import Patience
from responder.judge.context import Context
from responder.judge.jobs import Subject
from responder.judge.judgement import Grounds
from responder.judge.plans import Known
from responder.judge.queue import Intake
from responder.judge.reader import LOST, MOST, Readings, Way
from responder.model import Unknown
from responder.rules.ruleset import Ruleset
from responder.service.driver.clock_watch import Rewinding
from responder.service.driver.quarantine import Stumbling
from responder.service.driver.sweeper import Runner
from responder.service.driver.unmatched import Idle
from responder.stop.batches import Judged, Slice
from responder.stop.call import Called
from responder.stop.evidence import Proofs
from responder.stop.executor import Executor, Taken, is_fresh
from responder.stop.expiry import Lapses
from responder.stop.gate import Gate, StaleError
from responder.stop.rearm_release import Freeing
from responder.stop.verifier import Looking, Settling
from responder.stop.would_kill_check import Watching
from responder.store.group_commit import StoreUnavailable
from responder.store.leases import LeaseLost

COMMITS_WITHIN = timedelta(seconds=3)  # mostly: so much younger are the facts at the gate

log = structlog.get_logger()


class Rounds:
    """The rounds of one portal's driver, under one lease."""

    def __init__(self, context: Context, gate: Gate, runner: Runner) -> None:
        self._context = context
        self._gate = gate
        self.runner = runner
        self._patience = Patience(context.portal)
        self._stumbling = Stumbling(context, gate, self._patience)
        self._proofs = Proofs(context)
        self._intake = Intake(context, self._patience)
        self._idle = Idle(context, gate, self._intake)
        self._readings = Readings(context)
        self._executor = Executor(context, gate, self._readings)
        self._looking = Looking(context, gate, self._readings)
        self._work: _Work | None = None
        self._upkeep = (Rewinding(context, gate), Freeing(context, gate), Lapses(context, gate))
        self._watching = Watching(context, gate)

    async def load(self) -> None:
        """Go on where the last driver was: its bucket and its open breakers."""
        await self._gate.load_client()

    async def round(self) -> bool:
        """Do what is due, or the next slice of what was judged. Return False when nothing was."""
        await self._context.client.probe()
        done = False
        for upkeep in self._upkeep:  # that needs nothing of the portal
            done = done or await upkeep.step()
        if self._context.client.shut is not None:
            self._work = None
        else:
            judged = await self._judge_or_go_on()
            done |= judged or self._work is not None
            if self._work is None:  # however much there is to judge, a run goes on in between
                done |= await self.runner.step() or judged or await self._watching.step()
        self._context.client.away_since = self._patience.away_since
        if self._context.client.breakers_changed:  # and nothing else was committed since
            await self._gate.save_client()
        return done

    async def _judge_or_go_on(self) -> bool:
        """Do the next slice of what was judged; where nothing is left, judge what is due."""
        if self._work is not None:
            return await self._go_on(self._work)
        return await self._look_and_judge()

    @property
    def is_amid_work(self) -> bool:
        """Say whether something was judged that is not written yet."""
        return self._work is not None

    def idle_seconds(self, at_most: float) -> float:
        """Say how long to wait when nothing is due: until the first document has rested."""
        wait = self._patience.until_the_first(self._context.now(), at_most)
        return max(wait, min(self._readings.gathers_for(), at_most))

    async def _look_and_judge(self) -> bool:
        """Look for what is due, and judge what is due."""
        if self._readings.gathers_for() or self._patience.leaves_alone(self._context.now()):
            return False
        ruleset = self._context.rules.ruleset
        due = await self._intake.due()
        asked, idle = jobs.split(due.subjects, ruleset)
        if idle:
            await self._idle.conclude(idle, ruleset)
        if due.more and not asked:
            await self._idle.conclude_unnamed(ruleset)
        way = self._way(asked, more=due.more)
        if way.documents > self._context.few and due.more:
            asked, _ = jobs.split(await self._intake.much(way.documents), ruleset)
        refs = list(dict.fromkeys(subject.ref for subject in asked))
        first = self._patience.together(refs, most=way.documents, few=self._context.few)
        by_pages = way.by_pages and len(first) > self._context.few
        looked = await self._looking.look(wait_for_list=by_pages)
        taken = set(first)
        chosen = [subject for subject in asked if subject.ref in taken]
        judged = bool(chosen) and await self._judge_guarded(chosen, ruleset, by_pages=by_pages)
        return judged or looked or (bool(idle) and due.more)

    def _way(self, asked: Sequence[Subject], *, more: bool) -> Way:
        if self._patience.is_away:
            return self._readings.way(self._context.few)  # enough to see whether it is back
        documents = len({subject.ref for subject in asked})
        return self._readings.way(MOST if more and documents > self._context.few else documents)

    async def _judge_guarded(
        self, chosen: Sequence[Subject], ruleset: Ruleset, *, by_pages: bool
    ) -> bool:
        """Judge; if that fails by a fault of ours, find the document that makes it fail."""
        try:
            return await self._judge(chosen, ruleset, by_pages=by_pages)
        except (LeaseLost, StoreUnavailable):
            raise
        except Exception as error:  # noqa: BLE001 -- it is said, and tried again
            return await self._stumbling.over(chosen, ruleset, error)

    async def _judge(self, chosen: Sequence[Subject], ruleset: Ruleset, *, by_pages: bool) -> bool:
        """Read what the rules ask for, judge it, and begin to act on it."""
        read_at = self._context.now()
        asks = jobs.asks(chosen, ruleset)
        found = await self._readings.read(list(asks.values()), by_pages=by_pages)
        if found is None:
            return True
        await self._see_whether_away(found.readings)
        if found.failure is not None and self._is_spoilt(found.failure):
            self._readings.spoil(found.failure)
            return True
        readings = dict(zip(asks, found.readings, strict=True))
        now = self._context.now()
        among_many = len(asks) > self._context.few
        deferred = {
            ref
            for ref, reading in readings.items()
            if self._patience.defers(ref, reading, now, among_many=among_many)
        }
        if deferred and among_many:
            log.warning(
                "the portal could not be read; documents wait",
                portal=self._context.portal,
                documents=len(deferred),
            )
        ready = [s for s in chosen if s.stop is not None or s.ref not in deferred]
        if not ready:
            return False
        known = await self._known(readings, ruleset)
        kept = await self._looking.of_others(jobs.kept_beside(ready), readings.values(), found.rows)
        grounds = Grounds(ruleset=ruleset, readings=readings, known=known, running=kept)
        plans, rejudged = await judgement.judge_all(self._context, ready, grounds)
        await self._proofs.gather(plans, rejudged)
        self._work = _Work(
            left=Judged(plans, rejudged, order=asks, capacity=self._context.client.capacity),
            settling=None if found.rows is None else self._looking.settling(found.rows, read_at),
            ruleset=ruleset,
            read_at=read_at,
            shut=self._shut(),
        )
        return await self._go_on(self._work)

    def _is_spoilt(self, failure: Failure) -> bool:
        """Say whether it is the list of all that runs that cannot be read, and not the portal."""
        passing = failure.kind in LOST and failure.code not in LIMIT_CODES
        return passing and not self._patience.is_away

    async def _go_on(self, work: "_Work") -> bool:
        """Write and call the next slice, then something of what the list of all that runs tells.

        What is left when facts grew too old, or something else changed, is judged afresh: nothing
        of it is written.
        """
        self._work = None
        piece = work.left.cut() if work.left else None
        try:
            if piece is not None and not await self._pass(work, piece):
                return True
        except (LeaseLost, StoreUnavailable):
            raise
        except Exception as error:  # noqa: BLE001 -- it is said, and tried again
            judged = [] if piece is None else piece.subjects
            return await self._stumbling.over(judged, work.ruleset, error)
        settled = work.settling is not None and await work.settling.step()
        if work.left or settled:
            self._work = work
        return piece is not None or settled

    async def _pass(self, work: "_Work", piece: Slice) -> bool:
        """Pass the gate and call. Return False where the rest must be judged afresh."""
        plans, rejudged, proofs = await self._proofs.prove(piece.plans, piece.rejudged)
        began_at = self._context.now()
        if not is_fresh(work.read_at, began_at + COMMITS_WITHIN):
            self._readings.was_too_slow()
            if work.begun:
                return False
            plans, rejudged = recheck.too_old(plans, rejudged, began_at)
        if work.begun and self._shut() != work.shut:
            return False
        try:
            called = await self._gate.pass_through(
                plans,
                rejudged,
                proofs,
                work.ruleset,
                most_calls=piece.most_calls,
            )
        except StaleError as stale:
            log.info("judged afresh", portal=self._context.portal, why=str(stale))
            return False
        work.begun = True
        now = self._context.now()
        for plan in plans:
            self._patience.judged(plan.subject.ref, now)
        await self._executor.record(await self._send(called, work.read_at))
        if called:
            self._readings.took((self._context.now() - began_at).total_seconds())
        return True

    async def _send(self, called: Sequence[Called], read_at: datetime) -> list[Taken]:
        """Make the calls whose intents are committed."""
        return await self._executor.send(called, read_at)

    def _shut(self) -> dict[str, str]:
        """Return the methods that stop workflows and are not called now, and why."""
        return {
            name: why for name, why in self._context.client.withheld().items() if name in STOPPING
        }

    async def _see_whether_away(self, answers: Sequence[Reading]) -> None:
        """Ask who we are where something could not be read, to see if it is the portal itself."""
        failures = [answer.failure for answer in answers if answer.failure is not None]
        lost = [one for one in failures if one.kind in LOST and one.code not in LIMIT_CODES]
        if not lost:
            if any(answer.failure is None for answer in answers):
                self._patience.answered()
            return
        (answer,) = await self._context.client.send([Command("profile", {})])
        if answer.failure is not None and answer.failure.kind in LOST:
            self._patience.went_away(self._context.now())
        else:
            self._patience.answered()

    async def _known(self, readings: Mapping[str, Reading], ruleset: Ruleset) -> Known:
        """Read what the journal holds on the workflows at hand."""
        ids = [
            workflow.id
            for reading in readings.values()
            if not isinstance(reading.workflows, Unknown)
            for workflow in reading.workflows
        ]
        known = await judgement.known_of(self._context, ids, ruleset.revision)
        return replace(known, shut=self._context.client.withheld(), away=self._patience.is_away)


@dataclass(slots=True, kw_only=True)
class _Work:
    """What a round judged and goes on with, slice by slice, and what it rests on."""

    left: Judged
    settling: Settling | None
    ruleset: Ruleset
    read_at: datetime
    shut: Mapping[str, str]
    begun: bool = False

"""Isolates documents whose judging raises an unforeseen exception, and concludes them at last.

Theory of operation. Where many documents were judged in one round, one of them may be what fails,
so they are judged in smaller batches, and at last alone. A document that fails alone is tried again
after the same waits as one that cannot be read, and then concluded: its deliveries as unreadable,
its second looks as done, its stops as given up. The log says that the fault is ours. Tries of stops
are in the journal; those of a document need not outlive the process, because its deliveries wait.
"""

from collections.abc import Sequence

import structlog

from responder.bitrix24.fetch.document_facts import Reading
from responder.judge import planner
from responder.judge.backoff import REST, Backoff
from responder.judge.context import Context
from responder.judge.jobs import Job
from responder.judge.plans import Plan
from responder.judge.recheck.recheck import Recheck, progress_of
from responder.judge.stop_lifecycle import REFUSED_AGAIN, TRIES, Seen, step
from responder.model import Outcome, Reason, Unknown
from responder.rules.ruleset import Ruleset
from responder.stop.gate import Gate
from responder.stop.intents import StaleError
from responder.store.database.engines import StoreUnavailable
from responder.store.leases import LeaseLost

log = structlog.get_logger()


class Quarantine:
    """The isolation of one portal's documents for which a round raised an exception."""

    def __init__(self, context: Context, gate: Gate, backoff: Backoff) -> None:
        self._context = context
        self._gate = gate
        self._backoff = backoff

    async def isolate(self, chosen: Sequence[Job], ruleset: Ruleset, error: Exception) -> bool:
        """Separate the jobs whose judging failed. Return True if others may be judged at once."""
        refs = sorted({job.ref for job in chosen})
        log.error(
            "documents could not be judged",
            portal=self._context.portal,
            documents=refs[:20],
            exc_info=error,
        )
        if len(refs) != 1:
            for ref in refs:
                many = len(refs) > self._context.few
                self._backoff.suspect(ref, self._context.now(), REST, among_many=many)
            return bool(refs)
        return await self._handle_single(refs[0], chosen, ruleset, error)

    async def _handle_single(
        self, ref: str, chosen: Sequence[Job], ruleset: Ruleset, error: Exception
    ) -> bool:
        tries = self._backoff.count_fault(ref, self._context.now())
        why = f"it could not be judged because of a fault of ours ({type(error).__name__})"
        try:
            await self._write(chosen, ruleset, why, give_up=tries >= TRIES)
            return True
        except (LeaseLost, StoreUnavailable):
            raise
        except StaleError as stale:
            log.info("judged afresh", portal=self._context.portal, why=str(stale))
        except Exception:
            log.exception("a fault of ours could not be written down", portal=self._context.portal)
            self._backoff.suspect(ref, self._context.now(), REFUSED_AGAIN, among_many=False)
        return False

    async def _write(
        self, chosen: Sequence[Job], ruleset: Ruleset, why: str, *, give_up: bool
    ) -> None:
        """Count a try of each waiting stop; `give_up` concludes the other jobs."""
        stops = [again for one in chosen if (again := self._retry_stop(one, why)) is not None]
        detail = f"{why}, {TRIES} times"
        plans = [
            Plan(job=one, facts={}, planned=(planner.nothing_condemned(Reason.UNREADABLE, detail),))
            for one in chosen
            if give_up and one.stop is None
        ]
        if stops or plans:
            await self._gate.pass_through(plans, stops, {}, ruleset)

    def _retry_stop(self, job: Job, why: str) -> Recheck | None:
        if job.stop is None:
            return None
        progress = progress_of(job.stop)
        new_step = step(Outcome.WAITING, Seen.UNREADABLE, progress, self._context.now(), why)
        unread = job.situation(Reading({}, Unknown(why), None))
        return Recheck(stop=job.stop, step=new_step, situation=unread)

"""Commits decisions before they are carried out: the gate, one transaction before every call.

The gate locks the head of the portal's chain, so the order of entries is the order in which things
happened: no intent is written after the entry of a pause. It checks that this process still drives
the portal, that the rules are those that judged, that nothing is paused or tripped, and that no
limit would be passed; the limiter checks all sets before anything is written. Then `intents` writes
evaluations, intents with their evidence, and the conclusion of deliveries. Without this commit
there is no call.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from responder.bitrix24.client.client import Handover
from responder.bitrix24.fetch.open_tasks import Evidence, Missing
from responder.journal import chain
from responder.journal import record as journal
from responder.judge.context import Context
from responder.judge.plans import Hold, Holds, Plan, RunSets
from responder.judge.recheck.recheck import Recheck
from responder.model import OPEN_OUTCOMES, Breaker
from responder.rules.ruleset import Ruleset
from responder.stop.call import StopCall
from responder.stop.intents import IntentWriter, StaleError, still_valid
from responder.stop.limiter import Limiter
from responder.store import client_state, leases, rulesets
from responder.store.database.database import Connection
from responder.store.database.engines import StoreUnavailable
from responder.store.group_commit import SharedCommit
from responder.store.leases import Lease

T = TypeVar("T")
Kept = tuple[tuple[float, float] | None, list[Breaker]]

CALLS = 50
STUMBLES = (0.2, 0.5, 1.0, 2.0)


class Gate:
    """The writer of one portal, under one lease; `has_time` returns whether that has time left."""

    def __init__(
        self,
        context: Context,
        lease: Lease,
        commits: SharedCommit,
        has_time: Callable[[Lease], bool],
    ) -> None:
        self.portal = context.portal
        self._context = context
        self._lease = lease
        self._commits = commits
        self._has_time = has_time
        context.client.keep = self.save_client

    @property
    def has_time(self) -> bool:
        """Return whether the lease lasts long enough for a call to be made under it."""
        return self._has_time(self._lease)

    def why_not_sent(self) -> str | None:
        """Return why nothing may be sent under the lease at this moment, None where it may."""
        return None if self.has_time else "not called: the lease had no time left"

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Commit `work`, if this process still drives the portal."""

        def guarded(tx: Connection) -> tuple[T, Handover]:
            self._guard(tx)
            handover = self._context.client.handover()
            client_state.save_bucket(tx, self.portal, handover.level)
            if handover.breakers is not None:
                client_state.save_breakers(tx, self.portal, handover.breakers)
            with chain.gathered(tx):
                return work(tx), handover

        done, handover = await self._commits.write(guarded)
        self._context.client.saved(handover)
        return done

    async def load_client(self) -> None:
        """Read the last driver's bucket and breakers, and let the client continue with them."""

        def read(conn: Connection, portal: str) -> Kept:
            return client_state.bucket(conn, portal), client_state.breakers(conn, portal)

        self._context.client.resume(*await self._context.read(read))

    async def save_client(self) -> None:
        """Commit bucket and breakers by themselves, where no other commit includes them."""
        await self.write(lambda _tx: None)

    async def insist(self, work: Callable[[Connection], None]) -> None:
        """Commit outcomes, with retries if the store fails; after the last, `verifier` finds them.

        A failed commit may have been durable all the same. If a retry then finds the decisions
        concluded, it was.
        """
        failure: StoreUnavailable | None = None
        for seconds in (0.0, *STUMBLES):
            await asyncio.sleep(seconds)
            try:
                return await self.write(work)
            except StoreUnavailable as error:
                failure = error
            except journal.NotOpen:
                if failure is None:
                    raise
                return None
        assert failure is not None
        raise failure

    async def pass_through(
        self,
        plans: Sequence[Plan],
        rechecks: Sequence[Recheck],
        evidence: Mapping[str, Evidence | Missing],
        ruleset: Ruleset,
        *,
        most_calls: int = CALLS,
        holds: Holds | None = None,
    ) -> list[StopCall]:
        """Commit evaluations and intents together; return the calls that may now be made.

        Calls beyond `most_calls` wait for the next round. `holds` are those of a run whose plans
        these are: the limiter checked the run's sets as a whole (`begin_run`). Raise StaleError
        when the rules have changed, or when what held the run was resumed or rearmed since;
        LeaseLost when another process drives the portal, StoreUnavailable when nothing could be
        committed.
        """
        now = self._context.now()

        def work(tx: Connection) -> list[StopCall]:
            limiter = self._limiter(tx, ruleset, now)
            if holds is not None and limiter.has_released(holds):
                raise StaleError("what held the run was let go")
            rulesets.keep(tx, ruleset.revision, ruleset.text, now)
            valid = still_valid(tx, self.portal, rechecks)
            self._check_acts(plans, valid)
            new = (
                limiter.hold_plans(plans)
                if holds is None
                else [limiter.of_run(plan, holds) for plan in plans]
            )
            held = limiter.hold_all(valid)
            writer = IntentWriter(tx, self.portal, ruleset, evidence, now, most_calls)
            writer.evaluated(plans, new)
            writer.rechecked(valid, held)
            return writer.intend()

        calls = await self.write(work)
        self._count(plans)
        return calls

    async def begin_run(self, sets: RunSets, ruleset: Ruleset) -> dict[str, Hold | str]:
        """Check for each rule whether all that it condemned in a run may be begun.

        Return by rule why not, or, where the rule only observes, what would have held it. Raise the
        errors of `pass_through`.
        """
        now = self._context.now()
        return await self.write(lambda tx: self._limiter(tx, ruleset, now).hold_run(sets))

    def _check_acts(self, plans: Sequence[Plan], rechecks: Sequence[Recheck]) -> None:
        """Raise StaleError where a call is planned on a portal that is observed by now."""
        calls = any(plan.calls for plan in plans) or any(one.step.call for one in rechecks)
        if calls and not self._context.acts:
            raise StaleError(self._context.why_observed or "the installation observes")

    def _limiter(self, tx: Connection, ruleset: Ruleset, now: datetime) -> Limiter:
        chain.lock(tx, self.portal)
        if self._context.rules.ruleset.revision != ruleset.revision:
            raise StaleError("the rules have changed")
        return Limiter(tx, self.portal, ruleset, self._context.metrics, now)

    def _count(self, plans: Sequence[Plan]) -> None:
        """Count the decisions that are final as soon as they are made."""
        now = self._context.now()
        for plan in plans:
            received_at = plan.job.received_at
            after = None if received_at is None else now - received_at
            for decision in (planned.decision for planned in plan.planned):
                if decision.outcome not in OPEN_OUTCOMES:
                    outcome = "none" if decision.outcome is None else decision.outcome.value
                    self._context.metrics.decided(
                        decision.action.value, outcome, decision.rule, after
                    )

    def _guard(self, tx: Connection) -> None:
        leases.check(tx, self._lease)

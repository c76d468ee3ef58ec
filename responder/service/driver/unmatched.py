"""Concludes deliveries that no rule names: without a call, and many in one evaluation.

Most deliveries of a portal may be of this kind. A round separates matched from unmatched ones one
by one. If the 2,000 oldest match no rule, they are concluded by one statement.
"""

from collections.abc import Sequence

import structlog

from responder.judge import planner
from responder.judge.context import Context
from responder.judge.event_queue import EventQueue
from responder.judge.jobs import Job
from responder.judge.plans import Plan
from responder.rules.ruleset import Ruleset
from responder.stop.gate import Gate
from responder.stop.intents import StaleError

MOST_UNNAMED = 10  # portions of what no rule names, concluded in one round

log = structlog.get_logger()


class UnmatchedEvents:
    """The deliveries of one portal that no rule names."""

    def __init__(self, context: Context, gate: Gate, queue: EventQueue) -> None:
        self._portal = context.portal
        self._gate = gate
        self._queue = queue

    async def conclude(self, unmatched: Sequence[Job], ruleset: Ruleset) -> None:
        """Conclude jobs that no rule names in one evaluation, those without a document singly."""
        await self._pass(planner.without_rules(self._portal, unmatched), ruleset)

    async def conclude_unnamed(self, ruleset: Ruleset) -> bool:
        """Conclude the oldest events, 2,000 at a time, while no rule names any of them.

        Return whether other deliveries may wait.
        """
        for _ in range(MOST_UNNAMED):
            job, more = await self._queue.unnamed(ruleset)
            if job is None or not await self._pass([planner.unnamed(job)], ruleset):
                return more or job is not None
            if not more:
                return False
        return True

    async def _pass(self, plans: Sequence[Plan], ruleset: Ruleset) -> bool:
        """Write these plans, unless other rules have come into force, which may name the events."""
        try:
            await self._gate.pass_through(plans, [], {}, ruleset, most_calls=0)
        except StaleError as stale:
            log.info("judged afresh", portal=self._portal, why=str(stale))
            return False
        return True

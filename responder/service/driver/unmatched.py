"""Concludes what no rule is asked about: it costs no call, and is written all together.

Most of what a portal sends may be of this kind. What is due in a round is told apart there; where
much waits and none of it is named by a rule, it is concluded without a look at each.
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
    """What no rule is asked about, in one portal."""

    def __init__(self, context: Context, gate: Gate, queue: EventQueue) -> None:
        self._portal = context.portal
        self._gate = gate
        self._queue = queue

    async def conclude(self, unmatched: Sequence[Job], ruleset: Ruleset) -> None:
        """Conclude what no rule names, all as one, and what concerns no document, one by one."""
        await self._pass(planner.without_rules(self._portal, unmatched), ruleset)

    async def conclude_unnamed(self, ruleset: Ruleset) -> None:
        """Conclude events that no rule names, thousands at a time, while no other is among them."""
        for _ in range(MOST_UNNAMED):
            job = await self._queue.unnamed(ruleset)
            if job is None or not await self._pass([planner.unnamed(job)], ruleset):
                return

    async def _pass(self, plans: Sequence[Plan], ruleset: Ruleset) -> bool:
        """Write this, unless other rules have come into force: these may be asked about it."""
        try:
            await self._gate.pass_through(plans, [], {}, ruleset, most_calls=0)
        except StaleError as stale:
            log.info("judged afresh", portal=self._portal, why=str(stale))
            return False
        return True

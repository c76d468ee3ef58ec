"""Concludes what no rule is asked about: it costs no call, and is written all together.

Most of what a portal sends may be of this kind. What is due in a round is told apart there; where
much waits and none of it is named by a rule, it is concluded without a look at each.
"""

from collections.abc import Sequence

import structlog

from responder.journal import record as journal
from responder.judge import planner
from responder.judge.context import Context
from responder.judge.jobs import Subject
from responder.judge.plans import Plan
from responder.judge.queue import Intake
from responder.rules.ruleset import Ruleset
from responder.stop.gate import Gate, StaleError
from responder.stop.outcome_log import Telling
from responder.store import rulesets
from responder.store.database.database import Connection
from responder.store.inbox import second_looks
from responder.store.inbox.second_looks import Look

MOST_UNNAMED = 10  # portions of what no rule names, concluded in one round

log = structlog.get_logger()


class Idle:
    """What no rule is asked about, in one portal."""

    def __init__(self, context: Context, gate: Gate, intake: Intake, telling: Telling) -> None:
        self._context = context
        self._gate = gate
        self._intake = intake
        self._telling = telling

    async def conclude(self, idle: Sequence[Subject], ruleset: Ruleset) -> None:
        """Conclude what no rule names, all as one, and what concerns no document, one by one."""
        done = [subject.look for subject in idle if subject.look is not None]
        await self._write(planner.without_rules(self._context.portal, idle), done, ruleset)

    async def conclude_unnamed(self, ruleset: Ruleset) -> None:
        """Conclude events that no rule names, thousands at a time, while no other is among them."""
        for _ in range(MOST_UNNAMED):
            subject = await self._intake.unnamed(ruleset)
            if subject is None or not await self._write([planner.unnamed(subject)], (), ruleset):
                return

    async def _write(self, plans: Sequence[Plan], looked: Sequence[Look], ruleset: Ruleset) -> bool:
        """Write this, unless other rules have come into force: these may be asked about it."""
        now = self._context.now()

        def write(tx: Connection) -> None:
            if self._context.rules.ruleset.revision != ruleset.revision:
                raise StaleError("other rules are in force")
            rulesets.keep(tx, ruleset.revision, ruleset.text, now)
            for plan in plans:
                journal.record(tx, plan.evaluation(ruleset, now))
            for look in looked:
                second_looks.done(tx, look)

        try:
            await self._gate.write(write)
        except StaleError as stale:
            log.info("judged afresh", portal=self._context.portal, why=str(stale))
            return False
        self._telling.decided(plans, now)
        return True

"""Counts what was decided and done, and says it in the log."""

from collections.abc import Sequence
from datetime import datetime

import structlog

from responder.journal.record import Stop
from responder.judge.context import Context
from responder.judge.lifecycle import Step
from responder.judge.plans import Plan
from responder.model import OPEN_OUTCOMES
from responder.stop.call import Called

log = structlog.get_logger()


class Telling:
    """What one portal's rounds tell."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def decided(self, plans: Sequence[Plan], now: datetime) -> None:
        """Count the decisions that are final as soon as they are made."""
        for plan in plans:
            for planned in plan.planned:
                decision = planned.decision
                if decision.outcome not in OPEN_OUTCOMES:
                    said = "none" if decision.outcome is None else decision.outcome.value
                    self._context.metrics.decided(decision.action.value, said, decision.rule)
                    self._took(plan.subject.received_at, now)

    def went_on(self, stop: Stop | Called, taken: Step, received_at: datetime | None) -> None:
        """Count what came of a stop, and say it."""
        if taken.outcome not in OPEN_OUTCOMES:
            self._context.metrics.decided(stop.action.value, taken.outcome.value, stop.rule)
            self._took(received_at, self._context.now())
        log.info(
            "a stop went on",
            outcome=taken.outcome.value,
            portal=self._context.portal,
            workflow=stop.workflow_id,
            rule=stop.rule,
            decision=stop.decision_id,
            receipt=taken.receipt,
            detail=taken.detail,
        )

    def _took(self, received_at: datetime | None, now: datetime) -> None:
        if received_at is not None:
            self._context.metrics.event_to_outcome.observe((now - received_at).total_seconds())

"""Counts what was decided and done, and says it in the log."""

from datetime import datetime

import structlog

from responder.journal.record import Stop
from responder.judge.context import Context
from responder.judge.lifecycle import Step
from responder.model import OPEN_OUTCOMES
from responder.stop.call import Called

log = structlog.get_logger()


class Telling:
    """What one portal's rounds tell."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def went_on(self, stop: Stop | Called, taken: Step, received_at: datetime | None) -> None:
        """Count what came of a stop, and say it."""
        if taken.outcome not in OPEN_OUTCOMES:
            after = None if received_at is None else self._context.now() - received_at
            self._context.metrics.decided(stop.action.value, taken.outcome.value, stop.rule, after)
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

"""Counts what was decided and done, and says it in the log."""

from collections.abc import Sequence
from datetime import datetime

import structlog

from responder.journal.open_stops import Stop
from responder.judge.calls import Called
from responder.judge.context import Means
from responder.judge.lifecycle import Step
from responder.judge.plans import Plan
from responder.model import OPEN_OUTCOMES

log = structlog.get_logger()


class Telling:
    """What one portal's rounds tell."""

    def __init__(self, means: Means) -> None:
        self.portal = means.portal
        self._metrics = means.metrics
        self._now = means.now

    def decided(self, plans: Sequence[Plan], now: datetime) -> None:
        """Count the decisions that are final as soon as they are made."""
        for plan in plans:
            for planned in plan.planned:
                decision = planned.decision
                if decision.outcome not in OPEN_OUTCOMES:
                    said = "none" if decision.outcome is None else decision.outcome.value
                    self._metrics.decided(decision.action.value, said, decision.rule)
                    self._took(plan.subject.received_at, now)

    def went_on(self, stop: Stop | Called, taken: Step, received_at: datetime | None) -> None:
        """Count what came of a stop, and say it."""
        if taken.outcome not in OPEN_OUTCOMES:
            self._metrics.decided(stop.action.value, taken.outcome.value, stop.rule)
            self._took(received_at, self._now())
        log.info(
            "a stop went on",
            outcome=taken.outcome.value,
            portal=self.portal,
            workflow=stop.workflow_id,
            rule=stop.rule,
            decision=stop.decision_id,
            receipt=taken.receipt,
            detail=taken.detail,
        )

    def _took(self, received_at: datetime | None, now: datetime) -> None:
        if received_at is not None:
            self._metrics.event_to_outcome.observe((now - received_at).total_seconds())

"""Makes the calls whose intents are committed, and records the outcome of each.

Between the gate's commit and the request nothing waits: the bucket's turn was awaited before. Right
before each request lease and time are checked once more, because another process may drive the
portal by now and have decided otherwise, and no fence reaches as far as the portal. A call that is
not sent, or rests on facts that are too old, is judged afresh. Outcomes of calls that were sent are
committed even if the store fails for some seconds (`Gate.insist`). Where the outcome is unknown,
`verifier` searches for the workflow.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog

from responder.bitrix24.lists.paged import REMEMBERED_FOR
from responder.journal.open_stops import Stop
from responder.judge.context import Context
from responder.judge.fact_reader import FactReader
from responder.judge.stop_lifecycle import CALL_WITHIN, FACTS_STALE_AFTER, Step
from responder.model import OPEN_OUTCOMES
from responder.stop.call import StopCall
from responder.stop.gate import Gate
from responder.stop.intents import record_steps
from responder.store.database.database import Connection

log = structlog.get_logger()

CallStep = tuple[StopCall, Step]
"""A call, and the next step of its stop."""


def is_fresh(read_at: datetime, now: datetime) -> bool:
    """Return whether a call may rest on facts that were read then.

    Templates, users and stages among them may have been read some seconds earlier, and be older.
    """
    return timedelta(0) <= now - read_at <= FACTS_STALE_AFTER - REMEMBERED_FOR


class Executor:
    """The caller of one portal, under one lease; `reader` is informed when facts grew too old."""

    def __init__(self, context: Context, gate: Gate, reader: FactReader) -> None:
        self._context = context
        self._gate = gate
        self._reader = reader

    async def send(self, calls: Sequence[StopCall], read_at: datetime) -> list[CallStep]:
        """Make the calls, unless their facts are too old by now; return the step after each."""
        if not calls:
            return []
        now = self._context.now()
        if not is_fresh(read_at, now):
            self._reader.was_too_slow()
            return [(call, call.too_late(now)) for call in calls]
        unless = partial(self._why_not_called, max(call.intended_at for call in calls))
        commands = [call.command for call in calls]
        answers = await self._context.client.send(commands, unless=unless)
        now = self._context.now()
        return [
            (call, call.after(answer, now)) for call, answer in zip(calls, answers, strict=True)
        ]

    async def record(self, steps: Sequence[CallStep]) -> None:
        """Commit the outcomes of the calls, then count and log them."""
        if not steps:
            return
        now = self._context.now()

        def write(tx: Connection) -> None:
            some = [(call.decision_id, new_step) for call, new_step in steps]
            record_steps(tx, self._context.portal, some, now)

        await self._gate.insist(write)
        for call, new_step in steps:
            report(self._context, call, new_step, call.received_at)

    def _why_not_called(self, intended_at: datetime) -> str | None:
        """Return why nothing may be sent at this moment, None where it may."""
        why = self._gate.why_not_sent()
        if why is None and not timedelta(0) <= self._context.now() - intended_at <= CALL_WITHIN:
            why = "not called: the process was stopped after its intent"
        return why


def report(
    context: Context, stop: Stop | StopCall, new_step: Step, received_at: datetime | None = None
) -> None:
    """Log the step of a stop, and count it if it concludes the stop."""
    if new_step.outcome not in OPEN_OUTCOMES:
        after = None if received_at is None else context.now() - received_at
        context.metrics.decided(stop.action.value, new_step.outcome.value, stop.rule, after)
    log.info(
        "a stop went on",
        outcome=new_step.outcome.value,
        portal=context.portal,
        workflow=stop.workflow_id,
        rule=stop.rule,
        decision=stop.decision_id,
        receipt=new_step.receipt,
        detail=new_step.detail,
    )

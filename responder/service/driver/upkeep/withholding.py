"""Asks a portal the questions whose difference could lead to a wrong kill or a false log entry.

They are asked when this process begins to drive the portal, before anything is judged, every hour
after that, and when the portal is called in another way. A portal that answers one otherwise is
observed, not acted upon, until it answers as expected (`Context.acts`). What could not be asked
withholds nothing, and takes nothing back: what is stored of the same host holds until then, with
whatever webhook or installed application the portal is called.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from responder.bitrix24.client.answers import Command
from responder.bitrix24.probe.interview import Interview, interview
from responder.bitrix24.probe.question import Reply, Result
from responder.bitrix24.probe.questions.question_table import CRUCIAL
from responder.judge.context import Context
from responder.stop.gate import Gate
from responder.store import client_state
from responder.store.database.engines import StoreUnavailable
from responder.store.leases import LeaseLost

ASKED_EVERY = timedelta(hours=1)
AGAIN_AFTER = timedelta(minutes=10)  # where a call failed

_CRUCIAL = frozenset(question.id for question in CRUCIAL)

log = structlog.get_logger()


class Withholding:
    """The questions to one portal, under one lease."""

    def __init__(self, context: Context, gate: Gate) -> None:
        self._context = context
        self._gate = gate
        self._due_at: datetime | None = None
        self._asked_at_address: str | None = None
        self._stored: Mapping[str, str] | None = {}  # None: of another host

    async def load(self) -> None:
        """Continue with what the last driver found."""
        client, context = self._context.client, self._context
        of_any = (await context.database.reading(client_state.withheld)).get(context.portal, {})
        found = await context.read(client_state.withheld_of, client.host)
        self._stored = found if found == of_any else None
        # An older version may have asked what this one does not: nothing would take it back.
        client.withheld = {name: came for name, came in found.items() if name in _CRUCIAL}

    async def step(self) -> bool:
        """Ask, if it is time. Return whether the portal is acted upon otherwise than before."""
        context, now = self._context, self._context.now()
        if not self._is_due(now) or context.client.breakers.of_portal is not None:
            return False
        self._asked_at_address = context.client.breakers.address
        try:
            found = await interview(self._ask, CRUCIAL, now)
        except (LeaseLost, StoreUnavailable):
            raise
        except Exception:
            # A fault of ours must not keep the driver from its work.
            log.exception("the portal could not be asked", portal=context.portal)
            self._due_at = now + AGAIN_AFTER
            return False
        context.client.asked_at = now
        failed = any(one.failed for one in found.findings)
        self._due_at = now + (AGAIN_AFTER if failed else ASKED_EVERY)
        return await self._take_up(found)

    def _is_due(self, now: datetime) -> bool:
        is_called_otherwise = self._context.client.breakers.address != self._asked_at_address
        if self._due_at is None or is_called_otherwise:
            return True
        set_back = self._due_at - now > ASKED_EVERY  # our clock was: nothing is due so late
        return (now >= self._due_at or set_back) and self._context.client.has_room()

    async def _ask(self, commands: Sequence[Command]) -> list[Reply]:
        # What the portal refuses here, perhaps for want of a scope, may be needed by no rule.
        # How often it is asked, the interview counts.
        answers = await self._context.client.send(commands, opens_methods=False, halves=False)
        return [Reply(answer) for answer in answers]

    async def _take_up(self, found: Interview) -> bool:
        """Withhold acting, or allow it again. Return whether that is new."""
        client, now = self._context.client, self._context.now()
        answered = {one.question.id for one in found.of(Result.AS_EXPECTED)}
        kept = {name: came for name, came in client.withheld.items() if name not in answered}
        new = kept | {one.question.id: one.came for one in found.of(Result.DIFFERS)}
        was, client.withheld = client.withheld, new
        if new == self._stored:
            return False
        portal = self._context.portal
        await self._gate.write(
            lambda tx: client_state.save_withheld(tx, portal, new, client.host, now)
        )
        self._stored = new
        self._log_change(was)
        return bool(was) is not bool(new)

    def _log_change(self, was: Mapping[str, str]) -> None:
        portal, client = self._context.portal, self._context.client
        for question, came in client.withheld.items():
            if question not in was:
                log.warning(
                    "the portal answers otherwise than responder relies on; it is observed, not "
                    "acted upon",
                    portal=portal,
                    question=question,
                    came=came,
                )
        if was and not client.withheld:
            log.warning("the portal answers as expected; it is acted upon again", portal=portal)

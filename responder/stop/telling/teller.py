"""Sends what is to be told in the portal: the least urgent work of a driver, once and no more.

Theory of operation. A step sends some tellings in one request. Before it, in a transaction that
checks the lease, they are marked as being sent; after it, what the answers say is written. If the
answer is lost, or this process dies in between, the mark stays, and another step finds it once the
portal has certainly carried the request out or dropped it:

- a comment is searched for by the mark in its text, and sent again only if all comments of the
  document were read and it is not among them;
- a notification cannot be searched for, and is not sent again: it is in doubt for good.

A step is made when no stop, event or run is due, and the request bucket has room; its request has a
few seconds. After one that was not answered in time nothing is sent for a while, so that a portal
that hangs holds nothing up for long. No breaker is opened: no stop needs these methods.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog

from responder.bitrix24.client.answers import Answer
from responder.journal.telling import tellings
from responder.journal.telling.tellings import Kind, State, Telling
from responder.judge.context import Context, Interval
from responder.judge.stop_lifecycle import CALL_WITHIN, OVER_WITHIN
from responder.stop.gate import Gate
from responder.stop.telling import messages
from responder.stop.telling.messages import Heard
from responder.store.database.database import Connection

AT_ONCE = 8
LOOK_EVERY = timedelta(seconds=1)
ANSWER_SECONDS = 10.0
AGAIN_AFTER = tuple(timedelta(seconds=s) for s in (10, 60, 300, 1800, 7200, 21_600))
TOO_OLD = timedelta(days=1)
_OBSERVED = "the portal is only observed now"
FIRST_REST, LONGEST_REST = timedelta(minutes=1), timedelta(minutes=10)

log = structlog.get_logger()


class Teller:
    """The sender of one portal's tellings, under one lease."""

    def __init__(self, context: Context, gate: Gate) -> None:
        self._context = context
        self._gate = gate
        self._interval = Interval(LOOK_EVERY)
        self._rest = timedelta()
        self._rests_until: datetime | None = None

    async def step(self) -> bool:
        """Send, or search for, some of what is due. Return False where nothing was."""
        context, now = self._context, self._context.now()
        if not context.client.has_room() or self._rests(now) or not self._interval.is_over(now):
            return False
        due = await context.read(tellings.due, now, AT_ONCE)
        if not due:
            return False
        unclear = [one for one in due if one.state is State.SENDING]
        if unclear:
            await self._settle(unclear)
        elif left := await self._still_true(due, now):
            await self._send(left)
        self._interval.end()  # there may be more
        return True

    async def _still_true(self, due: Sequence[Telling], now: datetime) -> list[Telling]:
        """Drop what is too old, and warnings that come too late; return the others.

        While the portal is only observed, what was done before is not told of either, but put off.
        """
        left = []
        ended: list[tuple[Telling, State, str]] = []
        later: list[tuple[Telling, str]] = []
        for one in due:
            if one.kind is Kind.WARN and not one.waits:
                ended.append((one, State.DROPPED, "it was called, or concluded, before"))
            elif one.kind is Kind.WARN and not self._context.acts:
                ended.append((one, State.DROPPED, _OBSERVED))
            elif now - one.at > TOO_OLD:
                ended.append((one, State.FAILED, "it could not be sent within a day"))
            elif not self._context.acts:
                later.append((one, _OBSERVED))
            else:
                left.append(one)
        await self._write(ended, later)
        return left

    async def _send(self, due: Sequence[Telling]) -> None:
        began_at = self._context.now()
        look_at = began_at + OVER_WITHIN
        sent = await self._gate.write(lambda tx: tellings.begin(tx, due, began_at, look_at))
        if not sent:
            return
        answers = await self._context.client.send(
            [messages.command_of(one) for one in sent],
            unless=partial(self._why_not_sent, began_at),
            opens_methods=False,
            within_seconds=ANSWER_SECONDS,
        )
        ended: list[tuple[Telling, State, str]] = []
        later: list[tuple[Telling, str]] = []
        lost = False
        for one, answer in zip(sent, answers, strict=True):
            what, why = messages.heard(one, answer)
            lost |= what is Heard.UNCLEAR
            match what:
                case Heard.DONE:
                    ended.append((one, State.TOLD, why))
                case Heard.REFUSED:
                    ended.append((one, State.FAILED, why))
                case Heard.NOT_DONE:
                    later.append((one, why))
                case Heard.UNCLEAR if one.user is not None:
                    ended.append((one, State.IN_DOUBT, why))
                case Heard.UNCLEAR:
                    pass  # it stays as it is marked, and is searched for
        self._update_rest(answered=not lost)
        await self._write(ended, later)

    async def _settle(self, unclear: Sequence[Telling]) -> None:
        """Find out what became of tellings whose answer, or its record, was lost."""
        ended = [
            (one, State.IN_DOUBT, "its answer was lost, and it cannot be looked for")
            for one in unclear
            if one.user is not None
        ]
        await self._write(ended, [])
        comment = next((one for one in unclear if one.user is None), None)
        if comment is None:
            return
        answers = await self._context.client.send(
            messages.searches(comment),
            unless=self._gate.why_not_sent,
            opens_methods=False,
            within_seconds=ANSWER_SECONDS,
        )
        self._update_rest(answered=not any(map(_is_unclear, answers)))
        await self._record_search(comment, answers)

    async def _record_search(self, one: Telling, answers: Sequence[Answer]) -> None:
        number, now = messages.found(one, answers), self._context.now()
        failure = next((answer.failure for answer in answers if answer.failure is not None), None)
        if number is not None:
            why = f"comment {number}, found by its mark"
            await self._write([(one, State.TOLD, why)], [])
        elif messages.are_whole(answers):
            write = partial(_send_again, one=one, now=now)
            await self._gate.write(write)
        elif failure is not None and now - one.at <= TOO_OLD:
            again = now + _pause(one)
            why = f"it could not be looked for: {failure.code or failure.text}"
            await self._gate.write(
                lambda tx: tellings.postpone(tx, one, State.SENDING, again, why, counts=True)
            )
        else:
            why = "its answer was lost, and it could not be looked for"
            await self._write([(one, State.IN_DOUBT, why)], [])

    async def _write(
        self, ended: Sequence[tuple[Telling, State, str]], later: Sequence[tuple[Telling, str]]
    ) -> None:
        """Write what ended and what is tried again, then count and log it."""
        if not ended and not later:
            return
        now = self._context.now()

        def write(tx: Connection) -> None:
            for one, state, why in ended:
                tellings.end(tx, one, state, why, now)
            for one, why in later:
                tellings.postpone(tx, one, State.DUE, now + _pause(one), why, counts=True)

        await self._gate.write(write)
        for one, state, why in ended:
            self._report(one, state.value, why)
        for one, why in later:
            self._report(one, "later", why)

    def _report(self, one: Telling, result: str, why: str) -> None:
        """Count a telling and log it, without whom it is for."""
        way = "comment" if one.user is None else "notification"
        self._context.metrics.tellings.labels(way, result).inc()
        write = log.info if result in (State.TOLD, State.DROPPED) else log.warning
        write(
            "told in the portal" if result == State.TOLD else "not told in the portal",
            portal=self._context.portal,
            decision=one.decision_id,
            kind=one.kind.value,
            way=way,
            result=result,
            why=why,
        )

    def _why_not_sent(self, began_at: datetime) -> str | None:
        why = self._gate.why_not_sent()
        if why is None and not timedelta(0) <= self._context.now() - began_at <= CALL_WITHIN:
            why = "not sent: the process was stopped before"
        return why

    def _rests(self, now: datetime) -> bool:
        until = self._rests_until
        return until is not None and now < until <= now + LONGEST_REST

    def _update_rest(self, *, answered: bool) -> None:
        """Rest after a request that was not answered, longer each time."""
        self._rest = timedelta() if answered else max(FIRST_REST, self._rest * 2)
        self._rest = min(self._rest, LONGEST_REST)
        self._rests_until = None if answered else self._context.now() + self._rest


def _send_again(tx: Connection, one: Telling, now: datetime) -> None:
    """Write that a comment is not in the portal: it is sent once more."""
    tellings.postpone(
        tx, one, State.DUE, now, "its answer was lost, and it was not there", counts=True
    )


def _is_unclear(answer: Answer) -> bool:
    return answer.failure is not None and answer.failure.kind.value == "uncertain"


def _pause(one: Telling) -> timedelta:
    return AGAIN_AFTER[min(one.tries, len(AGAIN_AFTER) - 1)]

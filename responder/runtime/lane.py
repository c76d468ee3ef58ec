"""The one way to a portal: every call goes through here, in turn, batched, paced, behind breakers.

Theory of operation. A portal allows two requests a second with a bucket of fifty, and a `batch` of
fifty commands counts as one (docs: limits.md). So what a round has to ask goes out together, and a
lone command goes out alone, without the batch around it. Waiting for the bucket happens in `turn`,
which the driver awaits *before* it commits an intent: between the gate and the call nothing waits.

A *breaker* is open for the whole portal (its method is the empty text) or for one method. It lets
one call through a minute as a probe and closes when that succeeds. Breakers and bucket are copied
to the store with the driver's commits, so that the next driver goes on where this one was.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from responder.bitrix24 import pacing
from responder.bitrix24.portal import Answer, Command, Failure, FailureKind, Portal
from responder.runtime.metrics import Metrics

BATCH = 50
RESERVE = 0.8  # of the bucket, for what is not urgent
PROBE_EVERY = timedelta(seconds=60)
WHOLE_PORTAL = ""
STOPPING = ("bizproc.workflow.kill", "bizproc.workflow.terminate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """Why a portal (method `""`) or a method is not called, and when it is probed next."""

    method: str
    code: str
    opened_at: datetime
    probe_at: datetime


class Lane:
    """All calls of one portal. Not for concurrent use: its driver sends in turn."""

    def __init__(
        self,
        portal: Portal,
        *,
        rate: float,
        burst: int,
        metrics: Metrics,
        now: Callable[[], datetime],
    ) -> None:
        self.portal = portal
        self.rate = rate
        self.burst = burst
        self.bucket = pacing.Bucket(0.0, 0.0)
        self.breakers: dict[str, Breaker] = {}
        self.breakers_changed = False
        self.silent = False  # its webhook says nothing while documents change
        self._metrics = metrics
        self._now = now

    def resume(self, bucket: tuple[float, float] | None, breakers: Sequence[Breaker]) -> None:
        """Go on where another driver was: its bucket's (level, at) and its open breakers."""
        if bucket is not None:
            self.bucket = pacing.Bucket(*bucket)
        self.breakers = {breaker.method: breaker for breaker in breakers}
        for breaker in breakers:
            self._metrics.breaker_open.labels(self.portal.name, breaker.method).set(1)

    @property
    def shut(self) -> Breaker | None:
        """Return the breaker of the whole portal, if it is open."""
        return self.breakers.get(WHOLE_PORTAL)

    def has_room(self) -> bool:
        """Say whether a reading that is not urgent may go now, leaving a reserve for what is."""
        level = pacing.drained(self.bucket, self._seconds(), self.rate).level
        return level + 1 <= self.burst * RESERVE

    async def turn(self) -> None:
        """Wait until the portal's bucket has room for one request."""
        _, wait = pacing.take(self.bucket, self._seconds(), self.rate, self.burst)
        if wait > 0:
            await asyncio.sleep(wait)

    async def send(self, commands: Sequence[Command]) -> list[Answer]:
        """Answer each command, in its place; those behind an open breaker without a call."""
        answers: list[Answer | None] = [None] * len(commands)
        sendable: list[int] = []
        for place, command in enumerate(commands):
            refusal = self._refusal(command.method)
            if refusal is None:
                sendable.append(place)
            else:
                answers[place] = Answer(failure=refusal)
        for start in range(0, len(sendable), BATCH):
            places = sendable[start : start + BATCH]
            chunk = [commands[place] for place in places]
            for place, answer in zip(places, await self._request(chunk), strict=True):
                answers[place] = answer
        return [answer for answer in answers if answer is not None]

    def withheld(self) -> dict[str, str]:
        """Return the methods that are not called now, with the codes they were refused with."""
        return {
            method: breaker.code
            for method, breaker in self.breakers.items()
            if method and not self._may_probe(breaker)
        }

    async def probe(self) -> None:
        """Ask an open portal who we are, once a minute; any proper answer closes its breaker."""
        if self.shut is not None and self._may_probe(self.shut):
            await self.send([Command("profile", {})])

    async def _request(self, commands: list[Command]) -> list[Answer]:
        await self.turn()
        self.bucket, _ = pacing.take(self.bucket, self._seconds(), self.rate, self.burst)
        self._probing(commands)
        if len(commands) == 1:
            answers = [await self.portal.call(commands[0])]
        else:
            answers = await self.portal.batch(commands)
        for command, answer in zip(commands, answers, strict=True):
            self._learn(command, answer)
        if len(commands) > 1 and _may_be_halved(commands, answers):
            middle = len(commands) // 2
            return [
                *await self._request(commands[:middle]),
                *await self._request(commands[middle:]),
            ]
        return answers

    def _refusal(self, method: str) -> Failure | None:
        """Say why this method is not called now, or let it through as the minute's probe."""
        for name, kind in ((WHOLE_PORTAL, FailureKind.PORTAL), (method, FailureKind.METHOD)):
            breaker = self.breakers.get(name)
            if breaker is None:
                continue
            if not self._may_probe(breaker):
                return Failure(kind, breaker.code, "not called: its breaker is open")
        return None

    def _probing(self, commands: Sequence[Command]) -> None:
        """Let a breaker's next probe be a minute from now, whatever becomes of this one."""
        for name in {WHOLE_PORTAL, *(command.method for command in commands)}:
            breaker = self.breakers.get(name)
            if breaker is not None:
                self.breakers[name] = replace(breaker, probe_at=self._now() + PROBE_EVERY)

    def _may_probe(self, breaker: Breaker) -> bool:
        """Say whether the minute is over; a clock that was set back must not lengthen it."""
        now = self._now()
        return not now < breaker.probe_at <= now + PROBE_EVERY

    def _learn(self, command: Command, answer: Answer) -> None:
        failure = answer.failure
        word = "ok" if failure is None else (failure.code or "empty_code")
        self._metrics.portal_calls.labels(self.portal.name, command.method, word).inc()
        if failure is None or failure.kind is FailureKind.REJECTED:
            self._close(WHOLE_PORTAL)
            self._close(command.method)
        elif failure.kind is FailureKind.PORTAL:
            self._open(WHOLE_PORTAL, failure)
        elif failure.kind is FailureKind.METHOD:
            self._close(WHOLE_PORTAL)
            self._open(command.method, failure)
        elif failure.code == "QUERY_LIMIT_EXCEEDED":
            self._metrics.portal_limited.inc()
            self.bucket = pacing.filled(self.bucket, self._seconds(), self.burst)

    def _open(self, method: str, failure: Failure) -> None:
        now = self._now()
        known = self.breakers.get(method)
        self.breakers[method] = Breaker(
            method=method,
            code=failure.code,
            opened_at=known.opened_at if known else now,
            probe_at=now + PROBE_EVERY,
        )
        self.breakers_changed = True
        self._metrics.breaker_open.labels(self.portal.name, method).set(1)

    def _close(self, method: str) -> None:
        if self.breakers.pop(method, None) is not None:
            self.breakers_changed = True
            self._metrics.breaker_open.labels(self.portal.name, method).set(0)

    def _seconds(self) -> float:
        return self._now().timestamp()


def _may_be_halved(commands: Sequence[Command], answers: Sequence[Answer]) -> bool:
    """Say whether a batch of reads had too large an answer. What stops is never sent twice."""
    if any(command.method in STOPPING for command in commands):
        return False
    return all(a.failure is not None and a.failure.code == "too_big" for a in answers)

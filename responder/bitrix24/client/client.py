"""Sends every call to a portal: in turn, in batches, within the rate limits, behind breakers.

Theory of operation. A portal allows two requests a second with a bucket of fifty, and a `batch` of
fifty commands counts as one (docs: limits.md). So all that a round asks goes out in one batch, and
a single command goes out without a batch around it. A batch holds no more than what took ten
seconds lately (`rate_limit`). Waiting for the bucket happens in `turn`, which the driver awaits
*before* it commits an intent: nothing waits between the gate and the call.

Batches may be under way side by side: the portal limits how many requests come, not how many it
answers at the same time (docs: limits.md). They are made ready one after the other (`_readying`),
so that each is counted before the next looks at the bucket. Requests of a local application go one
after the other: an answer that names an expired token must be of the token that is used now.

A denial (`ACCESS_DENIED`) may be one document's, one method's, or mean that the portal has no plan
with REST. If nothing else in the request was answered, `profile` is called, which everybody may
call: if that is refused too, the denial is the portal's. If it is answered, denials are taken to be
narrow for as long as cached facts are used (`REMEMBERED_FOR`).

Bucket and breakers are stored with each commit of the gate (`Handover`), so that the next driver
goes on from there. The bucket is stored *ahead*: the row counts some requests more than were made,
so that after a crash the next driver knows of every one of them. Where many requests are made
without a commit of the gate, `keep` commits it by itself. How long commands take, and operating
time that is not used up, is not stored: the first answer contains it, and until then a batch is
small.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from responder.adapters.metrics import Metrics
from responder.bitrix24.client import rate_limit
from responder.bitrix24.client.access_right import Access, Blocked, is_accepted, is_expired
from responder.bitrix24.client.answer_labels import answer_label
from responder.bitrix24.client.answers import (
    STOPPING,
    TELLING,
    Answer,
    Command,
    Failure,
    FailureKind,
)
from responder.bitrix24.client.breakers import WHOLE_PORTAL, Breakers
from responder.bitrix24.client.operating_time import MethodTimes
from responder.bitrix24.client.rate_limit import QUERY_LIMIT
from responder.bitrix24.client.rest import Portal
from responder.bitrix24.lists.paged import REMEMBERED_FOR
from responder.model import Breaker

RESERVE = 0.8  # of the bucket, for what is not urgent
# What must not be sent twice; `event.offline.get` reserves or removes what it returns.
_CHANGING = (*STOPPING, *TELLING, "event.offline.get")
WITHHELD = "withheld"  # of our own: the call was not sent
QUICK_SECONDS = 1.0  # a batch that takes longer, or may, goes alone

Unless = Callable[[], str | None]
"""Returns, right before a request, why nothing may be sent; None where it may."""


class Handover(NamedTuple):
    """The state of a client that the gate stores for the next driver.

    `level` is the bucket's, some requests ahead of the real one; `through` is the number of the
    last request that it counts. `breakers` are those that are open, None where they are stored
    already.
    """

    level: float
    through: int
    breakers: tuple[Breaker, ...] | None = None


class Client:
    """All calls of one portal, made by its driver.

    `keep` commits a handover; without it (a command, a test) nothing is stored. `address` is a
    fingerprint of the portal's address: breakers of another address are not resumed. `host` is the
    portal's, which stays the same in whatever way it is called: what it answers is stored by it.
    """

    def __init__(
        self,
        portal: Portal,
        *,
        rate: float,
        burst: int,
        metrics: Metrics,
        now: Callable[[], datetime],
        address: str | None = None,
        host: str | None = None,
    ) -> None:
        self.portal = portal
        self.host = host
        self.rate = rate
        self.burst = burst
        self.bucket = rate_limit.Bucket(0.0, 0.0)
        self.withheld: Mapping[str, str] = {}  # crucial questions that it answers otherwise
        self.asked_at: datetime | None = None  # when this process last asked those
        self.silent: bool | None = None  # no events come while documents change; None: not known
        self.away_since: datetime | None = None  # since when it does not even answer `profile`
        self.keep: Callable[[], Awaitable[None]] | None = None
        self.access: Access | None = None  # of a local application
        self._readying = asyncio.Lock()
        self._requests = 0
        self._counted_through = 0
        self._profile_answered_at: datetime | None = None  # the last time after a denial
        self._times = MethodTimes(portal.name, metrics, self._seconds)
        self.breakers = Breakers(
            portal.name, times=self._times, metrics=metrics, now=now, address=address
        )
        self._metrics = metrics
        self._now = now
        metrics.bucket_level.labels(portal.name).set_function(self.level)

    def resume(self, bucket: tuple[float, float] | None, breakers: Sequence[Breaker]) -> None:
        """Continue from another driver: its bucket's (level, age in seconds), its breakers."""
        if bucket is not None:
            level, age_seconds = bucket
            self.bucket = rate_limit.Bucket(level, self._seconds() - age_seconds)
        self._counted_through = 0
        self.away_since = None
        self.breakers.resume(breakers)

    def handover(self) -> Handover:
        """Return what is to be stored now. Any thread may call this."""
        requests = self._requests  # before the level, which may then be newer
        ahead = rate_limit.ahead(self.burst)
        return Handover(self.level() + ahead, requests + ahead, self.breakers.to_store())

    def saved(self, handover: Handover) -> None:
        """Record that a handover is committed."""
        self._counted_through = max(self._counted_through, handover.through)
        if handover.breakers is not None:
            self.breakers.stored(handover.breakers)

    def has_room(self) -> bool:
        """Return whether a reading that is not urgent may go now; urgent ones keep a reserve."""
        # What has leaked out is stored: while no request is made, nothing else would do so after a
        # clock was set back.
        self.bucket = rate_limit.drained(self.bucket, self._seconds(), self.rate)
        return self.bucket.level + 1 <= self.burst * RESERVE

    def capacity(self, method: str) -> int:
        """Return how many commands of a method one batch carries now, from 1 to 50."""
        return min(self._times.fitting(method), max(1, self.breakers.allowed(method)))

    def may_send_beside(self, commands: Sequence[Command]) -> bool:
        """Return whether another batch may be sent while these commands are under way.

        The bucket must have room, and a portal that is slow gets one request after the other.
        """
        seconds = sum(self._times.took(command.method) for command in commands)
        return self.access is None and seconds <= QUICK_SECONDS and not self._wait_seconds()

    async def turn(self) -> None:
        """Wait until the portal's bucket has room for one request."""
        if (wait := self._wait_seconds()) > 0:
            await asyncio.sleep(wait)

    def _wait_seconds(self) -> float:
        return rate_limit.take(self.bucket, self._seconds(), self.rate, self.burst)[1]

    async def send_aside(self, commands: Sequence[Command], within_seconds: float) -> list[Answer]:
        """Send commands that nothing depends on, in one request, and return their answers.

        Only the first are sent, as many as are mostly answered within `within_seconds`, which is
        all the time there is; there are no more answers. None opens a breaker for its method.
        """
        took = (self._times.took(command.method) for command in commands)
        some = commands[: rate_limit.fitting(took, within_seconds)]
        answers = [Answer(failure=self.breakers.refusal(one.method)) for one in some]
        places = [place for place, one in enumerate(answers) if one.failure is None]
        if not places:
            return answers
        asked = [some[place] for place in places]
        sent = await self._request(asked, opens_methods=False, within_seconds=within_seconds)
        return _with(answers, places, sent)

    async def send(
        self,
        commands: Sequence[Command],
        *,
        unless: Unless | None = None,
        opens_methods: bool = True,
        halves: bool = True,
        within_seconds: float | None = None,
    ) -> list[Answer]:
        """Send commands and return each one's answer in its place.

        A command behind an open breaker is answered without a call. Commands that do not fit into a
        batch go out in the next, in their order. `unless` is called right before each request;
        where it returns a reason, nothing is sent. Without `opens_methods` a method that the portal
        refuses gets no breaker: no rule may need it. A batch of reads whose answer is too large is
        sent again in halves, unless `halves` is False. `within_seconds` shortens how long each
        request may take; then nothing more is asked than was given.
        """
        answers: dict[int, Answer] = {}
        left = list(range(len(commands)))
        while left:
            # Before the request: a breaker whose probe falls due meanwhile must let none overtake.
            answers |= self._refused(commands, left)
            left = [place for place in left if place not in answers]
            portion = self._portion(commands, left)
            if portion:
                sent = await self._request(
                    [commands[place] for place in portion],
                    unless,
                    opens_methods=opens_methods,
                    halves=halves,
                    within_seconds=within_seconds,
                )
                answers |= zip(portion, sent, strict=True)
            left = [place for place in left if place not in answers]
        return [answers[place] for place in range(len(commands))]

    def _refused(self, commands: Sequence[Command], left: Sequence[int]) -> dict[int, Answer]:
        """Return the answers of the commands that are answered without a call."""
        refusals = {place: self.breakers.refusal(commands[place].method) for place in left}
        return {place: Answer(failure=why) for place, why in refusals.items() if why is not None}

    async def probe(self) -> None:
        """Call `profile` on a portal with an open breaker, once a minute; an answer closes it."""
        if self.breakers.is_probe_due:
            await self.send([Command("profile", {})])

    def _portion(self, commands: Sequence[Command], left: Sequence[int]) -> list[int]:
        """Choose the commands to send now: the first, within the time and methods' allowances."""
        count = self.breakers.first_allowed([commands[place].method for place in left])
        chosen = list(left[:count])
        if self.breakers.of_portal is not None:
            return chosen[:1]
        fitting = rate_limit.fitting(self._times.took(commands[place].method) for place in chosen)
        return chosen[:fitting]

    async def _request(
        self,
        commands: list[Command],
        unless: Unless | None = None,
        *,
        opens_methods: bool = True,
        halves: bool = True,
        within_seconds: float | None = None,
    ) -> list[Answer]:
        answers = await self._sent(commands, unless, within_seconds)
        if isinstance(answers, Failure):
            return [Answer(failure=answers)] * len(commands)
        answers, unsent = await self._renewed(commands, answers, unless, within_seconds)
        if within_seconds is None:
            answers = await self._widened(answers)
        for place, (command, answer) in enumerate(zip(commands, answers, strict=True)):
            if place not in unsent:
                self._count(command, answer)
                self.breakers.learn(command, answer, opens_methods=opens_methods)
        self._learn_limit(answers)
        halves &= within_seconds is None and len(commands) > 1
        if halves and _may_be_halved(commands, answers):
            middle = len(commands) // 2
            return [
                *await self._request(commands[:middle], opens_methods=opens_methods),
                *await self._request(commands[middle:], opens_methods=opens_methods),
            ]
        return answers

    async def _sent(
        self, commands: list[Command], unless: Unless | None, within_seconds: float | None
    ) -> list[Answer] | Failure:
        """Send one request, and return its answers, or why it was not sent."""
        async with self._readying:
            if (unready := await self._ready(commands, unless)) is not None:
                return unready
            self._count_request()
        self.breakers.set_next_probe(command.method for command in commands)
        asked_at = self._seconds()
        if len(commands) == 1:
            answers = [await self.portal.call(commands[0], within_seconds)]
        else:
            answers = await self.portal.batch(commands, within_seconds)
        self._times.learn(commands, answers, max(0.0, self._seconds() - asked_at))
        return answers

    async def _ready(self, commands: Sequence[Command], unless: Unless | None) -> Failure | None:
        """Wait for the right and the room to send a request; return why it may not be sent."""
        if self.keep is not None and self._requests >= self._counted_through:
            await self.keep()
        if self.access is not None and (blocked := await self.access.ready()) is not None:
            return self._blocked(blocked)
        await self.turn()
        why = None if unless is None else unless()
        return self._refusal(commands) if why is None else Failure(FailureKind.BUSY, WITHHELD, why)

    def _refusal(self, commands: Sequence[Command]) -> Failure | None:
        """Return why a request is not sent that was chosen before a breaker opened meanwhile."""
        found = dict.fromkeys(self.breakers.refusal(command.method) for command in commands)
        if len(found) == 1:
            return next(iter(found))
        return Failure(FailureKind.BUSY, WITHHELD, "not called: a method beside it is withheld")

    async def _renewed(
        self,
        commands: list[Command],
        answers: list[Answer],
        unless: Unless | None,
        within_seconds: float | None,
    ) -> tuple[list[Answer], Sequence[int]]:
        """Send the commands again that an expired token kept from being carried out, once.

        Return all answers, and the places of commands that could not be sent again.
        """
        if self.access is None:
            return answers, ()
        expired = [place for place, answer in enumerate(answers) if is_expired(answer)]
        if any(map(is_accepted, answers)):
            self.access.worked()
        renewed = bool(expired) and await self.access.renew()
        if renewed is False:
            return answers, ()
        if isinstance(renewed, Blocked):
            again: list[Answer] | Failure = self._blocked(renewed)
        else:
            again = await self._sent([commands[place] for place in expired], unless, within_seconds)
        if isinstance(again, Failure):
            return _with(answers, expired, [Answer(failure=again)] * len(expired)), expired
        if any(map(is_accepted, again)):
            self.access.worked()
        return _with(answers, expired, again), ()

    def _blocked(self, blocked: Blocked) -> Failure:
        self.breakers.open(WHOLE_PORTAL, blocked.failure.code, blocked.again_in)
        return blocked.failure

    async def spend(self) -> None:
        """Wait for the bucket's turn, and count a request that is sent beside this client."""
        if self.keep is not None and self._requests >= self._counted_through:
            await self.keep()
        await self.turn()
        self._count_request()

    def _count_request(self) -> None:
        self.bucket, _ = rate_limit.take(self.bucket, self._seconds(), self.rate, self.burst)
        self._requests += 1

    async def _widened(self, answers: list[Answer]) -> list[Answer]:
        """Check whether denials are the portal's, and return the answers with that failure then."""
        if not _may_be_shut_out(answers) or self._profile_was_answered():
            return answers
        (profile,) = await self._request([Command("profile", {})])
        failure = profile.failure
        if failure is None or failure.kind in (FailureKind.METHOD, FailureKind.REJECTED):
            self._profile_answered_at = self._now()
            return answers
        if failure.kind is not FailureKind.PORTAL:  # denied, and nobody knows how widely
            failure = replace(failure, kind=FailureKind.BUSY)
        return [Answer(failure=failure) if answer.denied else answer for answer in answers]

    def _profile_was_answered(self) -> bool:
        at = self._profile_answered_at
        return at is not None and timedelta(0) <= self._now() - at < REMEMBERED_FOR

    def _count(self, command: Command, answer: Answer) -> None:
        word = answer_label(None if answer.failure is None else answer.failure.code)
        self._metrics.portal_calls.labels(self.portal.name, command.method, word).inc()

    def _learn_limit(self, answers: Sequence[Answer]) -> None:
        """Fill the bucket where the portal says that it is full: it does once for a whole batch."""
        if any(a.failure is not None and a.failure.code == QUERY_LIMIT for a in answers):
            self._metrics.portal_limited.inc()
            self.bucket = rate_limit.filled(self.bucket, self._seconds(), self.burst)

    def level(self) -> float:
        """Return how many requests the portal's bucket holds now. Any thread may call this."""
        return rate_limit.drained(self.bucket, self._seconds(), self.rate).level

    def operating(self) -> dict[str, float]:
        """Return the operating time of each method that counts now, in seconds."""
        return self._times.operating()

    def _seconds(self) -> float:
        return self._now().timestamp()


def _with(answers: list[Answer], places: Sequence[int], new: Sequence[Answer]) -> list[Answer]:
    """Return answers of which some are replaced by new ones."""
    replaced = dict(zip(places, new, strict=True))
    return [replaced.get(place, answer) for place, answer in enumerate(answers)]


def _may_be_shut_out(answers: Sequence[Answer]) -> bool:
    """Return whether some command of a request was denied, and none answered."""
    is_open = any(answer.failure is None for answer in answers)
    return not is_open and any(answer.denied for answer in answers)


def _may_be_halved(commands: Sequence[Command], answers: Sequence[Answer]) -> bool:
    """Return whether a batch of reads had too large an answer. What changes is never sent twice."""
    if any(command.method in _CHANGING for command in commands):
        return False
    return all(a.failure is not None and a.failure.code == "too_big" for a in answers)

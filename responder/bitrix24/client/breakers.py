"""Opens, probes and closes the circuit breakers of one portal.

Theory of operation. A *breaker* is open for the whole portal (its method is the empty text) or for
one method. It lets one command a minute through as a probe, and closes when that succeeds. A method
whose operating time is used up has a breaker too: it opens before the portal refuses, and is probed
when the portal forgets some of that time. A command that it withholds was not refused: it waits,
and no try is counted.

Each answer is learned: one that the portal gave, even a rejection of that one command, closes the
portal's breaker and the method's; a refusal opens one or the other, by its kind. Open breakers are
stored with the client's other state, so that the next driver goes on from there.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from responder.adapters.metrics import Metrics
from responder.bitrix24.client.answers import Answer, Command, Failure, FailureKind
from responder.bitrix24.client.operating_time import MethodTimes
from responder.bitrix24.client.rate_limit import OPERATING_LIMIT, WINDOW_SECONDS
from responder.model import Breaker

PROBE_EVERY = timedelta(seconds=60)
WHOLE_PORTAL = ""

log = structlog.get_logger()


class Breakers:
    """The open breakers of one portal, by method (`opened`).

    `address` is a fingerprint of the portal's address: breakers of another address are not resumed.
    `changed` is True until the open ones are stored.
    """

    def __init__(
        self,
        portal: str,
        *,
        times: MethodTimes,
        metrics: Metrics,
        now: Callable[[], datetime],
        address: str | None,
    ) -> None:
        self.opened: dict[str, Breaker] = {}
        self.changed = False
        self._portal = portal
        self._times = times
        self._metrics = metrics
        self._now = now
        self.address = address

    def resume(self, breakers: Sequence[Breaker]) -> None:
        """Continue with another driver's open breakers, if they are of the same address."""
        known = self.address
        ours = [one for one in breakers if one.address in (None, known) or known is None]
        self.opened = {one.method: replace(one, address=known) for one in ours}
        if len(ours) < len(breakers):
            self.changed = True  # so that the others' rows go too
            log.warning("breakers are closed, for the address is another", portal=self._portal)
        for method in self.opened:
            self._metrics.breaker_open.labels(self._portal, method).set(1)

    def move(self, address: str | None) -> None:
        """Close every breaker, because the portal is called at another address from now on."""
        self.address = address
        for method in list(self.opened):
            self.close(method)

    def to_store(self) -> tuple[Breaker, ...] | None:
        """Return the open breakers, or None where they are stored already."""
        return tuple(self.opened.values()) if self.changed else None

    def stored(self, opened: tuple[Breaker, ...]) -> None:
        """Record that these are stored; what has changed since is not."""
        self.changed = opened != tuple(self.opened.values())

    @property
    def of_portal(self) -> Breaker | None:
        """Return the breaker of the whole portal, if it is open."""
        return self.opened.get(WHOLE_PORTAL)

    @property
    def is_probe_due(self) -> bool:
        """Return whether the whole portal's breaker is open and its next probe may go out."""
        return self.of_portal is not None and self._may_probe(self.of_portal)

    def withheld(self) -> dict[str, str]:
        """Return the methods that are not called now, with the codes of their breakers."""
        return {
            method: breaker.code
            for method, breaker in self.opened.items()
            if method and not self._may_probe(breaker)
        }

    def refusal(self, method: str) -> Failure | None:
        """Return why a method is not called now, or None where it is called or probed."""
        for name, kind in ((WHOLE_PORTAL, FailureKind.PORTAL), (method, FailureKind.METHOD)):
            breaker = self.opened.get(name)
            if breaker is None or self._may_probe(breaker):
                continue
            if breaker.code == OPERATING_LIMIT:
                text = "not called: its operating time is used up for now"
                return Failure(FailureKind.BUSY, breaker.code, text)
            return Failure(kind, breaker.code, "not called: its breaker is open")
        return None

    def allowed(self, method: str) -> int:
        """Return how many commands of a method may go out in one request; 1 is a probe."""
        if self.refusal(method) is not None:
            return 0
        return 1 if method in self.opened else max(1, self._times.room(method))

    def first_allowed(self, methods: Sequence[str]) -> int:
        """Return how many of the first commands, of these methods, may go out in one request.

        None overtakes another: what one finds may rest on what the one before it found.
        """
        counts: dict[str, int] = {}
        for place, method in enumerate(methods):
            counts[method] = counts.get(method, 0) + 1
            if counts[method] > self.allowed(method):
                return place
        return len(methods)

    def set_next_probe(self, methods: Iterable[str]) -> None:
        """Set the next probe of the portal and of these methods to a minute from now."""
        for name in {WHOLE_PORTAL, *methods}:
            breaker = self.opened.get(name)
            if breaker is not None:
                self.opened[name] = replace(breaker, probe_at=self._now() + PROBE_EVERY)

    def learn(self, command: Command, answer: Answer, *, opens_methods: bool = True) -> None:
        """Open or close the breakers that the answer to one command speaks of.

        Without `opens_methods` the refusal of a method opens no breaker that is not open.
        """
        failure = answer.failure
        if failure is None or failure.kind is FailureKind.REJECTED:
            self.close(WHOLE_PORTAL)
            self._close_or_open_until_reset(command.method)
        elif failure.kind is FailureKind.PORTAL:
            self.open(WHOLE_PORTAL, failure.code, PROBE_EVERY)
        elif failure.kind is FailureKind.METHOD:
            self.close(WHOLE_PORTAL)
            if (opens_methods and not command.optional) or command.method in self.opened:
                self.open(command.method, failure.code, PROBE_EVERY)
        elif failure.code == OPERATING_LIMIT:
            self.close(WHOLE_PORTAL)
            self._times.refused(command.method)
            self._open_until_reset(command.method)

    def open(self, method: str, code: str, wait: timedelta) -> None:
        """Open a breaker, or keep it open, until a probe is due after `wait`."""
        now = self._now()
        known = self.opened.get(method)
        self.opened[method] = Breaker(
            portal=self._portal,
            method=method,
            code=code,
            opened_at=known.opened_at if known else now,
            probe_at=now + wait,
            address=self.address,
        )
        self.changed = True
        self._metrics.breaker_open.labels(self._portal, method).set(1)
        if known is None or known.code != code:
            log.warning("a breaker opened", portal=self._portal, method=method, code=code)

    def close(self, method: str) -> None:
        """Close a breaker if it is open."""
        if self.opened.pop(method, None) is not None:
            self.changed = True
            self._metrics.breaker_open.labels(self._portal, method).set(0)
            log.warning("a breaker closed", portal=self._portal, method=method)

    def _may_probe(self, breaker: Breaker) -> bool:
        """Return whether a breaker's time is over. A clock set back must not prolong it."""
        now = self._now()
        longest = PROBE_EVERY
        if breaker.code == OPERATING_LIMIT:
            longest = timedelta(seconds=WINDOW_SECONDS)
        return not now < breaker.probe_at <= now + longest

    def _close_or_open_until_reset(self, method: str) -> None:
        """Close a method's breaker, or open it while its operating time is used up."""
        if self._times.room(method):
            self.close(method)
        else:
            self._open_until_reset(method)

    def _open_until_reset(self, method: str) -> None:
        """Open a method's breaker until the portal forgets some of its operating time."""
        wait = timedelta(seconds=self._times.shut_seconds(method))
        self.open(method, OPERATING_LIMIT, wait)

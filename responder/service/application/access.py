"""Keeps the right to call a portal by its local application: the tokens, and their renewal.

Theory of operation. An access token lives an hour, and a refresh token is good for one use, whose
answer brings the next pair. So a lost answer may be a lost chain, and only an administrator can
begin another. Therefore:

- only the driver of a portal refreshes, and writes before it sends (`refresh_sent_at`);
- the new pair is committed before it is used, whatever else happens meanwhile (`renewal`);
- where the answer is lost, the old token is tried again: it works, if nothing was done. If it is
  refused then, the store is read first, for another driver may have been quicker. What another
  process may still be waiting for is waited for;
- only a refusal of the token itself is final. A wrong secret, an unpaid plan, a server that is away
  are tried again, less and less often;
- nothing is refreshed without need: when a token has ended and a call is to be made, or a chain was
  idle for a week, since refresh tokens end after thirty days.

While there is no way to call, the breaker of the whole portal is open with the reason as its code,
and deliveries wait.
"""

from datetime import datetime, timedelta

import structlog

from responder.bitrix24.client.access_right import Blocked
from responder.bitrix24.client.addresses import Address, ApplicationAddress
from responder.bitrix24.client.answers import Failure
from responder.bitrix24.client.answers import FailureKind as CallFailureKind
from responder.bitrix24.client.breakers import WHOLE_PORTAL
from responder.bitrix24.client.client import Client
from responder.bitrix24.oauth import oauth_hosts
from responder.bitrix24.oauth.token_endpoint import FailureKind, TokenFailure
from responder.judge.context import Interval
from responder.service.application.portal_application import Application, Writer
from responder.service.application.renewal import Renewal
from responder.service.application.stored_address import of_settings, webhook_fingerprint
from responder.settings.settings import PortalSettings
from responder.settings.webhook_signature import fingerprint
from responder.store.applications import installations, report
from responder.store.applications.installations import Installation
from responder.store.applications.standing import (
    ADVICE,
    LOST_ANSWER,
    NOT_INSTALLED,
    NOT_REFRESHED,
    Standing,
    Way,
    advice,
    standing,
)

MARGIN = timedelta(seconds=30)  # a token is renewed so long before it ends by our clock
PROBE_EVERY = timedelta(seconds=60)
IDLE = timedelta(days=7)
ALARM_EVERY = timedelta(days=1)
LOOK_EVERY = timedelta(seconds=1)
# A new token that is refused at once is not renewed again so soon: it is the portal that is at
# fault. The time doubles with each that is refused.
DISTRUSTED_FOR, _LONGEST_DISTRUST = timedelta(minutes=5), timedelta(days=1)
KNOWN_TO_ALL = timedelta(seconds=2)  # replicas read the pins twice a second
WAITS = (1, 5, 15, 60, 300, 600)  # seconds until the next try, by how many have failed

log = structlog.get_logger()


class ApplicationAccess:
    """The access of one portal's client, which lasts as long as the process."""

    def __init__(self, application: Application, client: Client) -> None:
        self._its = application
        self._client = client
        self._writer: Writer | None = None
        self._found: Installation | None = None
        self._standing = Standing(way=Way.NONE, why=NOT_INSTALLED)
        self._read_at: datetime | None = None
        self._failures = 0
        self._failure: TokenFailure | None = None
        self._next_try_at: datetime | None = None
        self._is_trusted = True  # the present token was not new when it was refused
        self._distrusted_for = DISTRUSTED_FOR
        self._ended: str | None = None  # the stored tokens that the portal says have ended
        self._alarm = Interval(ALARM_EVERY)
        self.renewal = Renewal(application)

    @property
    def installation(self) -> Installation | None:
        """Return the stored installation, as it was read last."""
        return self._found

    @property
    def may_register(self) -> bool:
        """Return whether events may be registered: every replica knows the pin by now."""
        found = self._found
        if self._standing.way is not Way.APPLICATION or found is None:
            return False
        return self._its.now() - found.installed_at >= KNOWN_TO_ALL

    @property
    def standing(self) -> Standing:
        """Return how the portal is called now."""
        return self._standing

    async def begin(self, writer: Writer) -> None:
        """Begin under a lease: read what is stored, and take its address for the client's."""
        self._writer = writer
        await self._read()
        self._client.breakers.address = self._fingerprint()
        self._client.access = self

    def open_or_close(self) -> None:
        """Open the portal's breaker where there is no way to call, and end one that is over."""
        known = self._client.breakers.of_portal
        if self._standing.way is Way.NONE:
            blocked = self._blocked(self._standing.why or NOT_INSTALLED)
            self._client.breakers.open(WHOLE_PORTAL, blocked.failure.code, blocked.again_in)
        elif known is not None and known.code in ADVICE:
            self._client.breakers.close(WHOLE_PORTAL)

    async def step(self) -> None:
        """Read once a second what others have written; refresh a chain that was idle for long."""
        now = self._its.now()
        if self._read_at is not None and abs(now - self._read_at) < LOOK_EVERY:
            return
        await self.reload()
        found = self._found
        if found is not None and report.is_overdue(found, now) and self._alarm.is_over(now):
            log.warning(
                "tokens were not refreshed for two weeks",
                portal=self._its.name,
                refreshed_at=found.refreshed_at.isoformat(),
            )
        is_used = self._standing.way is Way.APPLICATION and found is not None
        if is_used and found is not None and now - found.refreshed_at > IDLE and self._may_try():
            await self._refresh()

    async def reload(self) -> None:
        """Read what is stored, and go on by it."""
        before = (self._standing.way, self._found and self._found.installed_at)
        fingerprint_before = self._fingerprint()
        await self._read()
        if before == (self._standing.way, self._found and self._found.installed_at):
            return
        self._failures, self._failure, self._next_try_at = 0, None, None
        self._trust()
        if fingerprint_before != self._fingerprint() or self._standing.way is not before[0]:
            self._client.breakers.move(self._fingerprint())
        self.open_or_close()
        log.warning(
            "a portal is called in another way",
            portal=self._its.name,
            way=self._standing.way.value,
            why=self._standing.why,
        )

    async def ready(self) -> Blocked | None:
        """Return why the portal cannot be called now; refresh a token that has ended first."""
        await self._save_late()
        if self._standing.way is Way.NONE:
            await self.reload()  # a probe: somebody may have installed it meanwhile
        if self._standing.way is Way.NONE:
            return self._blocked(self._standing.why or NOT_INSTALLED)
        found = self._found
        if self._standing.way is Way.WEBHOOK or found is None:
            return None
        if self._its.now() < found.expires_at - MARGIN and found.tokens != self._ended:
            return None
        if self._may_try():
            await self._refresh()
        return self._after_try()

    def _after_try(self) -> Blocked | None:
        """Return whether a call may be made, now that a token was asked for, or will be later."""
        if self._standing.way is Way.WEBHOOK:
            return None
        if self._standing.way is Way.NONE:
            return self._blocked(self._standing.why or NOT_INSTALLED)
        found = self._found
        if found is None or (self._its.now() < found.expires_at and found.tokens != self._ended):
            return None  # it is renewed, or was to be renewed early, and that can wait
        code = self._failure.code if self._failure is not None else NOT_REFRESHED
        return self._blocked(code if code in ADVICE else NOT_REFRESHED)

    async def renew(self) -> Blocked | bool:
        """Refresh a token that the portal says has ended.

        Return True to send again, False to take the answer as it is, or why nothing can be sent.
        """
        found, now = self._found, self._its.now()
        if self._standing.way is not Way.APPLICATION or found is None:
            return False
        if not self._is_trusted:
            if abs(now - found.refreshed_at) < self._distrusted_for:
                return False
            self._distrusted_for = min(2 * self._distrusted_for, _LONGEST_DISTRUST)
        self._ended = found.tokens
        return await self.ready() or True

    def worked(self) -> None:
        """Record that the portal accepted the token."""
        self._trust()

    def _trust(self) -> None:
        self._is_trusted, self._distrusted_for = True, DISTRUSTED_FOR

    def _blocked(self, code: str) -> Blocked:
        wait = PROBE_EVERY
        if self._next_try_at is not None:
            wait = max(timedelta(0), min(wait, self._next_try_at - self._its.now()))
        return Blocked(Failure(CallFailureKind.PORTAL, code, f"not called: {advice(code)}"), wait)

    def _may_try(self) -> bool:
        """Return whether it is time to ask for tokens again. A clock set back must not delay it."""
        due, longest = self._next_try_at, timedelta(seconds=WAITS[-1])
        now = self._its.now()
        return due is None or not now < due <= now + longest

    async def _refresh(self) -> None:
        """Ask for the next pair of tokens, commit it, and use it."""
        await self._save_late()
        before = self._found
        await self.reload()  # another may have been quicker
        found, tokens = self._found, self._standing.tokens
        if found is None or tokens is None or (before and before.tokens) != found.tokens:
            return
        if self._must_wait(found):
            return
        was_lost = found.refresh_sent_at is not None
        assert self._writer is not None
        why = await self.renewal.run(found, tokens.refresh, self._writer)
        if why is None:
            await self._use_new()
        else:
            await self._failed(found, why, was_lost=was_lost)

    def _must_wait(self, found: Installation) -> bool:
        """Return whether nothing may be sent now; set when it may be."""
        if self.renewal.is_stopping or not oauth_hosts.is_allowed(found.oauth_host, found.domain):
            return True
        now = self._its.now()
        left = self.renewal.left_to_another(found, now)
        if left is not None:
            self._next_try_at = now + left
        return left is not None

    async def _save_late(self) -> None:
        """Commit a new pair of tokens that is not committed yet, whoever drives the portal now."""
        if self.renewal.is_unsaved:
            await self.renewal.save(self._writer)
            await self._use_new()

    async def _use_new(self) -> None:
        """Use the pair that was just committed."""
        self._failures, self._failure, self._next_try_at = 0, None, None
        self._is_trusted = False
        await self._read()

    async def _failed(self, found: Installation, why: TokenFailure, *, was_lost: bool) -> None:
        """Go on after a refresh without new tokens."""
        assert self._writer is not None
        if why.kind is FailureKind.REFUSED:
            await self._read()
            if self._found is None or self._found.tokens != found.tokens:
                return  # another driver, or an administrator, was quicker
            reason = LOST_ANSWER if was_lost else "invalid_grant"
            portal, tokens = found.portal, found.tokens
            await self._writer.write(lambda tx: installations.refuse(tx, portal, tokens, reason))
            await self.reload()
            return
        if why.kind is not FailureKind.LOST and not was_lost:
            portal = found.portal
            await self._writer.write(lambda tx: installations.refresh_sent(tx, portal, None))
        wait = WAITS[min(self._failures, len(WAITS) - 1)]
        self._failures += 1
        self._failure = why
        self._next_try_at = self._its.now() + timedelta(seconds=wait)
        await self._read()
        log.warning(
            "no new token was given",
            portal=self._its.name,
            code=why.code,
            why=why.text,
            again_in_seconds=wait,
            advice=advice(why.code if why.code in ADVICE else NOT_REFRESHED),
        )

    async def _read(self) -> None:
        its = self._its
        self._read_at = its.now()
        self._found = await its.database.reading(
            lambda conn: installations.installed(conn, its.name)
        )
        self._standing = standing(its.given, self._found, its.seal)
        self._client.portal.address = self._address()

    def _address(self) -> Address:
        given, tokens = self._its.given, self._standing.tokens
        if tokens is None:
            return of_settings(given)
        return ApplicationAddress(given.domain or "", tokens.access)

    def _fingerprint(self) -> str:
        """Return a fingerprint of the address, by which breakers of another one are known."""
        return address_fingerprint(self._its.given, self._standing, self._found)


def address_fingerprint(
    given: PortalSettings, standing_now: Standing, found: Installation | None
) -> str:
    """Return a fingerprint of the way in which a portal is called."""
    if standing_now.way is Way.WEBHOOK and given.url is not None:
        return webhook_fingerprint(given)
    installed_at = "" if found is None else found.installed_at.isoformat()
    return fingerprint(f"{given.domain} {given.client_id} {installed_at}", "application")

"""Installs an application: verifies the messages that were received, and pins what one proves.

Anybody can send a message, so verifying is throttled, and calls nobody but the OAuth server of the
list and the portal of the settings. It goes on beside the driver, which commits what came of it:
neither kills nor the lease wait for a server that does not answer. A message is tried again where
somebody did not answer, and refused for good where it is not true. What a code brings is committed
as a message before it is verified, since the code is used up.

Pinning is one commit under the lease: tokens, member, user, application token. From then on the
portal's events are known, and it is called by the application.
"""

import asyncio
import contextlib
from datetime import datetime, timedelta

import structlog

from responder.adapters.encryption import WrongKeyError
from responder.bitrix24.client.client import Client
from responder.bitrix24.oauth import installation_message, oauth_hosts, verification
from responder.bitrix24.oauth.installation_message import Message
from responder.bitrix24.oauth.token_endpoint import FailureKind, Granted
from responder.bitrix24.oauth.verification import BY_SETTINGS, Expected, NotVerified, Verified
from responder.judge.context import Interval
from responder.receive.refused_callers import SeldomLog
from responder.service.application.access import ApplicationAccess
from responder.service.application.portal_application import Application, Writer
from responder.store.applications import held_messages, installations
from responder.store.applications.held_messages import Held
from responder.store.applications.installations import Installation, State, token_digest
from responder.store.applications.standing import Tokens, sealed
from responder.store.database.database import Connection
from responder.store.database.engines import StoreUnavailable
from responder.store.inbox import refusals
from responder.store.leases import LeaseLost

Result = NotVerified | tuple[Message, Verified] | None

TRY_EVERY = timedelta(seconds=5)
LOOK_EVERY = timedelta(seconds=0.5)
STUMBLES = (0.2, 0.5, 1.0, 2.0)  # seconds between tries to commit what cannot be asked for again
_LONGEST_WAIT = timedelta(minutes=5)
OTHER_KEY = "it was held under another RESPONDER_SECRET_KEY"
NOT_BELIEVED = "an installation message that was not believed"

log = structlog.get_logger()


class Installer:
    """The installing of one portal's application, under one lease."""

    def __init__(
        self, its: Application, client: Client, access: ApplicationAccess, writer: Writer
    ) -> None:
        self._its = its
        self._client = client
        self._access = access
        self._writer = writer
        # Anybody can send one: a line a minute, so that a flood does not bury the rest of the log.
        self._lines = {"for good": SeldomLog(), "for now": SeldomLog()}
        self._look = Interval(LOOK_EVERY)
        self._throttle = Interval(TRY_EVERY)
        self._trial: tuple[Held, asyncio.Task[Result]] | None = None

    async def load(self) -> None:
        """Let be tried again what was refused by settings that may have been corrected since."""
        if not self._its.given.application_is_configured:
            return
        now, portal, reasons = self._its.now(), self._its.name, (*BY_SETTINGS, OTHER_KEY)
        held = await self._its.database.reading(lambda conn: held_messages.held(conn, portal, now))
        if any(one.try_at is None and one.result in reasons for one in held):
            await self._writer.write(lambda tx: held_messages.try_again(tx, portal, reasons, now))

    async def step(self) -> bool:
        """Begin to verify the next message that is due, or take up what came of one.

        Return whether there was something to do.
        """
        if self._trial is not None:
            return await self._take_up(*self._trial)
        now = self._its.now()
        if not self._its.given.application_is_configured or not self._look.is_over(now):
            return False
        held = await self._its.database.reading(
            lambda conn: held_messages.held(conn, self._its.name, now)
        )
        due = [one for one in held if _is_due(one, now)]
        if not due or not self._throttle.is_over(now):
            return False
        self._begin(due[0])
        return True

    def _begin(self, one: Held) -> None:
        """Verify a message beside the driver: whoever is asked may not answer for long."""
        task = asyncio.create_task(self._try(one))
        self._its.beside.add(task)
        task.add_done_callback(self._ended)
        self._trial = (one, task)

    def _ended(self, task: asyncio.Task[Result]) -> None:
        self._its.beside.discard(task)
        if not task.cancelled():
            task.exception()  # where the lease was lost nobody else asks for it
        self._its.wake()

    async def _take_up(self, one: Held, task: asyncio.Task[Result]) -> bool:
        """Commit under the lease what came of verifying a message, if that has ended."""
        if not task.done():
            return False
        self._trial = None
        try:
            await self._conclude(one, task.result())
        except (LeaseLost, StoreUnavailable):
            raise
        except Exception:
            # Anybody can write a message, and a fault that one finds must not come again with each
            # step: nothing else would be done for the portal.
            log.exception("an installation message could not be verified", portal=self._its.name)
            await self._refuse(one, NotVerified("verifying it failed by a fault of ours"))
        return True

    async def _conclude(self, one: Held, came: Result) -> None:
        if came is None:
            self._throttle.end()
            self._look.end()
        elif isinstance(came, NotVerified):
            await self._refuse(one, came)
        else:
            await self._pin(one, *came)

    async def _try(self, one: Held) -> Result:
        """Return what a message proves; None for a code that has become tokens."""
        try:
            text = self._its.seal.open(one.message, held_messages.sealed_for(self._its.name))
        except WrongKeyError:
            return NotVerified(OTHER_KEY)
        message = installation_message.of_text(text)
        if message.form == "code" and not message.access_token:
            return await self._exchange(one, message)
        found = await verification.verify(
            message, self._expected(), self._its.endpoint, self._client.spend
        )
        return found if isinstance(found, NotVerified) else (message, found)

    def _expected(self) -> Expected:
        given, known = self._its.given, self._access.installation
        pinned = known.member_id if known and known.domain == given.domain else None
        return Expected(
            client_id=given.client_id or "",
            domain=given.domain or "",
            member_id=given.member_id or pinned,
        )

    async def _exchange(self, one: Held, message: Message) -> NotVerified | None:
        """Send a code for tokens, and hold these instead."""
        expected = self._expected()
        wrong = verification.mismatch(message, expected)
        host = oauth_hosts.chosen(message.endpoint, expected.domain)
        if wrong is not None or host is None:
            return wrong or NotVerified("it names no OAuth server")
        await self._client.spend()
        came = await self._its.endpoint.exchange(host, self._its.keys, message.code)
        if not isinstance(came, Granted):
            again = came.kind in (FailureKind.NOT_SENT, FailureKind.LATER)
            why = f"the OAuth server gave no tokens for the code ({came.code}): {came.text}"
            return NotVerified(why, try_again=again)
        text = installation_message.to_text(_with_tokens(message, came))
        kept = self._its.seal.seal(text, held_messages.sealed_for(self._its.name))
        await self._keep(one, kept)
        return None

    async def _keep(self, one: Held, kept: str) -> None:
        """Commit what a code brought, under no lease: it is used up, and nobody else has that."""
        for seconds in STUMBLES:
            with contextlib.suppress(StoreUnavailable):
                await self._its.write(lambda tx: held_messages.replace(tx, one, kept))
                return
            await asyncio.sleep(seconds)
        await self._its.write(lambda tx: held_messages.replace(tx, one, kept))

    async def _pin(self, one: Held, message: Message, found: Verified) -> None:
        """Commit what was proved, and call the portal by it from now on."""
        its, known = self._its, self._access.installation
        installation = _installation(its, message, found, one.received_at, known)

        def write(tx: Connection) -> None:
            installations.pin(tx, installation)
            held_messages.drop_through(tx, one)

        await self._writer.write(write)
        await self._access.reload()
        log.warning(
            "the application is installed",
            portal=its.name,
            user=found.user_id,
            member_id=found.member_id,
            hears_events=bool(installation.application_token_sha256),
        )

    async def _refuse(self, one: Held, why: NotVerified) -> None:
        """Write why a message is not believed, and count it where that is for good."""
        now, portal = self._its.now(), self._its.name
        waited = max(TRY_EVERY, min(now - one.received_at, _LONGEST_WAIT))
        try_at = now + waited if why.try_again else None

        def write(tx: Connection) -> None:
            held_messages.tried(tx, one, why.why, try_at)
            if try_at is None:
                refusals.note(tx, {(portal, NOT_BELIEVED): 1}, now)

        await self._writer.write(write)
        kind = "for good" if try_at is None else "for now"
        if count := self._lines[kind].count(kind):
            log.warning(
                "an installation message was not believed",
                portal=portal,
                why=why.why,
                again_at=None if try_at is None else try_at.isoformat(),
                count=count[kind],
            )


def _is_due(one: Held, now: datetime) -> bool:
    """Return whether a message is to be tried. A clock set back must not delay it for long."""
    return one.try_at is not None and not now < one.try_at <= now + _LONGEST_WAIT


def _with_tokens(message: Message, came: Granted) -> Message:
    return Message(
        form="code",
        domain=message.domain,
        member_id=message.member_id or came.member_id,
        endpoint=message.endpoint,
        expires_in=came.expires_in,
        access_token=came.access_token,
        refresh_token=came.refresh_token,
    )


def _installation(
    its: Application,
    message: Message,
    found: Verified,
    received_at: datetime,
    known: Installation | None,
) -> Installation:
    given, now = its.given, its.now()
    tokens = Tokens(message.access_token, message.refresh_token)
    return Installation(
        portal=its.name,
        state=State.INSTALLED,
        reason=None,
        domain=given.domain or "",
        member_id=found.member_id,
        client_id=given.client_id or "",
        oauth_host=found.oauth_host,
        user_id=found.user_id,
        application_token_sha256=_application_token(message, found, given.client_id, known),
        key_mark=its.seal.mark,
        tokens=sealed(its.seal, its.name, tokens),
        expires_at=received_at + timedelta(seconds=message.expires_in),
        installed_at=now,
        refreshed_at=received_at,
    )


def _application_token(
    message: Message, found: Verified, client_id: str | None, known: Installation | None
) -> str:
    """Return the digest of the application token; empty where it is not known.

    A code brings none. The portal's is the same as long as member and client are.
    """
    if message.application_token:
        return token_digest(message.application_token)
    if known is None or (known.member_id, known.client_id) != (found.member_id, client_id):
        return ""
    return known.application_token_sha256

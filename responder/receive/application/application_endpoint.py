"""Answers `/app/<portal>`: installation messages, events and the end of an authorization.

A POST with the application token that was pinned is an event, and is stored as one on `/events` is:
one durable commit, then 200. A well-formed installation message is held and answered 200, whatever
it says, because the first one comes before anything is known of the application, and the portal
never repeats it. The portal's driver verifies it later: nothing here calls anybody. A GET ends an
authorization in a browser, and must bring the `state` that `responder app` gave out.

Everything else is the same 403 as on `/events`, also for portals that do not exist.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import structlog
from starlette.types import Receive, Scope, Send

from responder.adapters.encryption import Seal
from responder.adapters.metrics import Metrics
from responder.bitrix24 import payload
from responder.bitrix24.oauth import installation_message
from responder.bitrix24.oauth.installation_message import INSTALLED, UNINSTALLED, Message
from responder.receive.application import authorization_state
from responder.receive.application.browser_pages import CONTINUE, FINISH
from responder.receive.application.pins import Pins
from responder.receive.endpoint import (
    BODY_BYTES,
    Accept,
    Disconnected,
    Refused,
    form_body,
    parsed,
    prepared_reply,
    row_of,
)
from responder.receive.refused_callers import SeldomLog
from responder.settings.settings import PortalSettings
from responder.store.applications import held_messages, installations
from responder.store.applications.held_messages import Sender
from responder.store.applications.installations import token_digest
from responder.store.database.engines import StoreUnavailable
from responder.store.group_commit import Commit

T = TypeVar("T")

_STATUSES = (200, 400, 403, 405, 408, 413, 415, 503)
_MOST_QUERY = 4096

logger = structlog.stdlib.get_logger(__name__)


class ApplicationEndpoint:
    """The ASGI application for `/app`, mounted there.

    `accept` stores one row of the inbox, and `write` commits anything else; both are done when it
    is durable. `held` is called with the portal of each message that was held.
    """

    def __init__(
        self,
        portals: Mapping[str, PortalSettings],
        *,
        secret_key: str,
        pins: Pins,
        accept: Accept,
        write: Commit,
        held: Callable[[str], None],
        metrics: Metrics,
        now: Callable[[], datetime],
        refused: Callable[[str | None, str], None],
    ) -> None:
        self._portals = {name for name, given in portals.items() if given.domain is not None}
        self._secret_key = secret_key
        self._seal = Seal(secret_key)
        self._pins = pins
        self._accept = accept
        self._write = write
        self._held = held
        self._now = now
        self._refused = refused
        self._replies = {status: prepared_reply(status, metrics) for status in _STATUSES}
        self._refusals = SeldomLog()
        self._faults = SeldomLog()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, whatever it is."""
        if scope["type"] != "http":
            return
        portal = _portal(scope)
        page: bytes | None = None
        try:
            if scope["method"] == "GET":
                page = await self._authorized(portal, scope)
            else:
                page = await self._posted(portal, scope, receive)
            status = 200
        except Refused as refused:
            status = refused.status
            self._refused(refused.portal, refused.why)
        except Disconnected:
            self._replies[408].tally(1)
            self._refused(None, "not complete")
            return
        except (StoreUnavailable, asyncio.CancelledError):
            status = 503
        except Exception:
            if count := self._faults.count("fault"):  # whoever found it may send it without end
                logger.exception(
                    "A delivery could not be stored because of an error of ours.", **count
                )
            status = 503
        await self._answer(status, page if status == 200 else None, send)

    async def _answer(self, status: int, page: bytes | None, send: Send) -> None:
        if status != 200 and (answers := self._refusals.count(str(status))):
            logger.warning("Deliveries to an application were refused.", answers=answers)
        reply = self._replies[status]
        reply.tally(1)
        start, rest = (reply.start, reply.rest) if page is None else _html(page)
        await send(start)
        await send(rest)

    async def _posted(self, portal: str, scope: Scope, receive: Receive) -> bytes | None:
        """Store an event, or hold an installation message; return the page of a browser, if any."""
        body = await form_body(scope, receive)
        if len(body) > BODY_BYTES:
            raise Refused(413, "too large")
        try:
            scanned = payload.scan(body)
        except payload.TooLarge:
            raise Refused(413, "too large") from None
        if portal not in self._portals:
            raise Refused(403, _why(scanned))
        if not self._pins.is_pinned(portal, scanned.token):
            found = installation_message.parse(payload.event(body), _query(scope))
            if found is None:
                raise Refused(403, _why(scanned), portal)
            return await self._hold(portal, found, Sender.ANYBODY)
        if scanned.member_id != self._pins.member_id(portal):
            raise Refused(403, "another member_id", portal)
        return await self._believed(portal, scanned, body)

    async def _believed(self, portal: str, scanned: payload.Scan, body: bytes) -> bytes | None:
        """Act on what came with the pinned application token."""
        try:
            call = parsed(scanned, portal)
        except payload.TooLarge:
            raise Refused(413, "too large") from None
        if call.event == INSTALLED:
            found = installation_message.parse(payload.event(body), {})
            if found is None:
                raise Refused(400, "not readable", portal)
            return await self._hold(portal, found, Sender.APPLICATION)
        if call.event == UNINSTALLED:
            await self._uninstall(portal, token_digest(scanned.token or b""))
            return None
        await self._accept(row_of(portal, self._now(), call, call.workflow_id))
        return None

    async def _uninstall(self, portal: str, token_sha256: str) -> None:
        """Note that the application with this token was deleted, if it is pinned still."""
        if await self._write(lambda tx: installations.uninstall(tx, portal, token_sha256)):
            logger.warning("the application was deleted in the portal", portal=portal)
            self._held(portal)

    async def _authorized(self, portal: str, scope: Scope) -> bytes:
        """Hold the code that a browser brought from the portal; return the page it shows."""
        query = _query(scope)
        known = portal if portal in self._portals else None
        found = installation_message.of_code(query)
        state = query.get("state", "")
        is_ours = authorization_state.holds(self._secret_key, portal, state, self._now())
        if known is None or found is None or not is_ours:
            raise Refused(403, "an authorization that was not asked for", known)
        await self._hold(portal, found, Sender.ADMINISTRATOR)
        return CONTINUE

    async def _hold(self, portal: str, found: Message, sender: Sender) -> bytes | None:
        """Commit a message until it is verified; return the page for a browser, if it is one."""
        page = FINISH if found.form == "interface" else None
        if portal in self._pins.full and sender is Sender.ANYBODY:
            return page  # so that a flood of messages costs the database nothing
        text = installation_message.to_text(found)
        message = self._seal.seal(text, held_messages.sealed_for(portal))
        digest = hashlib.sha256(text.encode()).hexdigest()
        now = self._now()
        has_room = await self._write(
            lambda tx: held_messages.hold(tx, portal, digest, message, now, sender)
        )
        if has_room:
            self._held(portal)
        else:
            self._pins.full.add(portal)
        return page


def _portal(scope: Scope) -> str:
    """Return the portal that the path names, below the place where this is mounted."""
    path: str = scope["path"].removeprefix(scope.get("root_path", ""))
    return path.strip("/")


def _query(scope: Scope) -> dict[str, str]:
    text = scope["query_string"][:_MOST_QUERY].decode("latin-1")
    return dict(parse_qsl(text, keep_blank_values=True))


def _why(scanned: payload.Scan) -> str:
    return "no application token" if scanned.token is None else "a wrong application token"


def _html(page: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the messages of an answer that a person sees in a browser."""
    headers = [
        (b"content-length", str(len(page)).encode()),
        (b"content-type", b"text/html; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"referrer-policy", b"no-referrer"),
    ]
    start = {"type": "http.response.start", "status": 200, "headers": headers}
    return start, {"type": "http.response.body", "body": page}

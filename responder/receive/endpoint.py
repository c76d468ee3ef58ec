"""Answers HTTP: `POST /events` stores what portals send; health, metrics and pages are beside it.

Receiving is the one hot path, and what is lost on it is lost for good. So `/events` is answered by
a plain ASGI function in front of Starlette: no middleware, no router, no objects for request and
response, one future for each commit and not for each delivery. The order is fixed: size, token,
parse, one durable commit, 200. Nothing here calls a portal.

Every wrong credential gets the same 403, byte for byte, so that nothing can be learned from it.
Every failure of ours is a 503: there is no other answer above 499.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import structlog
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from responder.adapters.metrics import CONTENT_TYPE, Metrics
from responder.bitrix24 import payload
from responder.receive.credentials import Credentials
from responder.receive.refused_callers import SeldomLog
from responder.receive.shared_answers import SharedAnswer
from responder.settings.settings import PortalSettings
from responder.store.database.engines import StoreUnavailable
from responder.store.inbox import inbox

BODY_BYTES = 64 * 1024

_FORM = b"application/x-www-form-urlencoded"
_TOO_LARGE = "too large"
_NO_FORM = "another content type"
_READY_SECONDS = 5
_REST_SECONDS = 0.05
_LONGEST_WORKFLOW_ID = 255
_LONGEST_LENGTH = 18  # digits, zeros before it among them; Python reads no more than 4,300

Accept = Callable[[inbox.Row], Awaitable[None]]
Ready = Callable[[], Awaitable[tuple[bool, dict[str, object]]]]

logger = structlog.stdlib.get_logger(__name__)


class Refused(Exception):  # noqa: N818 - a delivery that is refused is no error of ours
    """A delivery that gets `status` instead of a 200.

    `portal` is the one whose address the delivery named, if any.
    """

    def __init__(self, status: int, why: str, portal: str | None = None) -> None:
        self.status = status
        self.why = why
        self.portal = portal
        super().__init__(why)


class Endpoint:
    """The ASGI application of the public port.

    `accept` stores one row of the inbox and is done when it is durable; `ready` returns whether we
    can serve, and the detail for `/readyz`. With `shows_detail` false, that detail is left out and
    there is no `/metrics`. `application` answers `/app/<portal>`, and `pages` all other paths;
    `refused` is called for each refused delivery with its portal and the reason.
    """

    def __init__(
        self,
        portals: Mapping[str, PortalSettings],
        *,
        accept: Accept,
        ready: Ready,
        metrics: Metrics,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        shows_detail: bool = True,
        pages: ASGIApp | None = None,
        application: ASGIApp | None = None,
        refused: Callable[[str | None, str], None] = lambda _portal, _why: None,
    ) -> None:
        self.credentials = Credentials(portals)
        self._accept = accept
        self._refused = refused
        self._now = now
        self._replies = {status: prepared_reply(status, metrics) for status in _STATUSES}
        self._refusals = SeldomLog()
        self._other = other_routes(
            ready if shows_detail else _without_detail(ready),
            metrics if shows_detail else None,
            pages,
            application,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a delivery, or pass the request on to the router."""
        url_key = _url_key(scope["path"]) if scope["type"] == "http" else None
        if url_key is None:
            await self._other(scope, receive, send)
            return
        try:
            body = await form_body(scope, receive)
            await self._store(Target(url_key, scope["query_string"]), body)
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
            logger.exception("A delivery could not be stored because of an error of ours.")
            status = 503
        reply = self.answered(status)
        await send(reply.start)
        await send(reply.rest)

    def stored(self, target: "Target", body: bytes) -> "asyncio.Future[None] | None":
        """Return a future that is done when a delivery that was read whole is durable.

        Return None where the delivery is to be refused; the caller then runs the application, which
        answers it.
        """
        try:
            return asyncio.ensure_future(self._store(target, body))
        except Exception:  # noqa: BLE001 -- raised again in the application, which answers
            return None

    def _store(self, target: "Target", body: bytes) -> Awaitable[None]:
        return self._accept(self._row(target, body))

    def reply_to(self, stored: "asyncio.Future[None]", count: int) -> "Reply":
        """Return the answer to so many deliveries, whose future from `stored` is done."""
        error = None if stored.cancelled() else stored.exception()
        if error is not None and not isinstance(error, StoreUnavailable):
            logger.error(
                "A delivery could not be stored because of an error of ours.", exc_info=error
            )
        return self.answered(200 if error is None and not stored.cancelled() else 503, count)

    def answered(self, status: int, count: int = 1) -> "Reply":
        """Count so many answers to deliveries, and return the answer."""
        if status != 200 and (answers := self._refusals.count(str(status), count)):
            logger.warning("Deliveries were refused.", answers=answers)
        reply = self._replies[status]
        reply.tally(count)
        return reply

    def _row(self, target: "Target", body: bytes) -> inbox.Row:
        """Return a delivery's row for the inbox; raise Refused where it has none."""
        if len(body) > BODY_BYTES:
            raise Refused(413, _TOO_LARGE)
        try:
            scanned = payload.scan(body)
            portal = self._portal(scanned, target.url_key)
            call = parsed(scanned, portal)
        except payload.TooLarge:
            raise Refused(413, _TOO_LARGE) from None
        workflow_id = call.workflow_id
        if workflow_id is None and target.url_key and target.query:
            workflow_id = _workflow_id(target.query)
        return row_of(portal, self._now(), call, workflow_id)

    def _portal(self, scanned: payload.Scan, url_key: str) -> str:
        """Return the portal that sent this; raise Refused where that is not proved.

        Where there is a token it must be right, on the secret path too; only the secret path
        replaces a missing one.
        """
        portal = self.credentials.portal_of(scanned.token, scanned.member_id)
        if url_key:
            owner = self.credentials.portal_of_key(url_key)
            if scanned.token is None:
                portal = owner
            elif owner != portal:
                portal = None
        if portal is None:
            named, why = self.credentials.refusal(scanned, url_key)
            raise Refused(403, why, named)
        return portal


class Target(NamedTuple):
    """What a delivery is for, by its URL: the secret segment, if any, and the query."""

    url_key: str
    query: bytes


def target_of(scope: Scope) -> Target | None:
    """Return what a request is for that is a delivery by its head, or None."""
    url_key = _url_key(scope["path"])
    if url_key is None:
        return None
    try:
        _must_be_form(scope)
    except Refused:
        return None
    return Target(url_key, scope["query_string"])


def row_of(portal: str, at: datetime, call: payload.Call, workflow_id: str | None) -> inbox.Row:
    """Return the row of the inbox for what a portal sent."""
    return inbox.row(
        portal,
        at,
        "event" if call.shape == "event" else "robot",
        call.event,
        call.document_ref,
        workflow_id,
        call.form,
    )


async def form_body(scope: Scope, receive: Receive) -> bytes:
    """Read the form that a request brings; raise Refused where it brings none."""
    _must_be_form(scope)  # before its body is waited for
    message = await receive()
    body: bytes = message.get("body", b"")
    return await _rest(message, receive) if message.get("more_body", True) else body


def parsed(scanned: payload.Scan, portal: str) -> payload.Call:
    """Return the parsed body; raise Refused where it cannot be read."""
    # without a token, only the plain Webhook robot is accepted, and the answer is always a 403
    has_token = scanned.token is not None
    try:
        call = payload.call(scanned)
    except payload.Unreadable:
        raise Refused(400 if has_token else 403, "not readable", portal) from None
    if not has_token and call.shape != "webhook_robot":
        raise Refused(403, "no application token", portal)
    return call


class Disconnected(Exception):  # noqa: N818 - the client is gone: a state, not an error of ours
    """A state: the connection was closed, by either side, before its body was complete."""


def _url_key(path: str) -> str | None:
    """Return the secret segment of `/events/<url_key>`, "" for `/events`, None for other paths."""
    # a final slash is accepted: a redirect would lose the event
    if path in ("/events", "/events/"):
        return ""
    key = path.removeprefix("/events/").removesuffix("/")
    return key if path.startswith("/events/") and key and "/" not in key else None


def _must_be_form(scope: Scope) -> None:
    """Raise Refused for a request whose method or headers show that it is no delivery."""
    if scope["method"] != "POST":
        raise Refused(405, "not a POST")
    for name, value in scope["headers"]:
        if name == b"content-length":
            if len(value) > _LONGEST_LENGTH or int(value) > BODY_BYTES:
                raise Refused(413, _TOO_LARGE)
        elif name == b"content-type":
            if value != _FORM and value.partition(b";")[0].strip().lower() not in (_FORM, b""):
                raise Refused(415, _NO_FORM)
        elif name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            raise Refused(415, _NO_FORM)


async def _rest(message: Message, receive: Receive) -> bytes:
    """Return the body after its first message, read no further than a body may go."""
    body: bytes = message.get("body", b"")
    while message["type"] == "http.request":
        if len(body) > BODY_BYTES or not message.get("more_body", False):
            return body
        message = await receive()
        body += message.get("body", b"")
    raise Disconnected


def _workflow_id(query: bytes) -> str | None:
    """Return the last `workflow_id` of a query, or None; raise Refused for an empty one."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    given = [value for name, value in pairs if name == "workflow_id"]
    if not given:
        return None
    if not 0 < len(given[-1]) <= _LONGEST_WORKFLOW_ID:
        raise Refused(400, "a workflow_id that is none")
    return given[-1].replace("\0", "\ufffd")


# 408 is sent by `server.deadlines`, and only counted here.
_STATUSES = (200, 400, 403, 405, 408, 413, 415, 503)


class Reply(NamedTuple):
    """An answer: its two ASGI messages, the bytes after its status line, and its counter."""

    start: dict[str, Any]
    rest: dict[str, Any]
    status: int
    tail: bytes
    tally: Callable[[float], None]


def prepared_reply(status: int, metrics: Metrics) -> Reply:
    """Return an answer, prepared for all deliveries that get this status."""
    body = HTTPStatus(status).phrase.encode() + b"\n"
    headers = [(b"content-length", str(len(body)).encode())]
    if status != 200:  # uvicorn checks each header, and no client reads the body of a 200
        headers.append((b"content-type", b"text/plain; charset=utf-8"))
    if status == 405:
        headers.append((b"allow", b"POST"))
    start = {"type": "http.response.start", "status": status, "headers": headers}
    rest = {"type": "http.response.body", "body": body}
    lines = b"".join(b"%s: %s\r\n" % header for header in headers)
    tally = metrics.events_received.labels(str(status)).inc
    return Reply(start, rest, status, lines + b"\r\n" + body, tally)


def _without_detail(ready: Ready) -> Ready:
    """Return a readiness check without its detail."""

    async def brief() -> tuple[bool, dict[str, object]]:
        is_ready, _ = await ready()
        return is_ready, {"ready": is_ready}

    return brief


def other_routes(
    ready: Ready,
    metrics: Metrics | None,
    pages: ASGIApp | None,
    application: ASGIApp | None = None,
) -> Starlette:
    """Return the application for every other path: health, metrics, and pages if there are any."""
    routes: list[BaseRoute] = [*_routes(ready, metrics)]
    if application is not None:
        routes.append(Mount("/app", application))
    starlette = Starlette(routes=routes)
    starlette.router.redirect_slashes = False  # it would redirect to the Host header's host
    if pages is not None:
        starlette.router.default = pages
    return starlette


def _routes(ready: Ready, metrics: Metrics | None) -> list[Route]:
    doubts = SeldomLog()
    asked = SharedAnswer(ready, _REST_SECONDS)

    async def healthz(_request: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def readyz(_request: Request) -> Response:
        try:
            async with asyncio.timeout(_READY_SECONDS):
                is_ready, detail = await asked.answer()
        except Exception:
            if doubts.count("readiness"):
                logger.exception("The readiness check failed.")
            is_ready, detail = False, {"error": "the readiness check failed"}
        return JSONResponse(detail, 200 if is_ready else 503)

    routes = [Route("/healthz", healthz), Route("/readyz", readyz)]
    return routes if metrics is None else [*routes, metrics_route(metrics)]


def metrics_route(metrics: Metrics) -> Route:
    """Return the route of `/metrics`, for this port or for that of the pages."""
    # one at a time, and in a thread: with thousands of rules rendering takes a while
    written = SharedAnswer(partial(run_in_threadpool, metrics.render), _REST_SECONDS)

    async def show(_request: Request) -> Response:
        return Response(await written.answer(), media_type=CONTENT_TYPE)

    return Route("/metrics", show)

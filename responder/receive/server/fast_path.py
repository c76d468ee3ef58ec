"""Stores a delivery that arrives whole without starting a task for it.

Most deliveries arrive in one piece, head and body, and only need to be stored. A task for each, and
messages between it and the protocol, cost as much as reading the delivery; parsing its head costs
twice that. So where uvicorn would start the application, a request is held back until its body is
complete, which is a moment later in the same piece. Then it is stored at once, and its answer is
written when the shared commit is done: one answer, rendered once for all deliveries of that commit.
The next piece with the same head (`known_heads`) is stored without being parsed.

The application handles everything else: a body in several pieces, a refusal, pipelined requests, a
client that wants the connection closed or a `100 Continue`.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from responder.receive.endpoint import Endpoint, Reply, Target
from responder.receive.server.deadlines import DeadlineProtocol
from responder.receive.server.known_heads import KnownHeads


class FastProtocol(DeadlineProtocol):
    """HTTP/1.1 for one `Endpoint`; made by `protocol_for`."""

    answers: ClassVar["Answers"]
    heads: ClassVar[KnownHeads]

    def __init__(self, *given: Any, **named: Any) -> None:  # noqa: ANN401 -- uvicorn's business
        super().__init__(*given, **named)
        self._reads_request = False
        self._piece = b""  # what is parsed now, if it came between two requests
        self._held: RequestResponseCycle | None = None

    def data_received(self, data: bytes) -> None:
        """Store a delivery whose head is known; parse anything else."""
        if self._reads_request or self._ended or not self._is_idle() or self._ahead:
            super().data_received(data)
            return
        head = None if self.flow.write_paused else self.heads.of(data)
        if head is not None and self._store(head.target, data[head.length :]):
            self._request_came()
            return
        self._piece = data
        super().data_received(data)
        self._piece = b""
        held, self._held = self._held, None
        if held is not None and not self._ended:
            super()._start_asgi_task(held, self.app)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]
        """Start the application, unless the request may still come whole in this piece."""
        if self._piece and not self.flow.write_paused:
            self._held = cycle
        else:
            super()._start_asgi_task(cycle, app)

    def on_message_begin(self) -> None:
        """Note that the parser reads a request."""
        super().on_message_begin()
        self._reads_request = True

    def on_message_complete(self) -> None:
        """Store a delivery that came whole, and remember its head."""
        super().on_message_complete()
        self._reads_request = False
        held, self._held = self._held, None
        if held is None:
            return
        head = self.heads.remember(self._piece, held)
        if head is None or not self._store(head.target, bytes(held.body)):
            super()._start_asgi_task(held, self.app)

    def _store(self, target: Target, body: bytes) -> bool:
        """Store a delivery that came whole; return False where the application refuses it."""
        request = StoredRequest()
        if not self.answers.store(self, request, target, body):
            return False
        self.cycle = request  # type: ignore[assignment]
        return True

    def answer(self, request: "StoredRequest", rendered: "Rendered") -> None:
        """Write the answer to a request that was stored, or could not be."""
        if not self.transport.is_closing():
            self.transport.write(rendered.staying if request.keep_alive else rendered.closing)
        request.response_complete = True
        if not request.keep_alive:  # the server stops
            self.transport.close()
        self.on_response_complete()


class _Nobody:
    """In place of the event that an application would wait for."""

    def set(self) -> None:
        """Do nothing: nobody waits."""


class StoredRequest:
    """A request that is being stored, in place of uvicorn's own for one that an application has."""

    __slots__ = ("disconnected", "keep_alive", "response_complete")

    scope: ClassVar[Scope] = {"method": "POST"}
    message_event: ClassVar[_Nobody] = _Nobody()
    more_body: ClassVar[bool] = False

    def __init__(self) -> None:
        self.keep_alive = True  # until the server stops
        self.response_complete = False
        self.disconnected = False


class Rendered(NamedTuple):
    """An answer as bytes: for a connection that stays open, and for one that closes."""

    staying: bytes
    closing: bytes


class Answers:
    """Stores deliveries, and answers those together that one commit stored."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._stored: asyncio.Future[None] | None = None
        self._owed: list[tuple[FastProtocol, StoredRequest]] = []

    def store(
        self, protocol: FastProtocol, request: StoredRequest, target: Target, body: bytes
    ) -> bool:
        """Store a delivery, which is answered once it is durable; return False to refuse it."""
        stored = self._endpoint.stored(target, body)
        if stored is None:
            return False
        if stored is not self._stored or stored.done():
            self._stored, self._owed = stored, []
            stored.add_done_callback(partial(self._answer, self._owed))
        self._owed.append((protocol, request))
        return True

    def _answer(
        self, owed: list[tuple[FastProtocol, StoredRequest]], stored: "asyncio.Future[None]"
    ) -> None:
        """Answer all, now that it is known whether they are durable."""
        reply = self._endpoint.reply_to(stored, len(owed))
        rendered = _rendered(reply, owed[0][0].server_state.default_headers)
        for protocol, request in owed:
            try:
                protocol.answer(request, rendered)
            except Exception as error:  # noqa: BLE001 -- the others are answered all the same
                context = {"message": "a delivery could not be answered", "exception": error}
                stored.get_loop().call_exception_handler(context)
        owed.clear()


def _rendered(reply: Reply, headers: Sequence[tuple[bytes, bytes]]) -> Rendered:
    """Return an answer with the headers that every answer has."""
    begin = STATUS_LINE[reply.status] + b"".join(b"%s: %s\r\n" % header for header in headers)
    return Rendered(begin + reply.tail, begin + b"connection: close\r\n" + reply.tail)


def protocol_for(endpoint: Endpoint) -> type[FastProtocol]:
    """Return the protocol class that stores through this application."""
    return type("Protocol", (FastProtocol,), {"answers": Answers(endpoint), "heads": KnownHeads()})

"""Stores a delivery that arrives whole without starting a task for it.

Most deliveries arrive in one piece, head and body, and only need to be stored. A task for each, and
messages between it and the protocol, cost as much as reading the delivery. So where uvicorn would
start the application, such a request is held back until its body is complete, which is a moment
later in the same piece; then it is stored at once, and its answer is written when the shared commit
is done.

The application handles everything else: a body in several pieces, a refusal, pipelined requests, a
client that wants the connection closed or a `100 Continue`.
"""

import asyncio
from functools import partial
from typing import Any, ClassVar

from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from responder.receive.endpoint import Endpoint
from responder.receive.server.deadlines import DeadlineProtocol
from responder.store.commit_batch import SharedFuture


class FastProtocol(DeadlineProtocol):
    """HTTP/1.1 for one `Endpoint`; made by `protocol_for`."""

    endpoint: ClassVar[Endpoint]
    dated: ClassVar[list[tuple[bytes, bytes]] | None] = None
    written: ClassVar[bytes] = b""

    def __init__(self, *given: Any, **named: Any) -> None:  # noqa: ANN401 -- uvicorn's business
        super().__init__(*given, **named)
        self._held: RequestResponseCycle | None = None
        self._parses = False

    def data_received(self, data: bytes) -> None:
        """Parse what arrived; a request that is not complete then goes to the application."""
        self._parses = True
        super().data_received(data)
        self._parses = False
        held, self._held = self._held, None
        if held is not None and not self._ended:
            super()._start_asgi_task(held, self.app)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]
        """Start the application, unless the request may be stored without a task."""
        if (
            self._parses
            and cycle.keep_alive
            and not cycle.waiting_for_100_continue
            and not self.flow.write_paused
            and cycle.scope["method"] == "POST"
        ):
            self._held = cycle
        else:
            super()._start_asgi_task(cycle, app)

    def on_message_complete(self) -> None:
        """Store the request that was held back, now that it is complete."""
        super().on_message_complete()
        cycle = self._held
        if cycle is None:
            return
        self._held = None
        stored = self.endpoint.stored(cycle.scope, bytes(cycle.body))  # type: ignore[arg-type]
        if stored is None:
            super()._start_asgi_task(cycle, self.app)
        else:
            add = stored.then if isinstance(stored, SharedFuture) else stored.add_done_callback
            add(partial(self._answer, cycle))

    def _answer(self, cycle: RequestResponseCycle, stored: "asyncio.Future[None]") -> None:
        """Write the answer, once it is known whether the delivery is durable."""
        reply = self.endpoint.reply_to(stored)
        if not self.transport.is_closing():
            closes = b"" if cycle.keep_alive else b"connection: close\r\n"  # the server stops
            self.transport.write(STATUS_LINE[reply.status] + self._always() + closes + reply.tail)
        cycle.response_started = cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()

    def _always(self) -> bytes:
        """Return the headers that every answer has, rendered anew when the date in them changes."""
        kind, headers = type(self), self.server_state.default_headers
        if kind.dated is not headers:
            kind.dated = headers
            kind.written = b"".join(b"%s: %s\r\n" % header for header in headers)
        return kind.written


def protocol_for(endpoint: Endpoint) -> type[FastProtocol]:
    """Return the protocol class that stores through this application."""
    return type("Protocol", (FastProtocol,), {"endpoint": endpoint})

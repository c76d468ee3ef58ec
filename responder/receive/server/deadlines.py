"""Gives slow clients a deadline, which uvicorn itself does not have.

A connection is waited for in two places: for a request's head, from the moment it is opened or the
request's first byte arrives, and for its body, from the end of the head. Each may take
`patience_seconds`; then the answer is 408 and the connection closes. Without that, a few hundred
silent sockets use up the file descriptors, and real events, which nobody sends again, find none.

`_due_at` is that deadline, or None while the client waits for us. One timer a connection checks it.
The timer is never moved: it checks `_due_at` when it fires, so that a busy connection pays an
assignment for each request and no more. Between requests uvicorn's keep-alive timer runs; anything
that arrives stops it, so whatever does not begin a request gets a deadline here too.

A head may have `HEAD_BYTES`, since httptools would go on collecting for ever; the same holds, with
a larger limit, for what surrounds a chunked body (`_framing_bytes` counts all that is not body).

Requests may be pipelined, but uvicorn parses all that arrives of them and reads on after every
answer: one client that sends faster than it is answered would fill the memory. Here what arrives is
parsed a slice at a time, and what came after a request that must wait its turn is kept unparsed
(`_ahead`), with nothing more read, until that turn comes.

A client that does not read its answers is waited for as long, unless it reads `_PROGRESS_BYTES` of
them meanwhile; then the connection is reset, for a close would wait for the client again. What is
left of a body after its answer (413, say) is read and dropped until the same deadline, and only
then is the connection closed for a client that wanted that: closing at once would reset it, and the
client would not see its answer.

A request that cannot be parsed, or is refused, is answered in its turn, after the answers to the
requests before it. Nothing that follows it is read (`_ended`), nor what follows a request that
closes the connection. This matters most for a request for an upgrade: the parser takes its body for
another protocol, and when that protocol is not used, it takes the rest for another request, whose
answer a proxy would give to the next caller.

A client may half-close: say that nothing more comes from it, and still wait for its answers.
uvicorn would close at once; here all that was complete by then is answered first (`_eof_came`).
"""

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

import httptools
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from responder.receive.server.connections import OpenConnections
from responder.receive.server.request_head import (
    BadHead,
    malformed,
    must_be_well_formed,
    refusal_for,
    with_a_path,
)
from responder.receive.server.sockets import HEAD_BYTES, PATIENCE_SECONDS

MOST_HEADERS = 100

_SLICE_BYTES = 4096
_PROGRESS_BYTES = 16 * 1024
_FRAMING_BYTES = 1024 * 1024  # a body of 64 KiB in chunks of one byte has a third of that


class _ClosesWhenRead:
    """A transport whose `close` waits until the request has been read."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close


class _PausedReading(FlowControl):
    """Flow control that does not resume reading while parsed requests wait their turn."""

    def __init__(self, transport: asyncio.Transport, waits: Callable[[], bool]) -> None:
        super().__init__(transport)
        self._waits = waits

    def resume_reading(self) -> None:
        """Resume reading, unless requests wait."""
        if self.read_paused and not self._waits():
            super().resume_reading()


class DeadlineProtocol(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it, with deadlines for the client."""

    patience_seconds: ClassVar[float] = PATIENCE_SECONDS

    @staticmethod
    def on_refused(kind: str) -> None:
        """Count a refused request by its kind; replaced by `server_config`."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.headers = []
        self.room: OpenConnections | None = None
        self.active_at = self.loop.time()
        self._due_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._in_head = True
        self._framing_bytes = 0
        self._ended = False
        self._eof_came = False
        self._refusal_due: int | None = None
        self._closes_after_body = False
        self._ahead = b""
        self._answering: RequestResponseCycle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the deadline of the first request."""
        super().connection_made(transport)
        self.flow = _PausedReading(transport, self._requests_wait)
        self._start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        for timer in (self._timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._write_timer = None
        self._ahead = b""
        if self._answering is not None:  # uvicorn notifies the last request only
            self._answering.disconnected = True
            self._answering.message_event.set()
        super().connection_lost(exc)
        if self.room is not None:
            self.room.remove(self)

    def awaits_answer(self) -> bool:
        """Return whether it sent a request that is not answered yet."""
        if self.transport is None:
            return True
        cycle = self.cycle
        return (
            cycle is not None
            and not (cycle.response_complete or cycle.more_body)
            and cycle.scope["method"] == "POST"
            and not self.flow.write_paused
        )

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, as far as it need not wait its turn."""
        if self._ended:
            return
        if self._ahead or self.pipeline:
            self._ahead += data
            self.flow.pause_reading()
            return
        if len(data) <= _SLICE_BYTES:
            self._parse(data)
            return
        for start in range(0, len(data), _SLICE_BYTES):
            self._parse(data[start : start + _SLICE_BYTES])
            if self._ended or self.transport.is_closing():
                return
            if self.pipeline:
                self._ahead = data[start + _SLICE_BYTES :]
                return

    def eof_received(self) -> bool:  # type: ignore[override]
        """Return whether to keep the connection: until all complete requests are answered."""
        self._eof_came = True
        return self._owes_answers()

    def _owes_answers(self) -> bool:
        parts = self._refusal_due is not None
        return parts or bool(self._ahead) or self._is_earlier_unanswered()

    def on_response_complete(self) -> None:
        """Continue with pipelined requests."""
        was_last = not self.pipeline
        super().on_response_complete()
        if self._refusal_due is not None and was_last:
            self._send_refusal(self._refusal_due)
            return
        if self.flow.read_paused:
            self.flow.resume_reading()
        if self._ahead and not self.pipeline:
            self.loop.call_soon(self._parse_ahead)
        elif self._eof_came and not self._owes_answers():
            self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]
        if self._answering is None:  # with no buffer, pause_writing is called for any unread rest
            self.transport.set_write_buffer_limits(high=0)
        self._answering = cycle
        super()._start_asgi_task(cycle, app)  # type: ignore[arg-type]

    def _requests_wait(self) -> bool:
        return bool(self.pipeline or self._ahead)

    def _parse_ahead(self) -> None:
        if not self.transport.is_closing() and not self.pipeline:
            ahead, self._ahead = self._ahead, b""
            self.flow.resume_reading()
            self.data_received(ahead)
            if self._eof_came and not self._owes_answers():
                self.transport.close()

    def pause_writing(self) -> None:
        """Start checking that the client reads what was sent."""
        super().pause_writing()
        self._watch_writing()

    def resume_writing(self) -> None:
        """Stop checking: the client has read everything."""
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _watch_writing(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._write_timer = self.loop.call_later(self.patience_seconds, self._check_writing, left)

    def _check_writing(self, left: int) -> None:
        if self.transport.get_write_buffer_size() > left - _PROGRESS_BYTES:
            self.transport.abort()
        else:
            self._watch_writing()

    def _parse(self, data: bytes) -> None:
        """Parse some bytes, counting what is not body."""
        self._framing_bytes += len(data)
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._ended:  # else the error is of what follows a request that closes
                unfit = refusal_for(error)
                self._refuse(unfit.status, unfit.kind)
            return
        if self._framing_bytes > HEAD_BYTES and not self.transport.is_closing():
            if self._in_head or self._framing_bytes > _FRAMING_BYTES:
                self._refuse(413, "head")
        elif len(self.headers) > MOST_HEADERS:
            self._refuse(431, "headers")
        elif self._in_head and self._due_at is None and self._is_idle():
            self._start_deadline()

    def on_message_begin(self) -> None:
        """Start the deadline of this head."""
        if self._ended:
            raise malformed()
        super().on_message_begin()
        self._in_head = True
        self._start_deadline()

    def on_headers_complete(self) -> None:
        """Start the application, and the deadline of this body."""
        version = self.parser.get_http_version()
        self._check_head(version)
        self.url = with_a_path(self.url)
        if version == "1.0":  # which has no 100 Continue
            self.expect_100_continue = False
        super().on_headers_complete()
        self._in_head = False
        self._start_deadline()
        self.headers = []  # so that trailers are not added to this request's head
        if not self.cycle.keep_alive:
            lingering = _ClosesWhenRead(self.transport, self._close_when_read)
            self.cycle.transport = lingering  # type: ignore[assignment]

    def _check_head(self, version: str) -> None:
        """Raise BadHead for a head that RFC 9112 refuses, or that is too large."""
        if self.parser.should_upgrade():
            raise BadHead(400, "upgrade")
        if self._framing_bytes > HEAD_BYTES and self._size_of_head() > HEAD_BYTES:
            raise BadHead(413, "head")
        if len(self.headers) > MOST_HEADERS:
            raise BadHead(431, "headers")
        must_be_well_formed(version, self.headers)

    def on_body(self, body: bytes) -> None:
        """Collect the body for the application."""
        self._framing_bytes -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop the deadline until something arrives."""
        super().on_message_complete()
        self._in_head = True
        self._framing_bytes = 0
        self._due_at = None
        if self._closes_after_body:
            self.transport.close()
        self._ended = not self.cycle.keep_alive

    def _request_came(self) -> None:
        """Do for a request that came whole what is done for one that was parsed."""
        self._unset_keepalive_if_required()
        self.active_at = self.loop.time()
        self._framing_bytes = 0
        self._due_at = None

    def _close_when_read(self) -> None:
        if self._in_head:
            self.transport.close()
        else:
            self._closes_after_body = True

    def _size_of_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _is_idle(self) -> bool:
        return self.cycle is None or (self.cycle.response_complete and not self.pipeline)

    def _start_deadline(self) -> None:
        self.active_at = self.loop.time()
        self._due_at = self.active_at + self.patience_seconds
        if self._timer is None:
            self._timer = self.loop.call_at(self._due_at, self._check_deadline)

    def _check_deadline(self) -> None:
        self._timer = None
        if self._due_at is None or self.transport.is_closing():
            return
        if self.loop.time() < self._due_at:
            self._timer = self.loop.call_at(self._due_at, self._check_deadline)
        elif self._is_earlier_unanswered():
            self._start_deadline()  # the client waits for us, so what it sends next may wait too
        else:
            self._refuse(408, "late")

    def _is_earlier_unanswered(self) -> bool:
        """Return whether an earlier request on this connection still waits for its answer."""
        if self._in_head:
            return not self._is_idle()
        return bool(self.pipeline)

    def _refuse(self, status: int, kind: str) -> None:
        """Read nothing more, and refuse the present request once all before it are answered."""
        self.on_refused(kind)
        self._ended = True
        self._due_at = None
        self._ahead = b""
        if self._is_earlier_unanswered():
            self._refusal_due = status
            if not self._in_head:
                self.pipeline.popleft()  # this one's own turn never comes
            return
        if not self._in_head:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.close()
                return
        self._send_refusal(status)

    def _send_refusal(self, status: int) -> None:
        if self.transport.is_closing():
            return
        lines = [b"%s: %s\r\n" % header for header in self.server_state.default_headers]
        lines += [b"content-length: 0\r\n", b"connection: close\r\n", b"\r\n"]
        self.transport.write(STATUS_LINE[status] + b"".join(lines))
        self.transport.close()

"""Gives slow clients a deadline, which uvicorn itself does not have.

A connection is waited for in two places: for a request's head, from the moment it is opened or the
request's first byte arrives, and for its body, from the end of the head. Each may take
`patience_seconds`; then the answer is 408 and the connection closes. Without that, a few hundred
silent sockets use up the file descriptors, and real events, which nobody sends again, find none.

`_due_at` is that deadline, or None while it is we who are waited for. One timer a connection looks
at it: it is never moved, it looks again when it fires, so that a busy connection pays an assignment
for each request and no more. Between requests uvicorn's keep-alive timer runs; anything that
arrives stops it, so whatever does not begin a request gets a deadline here too.

A head may have `HEAD_BYTES`, since httptools would go on collecting for ever; the same goes, more
generously, for what surrounds a chunked body (`_framing_bytes` counts all that is not body).

Requests may be sent ahead, but uvicorn parses all that arrives of them and reads on after every
answer: one client that sends faster than it is answered would fill the memory. Here what arrives is
parsed a slice at a time, and what came after a request that must wait its turn stays as it is, with
nothing more read, until that turn comes.

A client that does not take its answers is waited for as long, unless it takes `_PROGRESS_BYTES` of
them meanwhile; then the connection is reset, for a close would wait for the client again. What
is left of a body after its answer (413, say) is read and dropped until the same deadline, and only
then is the connection closed for a client that wanted that: to close it at once is to reset it, and
the client would not see its answer.

What cannot be read, or is not to be, is refused in its turn, after the answers to what came before
it; of what follows it nothing is read (`_ended`), and so it is behind a request that closes. Above
all behind one that asks for an upgrade: the parser takes its body for another protocol, and when
that is not spoken it takes the rest for another request, whose answer a proxy would give to the
next caller.

A client may say that nothing more comes from it, and wait for its answers nevertheless. uvicorn
would close at once; here all that came whole by then is answered first (`_heard_all`).
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

from responder.receive.server.connections import Room
from responder.receive.server.request_head import (
    Unfit,
    malformed,
    must_be_well_formed,
    unfit_for,
    with_a_path,
)
from responder.receive.server.sockets import HEAD_BYTES, PATIENCE_SECONDS

MOST_HEADERS = 100

_SLICE_BYTES = 4096
_PROGRESS_BYTES = 16 * 1024
_FRAMING_BYTES = 1024 * 1024  # a body of 64 KiB in chunks of one byte has a third of that


class _Lingering:
    """A transport that closes when the request has been read."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close


class _InTurn(FlowControl):
    """Reads nothing more while what was read waits its turn, whoever asks for it."""

    def __init__(self, transport: asyncio.Transport, waits: Callable[[], bool]) -> None:
        super().__init__(transport)
        self._waits = waits

    def resume_reading(self) -> None:
        """Read on, if it is time to."""
        if self.read_paused and not self._waits():
            super().resume_reading()


class PatientProtocol(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it, for clients that finish what they begin."""

    patience_seconds: ClassVar[float] = PATIENCE_SECONDS

    @staticmethod
    def note(kind: str) -> None:
        """Hear of what kind a request was that is refused."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.headers = []
        self.room: Room | None = None
        self.heard_at = self.loop.time()
        self._due_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._in_head = True
        self._framing_bytes = 0
        self._ended = False
        self._heard_all = False
        self._parting: int | None = None
        self._closes = False
        self._ahead = b""
        self._answering: RequestResponseCycle | None = None
        self._taking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect the first request."""
        super().connection_made(transport)
        self.flow = _InTurn(transport, self._others_wait)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        for timer in (self._timer, self._taking):
            if timer is not None:
                timer.cancel()
        self._timer = self._taking = None
        self._ahead = b""
        if self._answering is not None:  # uvicorn tells the last request alone
            self._answering.disconnected = True
            self._answering.message_event.set()
        super().connection_lost(exc)
        if self.room is not None:
            self.room.leave(self)

    def is_owed(self) -> bool:
        """Tell whether it brought something that is not answered yet."""
        if self.transport is None:
            return True
        cycle = self.cycle
        return (
            cycle is not None
            and not (cycle.response_complete or cycle.more_body)
            and cycle.scope["method"] == "POST"
            and not self.flow.write_paused
        )

    def let_go(self) -> None:
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
        """Keep the connection until all that came whole is answered, though nothing more comes."""
        self._heard_all = True
        return self._owes()

    def _owes(self) -> bool:
        parts = self._parting is not None
        return parts or bool(self._ahead) or self._others_are_unanswered()

    def on_response_complete(self) -> None:
        """Go on with what was sent ahead."""
        was_last = not self.pipeline
        super().on_response_complete()
        if self._parting is not None and was_last:
            self._part(self._parting)
            return
        if self.flow.read_paused:
            self.flow.resume_reading()
        if self._ahead and not self.pipeline:
            self.loop.call_soon(self._go_on)
        elif self._heard_all and not self._owes():
            self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]
        if self._answering is None:  # an answer may be long: hear of all of it that is not taken
            self.transport.set_write_buffer_limits(high=0)
        self._answering = cycle
        super()._start_asgi_task(cycle, app)  # type: ignore[arg-type]

    def _others_wait(self) -> bool:
        return bool(self.pipeline or self._ahead)

    def _go_on(self) -> None:
        if not self.transport.is_closing() and not self.pipeline:
            ahead, self._ahead = self._ahead, b""
            self.flow.resume_reading()
            self.data_received(ahead)
            if self._heard_all and not self._owes():
                self.transport.close()

    def pause_writing(self) -> None:
        """Expect the client to take what was sent to it."""
        super().pause_writing()
        self._expect_taking()

    def resume_writing(self) -> None:
        """Expect nothing, for all of it was taken."""
        super().resume_writing()
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def _expect_taking(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._taking = self.loop.call_later(self.patience_seconds, self._look_at_taking, left)

    def _look_at_taking(self, left: int) -> None:
        if self.transport.get_write_buffer_size() > left - _PROGRESS_BYTES:
            self.transport.abort()
        else:
            self._expect_taking()

    def _parse(self, data: bytes) -> None:
        """Parse some bytes, counting what is not body."""
        self._framing_bytes += len(data)
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._ended:  # else it came upon what follows a request that closes
                unfit = unfit_for(error)
                self._give_up(unfit.status, unfit.kind)
            return
        if self._framing_bytes > HEAD_BYTES and not self.transport.is_closing():
            if self._in_head or self._framing_bytes > _FRAMING_BYTES:
                self._give_up(413, "head")
        elif len(self.headers) > MOST_HEADERS:
            self._give_up(431, "headers")
        elif self._in_head and self._due_at is None and self._is_idle():
            self._expect()

    def on_message_begin(self) -> None:
        """Expect the rest of this head."""
        if self._ended:
            raise malformed()
        super().on_message_begin()
        self._in_head = True
        self._expect()

    def on_headers_complete(self) -> None:
        """Start the application, and expect the rest of this body."""
        self._must_be_fit()
        self.url = with_a_path(self.url)
        if self.parser.get_http_version() == "1.0":  # it knows no answer but the last
            self.expect_100_continue = False
        super().on_headers_complete()
        self._in_head = False
        self._expect()
        self.headers = []  # of trailers, which are none of this request's head
        if not self.cycle.keep_alive:
            lingering = _Lingering(self.transport, self._close_when_read)
            self.cycle.transport = lingering  # type: ignore[assignment]

    def _must_be_fit(self) -> None:
        """Raise Unfit for a head that RFC 9112 has refused, or that is not to be followed."""
        if self.parser.should_upgrade():
            raise Unfit(400, "upgrade")
        if self._framing_bytes > HEAD_BYTES and self._size_of_head() > HEAD_BYTES:
            raise Unfit(413, "head")
        if len(self.headers) > MOST_HEADERS:
            raise Unfit(431, "headers")
        must_be_well_formed(self.parser.get_http_version(), self.headers)

    def on_body(self, body: bytes) -> None:
        """Collect the body for the application."""
        self._framing_bytes -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Expect nothing until something arrives."""
        super().on_message_complete()
        self._in_head = True
        self._framing_bytes = 0
        self._due_at = None
        if self._closes:
            self.transport.close()
        self._ended = not self.cycle.keep_alive

    def _close_when_read(self) -> None:
        if self._in_head:
            self.transport.close()
        else:
            self._closes = True

    def _size_of_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _is_idle(self) -> bool:
        return self.cycle is None or (self.cycle.response_complete and not self.pipeline)

    def _expect(self) -> None:
        self.heard_at = self.loop.time()
        self._due_at = self.heard_at + self.patience_seconds
        if self._timer is None:
            self._timer = self.loop.call_at(self._due_at, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._due_at is None or self.transport.is_closing():
            return
        if self.loop.time() < self._due_at:
            self._timer = self.loop.call_at(self._due_at, self._look)
        elif self._others_are_unanswered():
            self._expect()  # the client waits for us, so what it sends next may wait too
        else:
            self._give_up(408, "late")

    def _others_are_unanswered(self) -> bool:
        """Say whether an earlier request on this connection still waits for its answer."""
        if self._in_head:
            return not self._is_idle()
        return bool(self.pipeline)

    def _give_up(self, status: int, kind: str) -> None:
        """Read nothing more, and refuse what is being read, once all before it is answered."""
        self.note(kind)
        self._ended = True
        self._due_at = None
        self._ahead = b""
        if self._others_are_unanswered():
            self._parting = status
            if not self._in_head:
                self.pipeline.popleft()  # this one's own turn never comes
            return
        if not self._in_head:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.close()
                return
        self._part(status)

    def _part(self, status: int) -> None:
        if self.transport.is_closing():
            return
        lines = [b"%s: %s\r\n" % header for header in self.server_state.default_headers]
        lines += [b"content-length: 0\r\n", b"connection: close\r\n", b"\r\n"]
        self.transport.write(STATUS_LINE[status] + b"".join(lines))
        self.transport.close()

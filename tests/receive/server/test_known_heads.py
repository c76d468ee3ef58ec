"""A head that is known is taken for what the parser made of it, and only where it comes again."""

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import cast

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from responder.adapters.metrics import Metrics
from responder.receive.endpoint import Endpoint
from responder.receive.server import fast_path, known_heads
from responder.receive.server.deadlines import DeadlineProtocol
from responder.receive.server.fast_server import server_config
from responder.settings.settings import PortalSettings
from responder.store.commit_batch import SharedFuture
from responder.store.inbox import inbox
from tests.support.uvicorn_thread import FORM, request

TOKEN = "known-token-0123456789"
DEAL = b"event=ONCRMDEALUPDATE&data[FIELDS][ID]=%d&auth[application_token]=" + TOKEN.encode()
BODY = DEAL % 1


def staying(body: bytes, *more: bytes, path: str = "/events", method: str = "POST") -> bytes:
    sent = request(body, path=path, method=method, headers=more)
    return sent.replace(b"Connection: close\r\n", b"")


def chunked(body: bytes) -> bytes:
    head = staying(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    return head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


class Wire(asyncio.Transport):
    """A connection: what was written to it, and whether it is open."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written = b""
        self.closed = False
        self.paused = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is no buffer."""

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Service:
    """A service with connections that it answers, and the rows that it stored."""

    def __init__(self, *, knows: bool) -> None:
        self.rows: list[inbox.Row] = []
        self._stored: SharedFuture | None = None
        portal = PortalSettings(
            url=SecretStr("https://portal.example/rest/1/hook-secret-0001/"),
            application_tokens=(SecretStr(TOKEN),),
        )

        async def ready() -> tuple[bool, dict[str, object]]:
            return True, {}

        endpoint = Endpoint({"main": portal}, accept=self._accept, ready=ready, metrics=Metrics())
        protocol: type[DeadlineProtocol] = DeadlineProtocol
        if knows:
            protocol = fast_path.protocol_for(endpoint)
        self._config = server_config(endpoint, host="127.0.0.1", port=1, protocol=protocol)
        self._config.load()
        self._state = ServerState()
        self._state.default_headers = [(b"date", b"Mon, 05 Jan 2026 00:00:00 GMT")]

    def connection(self) -> tuple[DeadlineProtocol, Wire]:
        kind = cast("type[DeadlineProtocol]", self._config.http_protocol_class)
        made, wire = kind(self._config, self._state, {}), Wire()
        made.connection_made(wire)
        return made, wire

    def _accept(self, row: inbox.Row) -> SharedFuture:
        self.rows.append((*row[:1], 0, *row[2:]))
        if self._stored is None:
            self._stored = SharedFuture(loop=asyncio.get_running_loop())
        return self._stored

    async def commit(self) -> None:
        """Commit until all that can be answered is answered."""
        await turns()
        while self._stored is not None:
            stored, self._stored = self._stored, None
            stored.set_result(None)
            await turns()

    async def answers(self, pieces: Iterable[tuple[bytes, bool]]) -> bytes:
        """Send these on a connection, with a commit after some of them; return what is written."""
        protocol, wire = self.connection()
        for piece, commits in pieces:
            if not wire.closed:
                protocol.data_received(piece)
            if commits:
                await self.commit()
        await self.commit()
        protocol.connection_lost(None)
        return wire.written + (b"closed" if wire.closed else b"")


async def turns() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


KNOWN = tuple(staying(DEAL % number) for number in (1, 2, 10))
PIECES = (
    *KNOWN,
    *KNOWN,
    KNOWN[0] + KNOWN[1],
    KNOWN[0] + KNOWN[1][:30],
    KNOWN[0][:30],
    KNOWN[0][30:],
    KNOWN[0].partition(BODY)[0],
    BODY,
    staying(KNOWN[0]).removesuffix(KNOWN[0]),
    b"POST /events HTTP/1.1\r\nHost: responder.example\r\nX-More: ",
    b"POST ",
    b"\r\n",
    staying(DEAL % 3, b"X-More: yes"),
    staying(DEAL % 4, path="/events/"),
    staying((DEAL % 5).replace(b"known", b"wrong")),
    staying((DEAL % 5).replace(b"event", b"evening")),
    staying(DEAL % 6, b"Expect: 100-continue"),
    staying(DEAL % 7, b"Content-Encoding: gzip"),
    staying(DEAL % 8, b"Upgrade: websocket", b"Connection: Upgrade"),
    staying(DEAL % 9).replace(b"HTTP/1.1", b"HTTP/1.0"),
    staying(b"a=b&" + KNOWN[0]),
    staying(b""),
    staying(b"", method="GET", path="/healthz"),
    request(BODY),
    chunked(BODY),
    chunked(KNOWN[0]),
)
streams = st.lists(st.tuples(st.sampled_from(PIECES), st.booleans()), min_size=1, max_size=6)


@settings(max_examples=250)
@given(streams)
def test_whatever_is_sent_the_answers_and_rows_are_those_of_a_service_that_knows_no_head(
    pieces: list[tuple[bytes, bool]],
) -> None:
    async def played(*, knows: bool) -> tuple[bytes, list[inbox.Row]]:
        service = Service(knows=knows)
        await service.answers((piece, True) for piece in KNOWN)
        return await service.answers(pieces), service.rows

    assert uvloop.run(played(knows=True)) == uvloop.run(played(knows=False))


SCOPE = {
    "path": "/events",
    "method": "POST",
    "query_string": b"",
    "headers": [(b"content-type", FORM)],
}


def parsed(body: bytes, **other: object) -> RequestResponseCycle:
    """Return what uvicorn makes of a delivery."""
    known = {"scope": SCOPE, "keep_alive": True, "waiting_for_100_continue": False}
    made = SimpleNamespace(body=bytearray(body), **known | other)
    return cast("RequestResponseCycle", made)


WHOLE = KNOWN[0]


def test_a_head_is_known_once_its_request_was_parsed() -> None:
    heads = known_heads.KnownHeads()
    assert heads.of(WHOLE) is None
    heads.remember(WHOLE, parsed(BODY))
    head = heads.of(staying(DEAL % 2))
    assert head is not None
    assert WHOLE[head.length :] == BODY
    assert (head.target.url_key, head.target.query) == ("", b"")


@pytest.mark.parametrize(
    "piece", [WHOLE[:-1], WHOLE + b"x", WHOLE + WHOLE, WHOLE[1:], b"\r\n" + WHOLE, BODY, b""]
)
def test_nothing_but_the_same_head_with_a_body_as_long_is_known(piece: bytes) -> None:
    heads = known_heads.KnownHeads()
    heads.remember(WHOLE, parsed(BODY))
    assert heads.of(piece) is None


@pytest.mark.parametrize(
    ("piece", "cycle"),
    [
        (WHOLE + WHOLE, parsed(BODY)),
        (WHOLE[:-1], parsed(BODY)),
        (chunked(BODY), parsed(BODY)),
        (WHOLE, parsed(BODY, keep_alive=False)),
        (WHOLE, parsed(BODY, waiting_for_100_continue=True)),
        (WHOLE, parsed(BODY, scope=SCOPE | {"method": "GET"})),
        (WHOLE, parsed(BODY, scope=SCOPE | {"path": "/login"})),
        (WHOLE, parsed(BODY, scope=SCOPE | {"headers": [(b"content-encoding", b"x")]})),
        (staying(b"a" * known_heads.LONGEST_PIECE), parsed(b"a" * known_heads.LONGEST_PIECE)),
    ],
)
def test_no_other_request_is_remembered(piece: bytes, cycle: RequestResponseCycle) -> None:
    heads = known_heads.KnownHeads()
    heads.remember(piece, cycle)
    assert heads.of(piece) is None


def test_many_heads_are_forgotten_and_learnt_again() -> None:
    heads = known_heads.KnownHeads()
    for number in range(300):
        heads.remember(staying(BODY, b"X-Number: %d" % number), parsed(BODY))
    known = [heads.of(staying(BODY, b"X-Number: %d" % number)) for number in range(300)]
    assert known[0] is None
    assert known[299] is not None
    assert 0 < sum(head is not None for head in known) <= 256

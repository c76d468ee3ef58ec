"""Served plainly, a body has its time, and nothing is read behind what must be the last."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvloop

from responder.adapters.metrics import Metrics
from responder.receive.server.connections import OpenConnections
from responder.receive.server.plain_server import PlainServer
from tests.receive.server.test_fast_path import DEAL, Receiving, one_answer, staying
from tests.support.uvicorn_thread import asked, connected, parsed, received, request

PATIENCE = 0.5
MOST = 6


class Plain(Receiving):
    """An application that is served plainly, and of what kinds requests were that were refused."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds: list[str] = []
        self.port = 0
        self.ended = threading.Event()
        self.serves = threading.Event()

    async def serve(self) -> None:
        server = PlainServer(
            self.endpoint,
            host="127.0.0.1",
            port=0,
            room=OpenConnections(MOST, Metrics()),
            on_refused=self.kinds.append,
            drain_seconds=2,
            patience_seconds=PATIENCE,
        )
        serving = asyncio.create_task(server.serve())
        self.port = await server.listening_port(serving)
        self.serves.set()
        await asyncio.to_thread(self.ended.wait)
        server.stop()
        await serving


@pytest.fixture
def plain() -> Iterator[Plain]:
    with served_plainly() as application:
        yield application


@contextmanager
def served_plainly() -> Iterator[Plain]:
    application = Plain()
    thread = threading.Thread(target=uvloop.run, args=(application.serve(),))
    thread.start()
    try:
        assert application.serves.wait(5)
        yield application
    finally:
        application.may_commit.set()
        application.ended.set()
        thread.join()


def test_a_body_that_comes_in_pieces_is_stored_and_its_connection_stays(plain: Plain) -> None:
    with connected(plain.port) as connection:
        for number in range(3):
            whole = staying(DEAL % number)
            for piece in (whole[:20], whole[20:-30], whole[-30:]):
                connection.sendall(piece)
                time.sleep(0.02)
            assert one_answer(connection).status == 200
    assert len(plain.rows) == 3


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (staying(DEAL % 1)[:-5], 408),
        (staying(b"x" * 70_000)[:-5], 413),
        (staying(b"x" * 90, path="/healthz")[:-5], 405),
    ],
    ids=["an event", "too large", "nothing that is read"],
)
def test_a_body_that_does_not_come_is_given_up(plain: Plain, sent: bytes, status: int) -> None:
    began = time.monotonic()
    with connected(plain.port) as connection:
        connection.sendall(sent)
        answer = received(connection)
    assert PATIENCE <= time.monotonic() - began < PATIENCE + 2
    assert (answer.status, answer.headers["connection"]) == (status, "close")
    assert plain.rows == []


def test_a_body_that_comes_drop_by_drop_is_given_up(plain: Plain) -> None:
    with connected(plain.port) as connection:
        connection.sendall(staying(DEAL % 1)[:-80])
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):  # it is closed between two drops
            while time.monotonic() < began + 10 * PATIENCE:
                connection.sendall(b"a")
                time.sleep(0.05)
    assert PATIENCE <= time.monotonic() - began < PATIENCE + 2
    assert plain.kinds == ["late"]
    assert plain.counted(408) == 1
    assert plain.rows == []


def test_what_is_too_large_is_read_and_told_so_and_the_next_is_taken(plain: Plain) -> None:
    with connected(plain.port) as connection:
        connection.sendall(staying(b"x" * 1_000_000))
        assert one_answer(connection).status == 413
        connection.sendall(staying(DEAL % 1))
        assert one_answer(connection).status == 200


@pytest.mark.parametrize(
    "head",
    [
        b"POST /events HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n",
        b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n",
        b"PRI * HTTP/2.0\r\nHost: a\r\n",
        b"POST /events HTTP/1.0\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n",
        b"POST /events HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    ],
    ids=["an upgrade", "a CONNECT", "HTTP/2", "chunks in HTTP/1.0", "two lengths"],
)
def test_nothing_is_read_behind_what_may_end_elsewhere(plain: Plain, head: bytes) -> None:
    body = b"0\r\n\r\n" if b"chunked" in head else b""
    with connected(plain.port) as connection:
        connection.sendall(head + b"\r\n" + body + staying(DEAL % 1))
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    assert parsed(received).status == 400
    assert received.count(b"HTTP/1.1 ") == 1
    assert plain.rows == []


def test_the_longest_idle_makes_room_and_what_is_being_stored_never_does(plain: Plain) -> None:
    plain.may_commit.clear()
    owed, *idle = [connected(plain.port) for _ in range(MOST)]
    owed.sendall(staying(DEAL % 1))
    time.sleep(0.1)
    for connection in idle:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert one_answer(connection).status == 200
    assert asked(plain.port, request(b"", method="GET", path="/healthz")).status == 200
    assert idle[0].recv(1) == b""
    plain.may_commit.set()
    assert one_answer(owed).status == 200
    for connection in (owed, *idle):
        connection.close()


def test_a_connection_for_which_there_is_no_room_is_closed(plain: Plain) -> None:
    plain.may_commit.clear()
    owed = [connected(plain.port) for _ in range(MOST)]
    for number, connection in enumerate(owed):
        connection.sendall(staying(DEAL % number))
    time.sleep(0.2)
    with connected(plain.port) as one_more:
        assert one_more.recv(1) == b""
    plain.may_commit.set()
    assert [one_answer(connection).status for connection in owed] == [200] * MOST
    for connection in owed:
        connection.close()

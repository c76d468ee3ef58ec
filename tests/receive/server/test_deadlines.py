"""Slow clients: what they get, and that nobody else notices them."""

import asyncio
import gc
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from responder.receive.server.sockets import HEAD_BYTES
from tests.support.uvicorn_thread import asked, connected, parsed, received, request, served

pytestmark = pytest.mark.portal

PATIENCE = 0.3
LONG_PATIENCE = 1.5  # where somebody does something in time, on a busy machine too
LATE = 20  # seconds that a busy machine may take
BODY = b"a=b"


class Application:
    """Reads a body and says how long it was, once it may."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.answers.set()
        self.disconnected = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        length, more = 0, scope["path"] != "/unread"
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.disconnected += 1
                return
            length += len(message["body"])
            more = message["more_body"]
        await asyncio.to_thread(self.answers.wait)
        body = str(length).encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def application() -> Application:
    return Application()


@pytest.fixture(scope="module")
def port(application: Application) -> Iterator[int]:
    with served(application, patience_seconds=PATIENCE) as served_port:
        yield served_port


def seconds_until_closed(connection: socket.socket) -> tuple[float, bytes]:
    began = time.monotonic()
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
    return time.monotonic() - began, data


ALIVE = request(BODY).replace(b"Connection: close\r\n", b"")
STALLS = {
    "silence": b"",
    "an empty line": b"\r\n",
    "half a method": b"PO",
    "half a head": ALIVE[:40],
    "a head without its end": ALIVE.partition(b"\r\n\r\n")[0],
    "no body": ALIVE[: -len(BODY)],
    "half a body": ALIVE[:-1],
    "half a chunk": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"
    ),
}  # fmt: skip


@pytest.mark.parametrize("sent", STALLS.values(), ids=STALLS)
def test_what_is_not_complete_in_time_is_408(port: int, sent: bytes) -> None:
    with connected(port) as connection:
        connection.sendall(sent)
        seconds, data = seconds_until_closed(connection)
    answer = parsed(data)
    assert answer.status == 408
    assert answer.headers["connection"] == "close"
    assert PATIENCE * 0.9 < seconds < PATIENCE + LATE


@pytest.fixture(scope="module")
def patient() -> Iterator[int]:
    with served(Application(), patience_seconds=LONG_PATIENCE) as served_port:
        yield served_port


def test_a_drip_is_no_progress(patient: int) -> None:
    with connected(patient) as connection:
        for byte in ALIVE[:5]:
            connection.sendall(bytes([byte]))
            time.sleep(LONG_PATIENCE / 20)
        assert parsed(seconds_until_closed(connection)[1]).status == 408


def test_head_and_body_have_a_deadline_each(patient: int) -> None:
    with connected(patient) as connection:
        time.sleep(LONG_PATIENCE * 0.6)
        connection.sendall(ALIVE[: -len(BODY)])
        time.sleep(LONG_PATIENCE * 0.6)
        connection.sendall(BODY)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_the_application_hears_that_the_client_was_given_up(
    port: int, application: Application
) -> None:
    before = application.disconnected
    assert asked(port, ALIVE[:-1]).status == 408
    assert application.disconnected == before + 1


def test_a_connection_may_be_idle_between_requests(port: int) -> None:
    with connected(port) as connection:
        for _ in range(3):
            connection.sendall(ALIVE)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
            time.sleep(PATIENCE * 1.3)


@pytest.mark.parametrize("left", [b"\r\n", b"P", ALIVE[:-1]])
def test_a_second_request_that_stalls_is_408_too(port: int, left: bytes) -> None:
    with connected(port) as connection:
        connection.sendall(ALIVE)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(left)
        assert parsed(seconds_until_closed(connection)[1]).status == 408


@pytest.mark.parametrize("second", [b"", ALIVE[:-1], ALIVE[:30]])
def test_our_own_slowness_is_not_the_clients(
    port: int, application: Application, second: bytes
) -> None:
    application.answers.clear()
    with connected(port) as connection:
        connection.sendall(ALIVE + second)
        time.sleep(PATIENCE * 2.5)
        application.answers.set()
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_requests_sent_ahead_are_answered_in_turn(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(ALIVE * 3 + request(b""))
        data = seconds_until_closed(connection)[1]
    assert data.count(b"HTTP/1.1 200 ") == 4


def test_what_is_left_of_a_body_after_the_answer_is_dropped(port: int) -> None:
    body = b"x" * 3_000_000
    assert asked(port, request(body, path="/unread")).status == 200


def test_a_body_that_stalls_after_the_answer_does_not_keep_the_connection(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(request(b"x" * 100, path="/unread")[:-50])
        seconds, data = seconds_until_closed(connection)
    assert parsed(data).status == 200
    assert seconds < PATIENCE + LATE


def test_a_head_has_a_limit_however_it_arrives(port: int) -> None:
    begin = b"POST / HTTP/1.1\r\nHost: a\r\nX: "
    for length in (HEAD_BYTES - 500, HEAD_BYTES + 500):
        data = begin + b"a" * length + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        with connected(port) as connection:
            connection.sendall(data[:1000])
            time.sleep(0.01)
            connection.sendall(data[1000:])
            assert received(connection).status == (200 if length < HEAD_BYTES else 413)


def with_headers(count: int) -> bytes:
    """Write a request with so many headers."""
    lines = b"".join(b"a%d:\r\n" % number for number in range(count - 2))
    return b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + lines + b"\r\n"


@pytest.mark.parametrize(("count", "status"), [(100, 200), (101, 431), (20_000, 431)])
def test_a_head_has_a_hundred_headers_and_no_more(port: int, count: int, status: int) -> None:
    with connected(port) as connection:
        connection.sendall(with_headers(count))
        assert connection.recv(65536).startswith(b"HTTP/1.1 %d " % status)


def test_headers_that_do_not_end_are_refused_at_once(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(with_headers(200)[:-2])
        assert received(connection).status == 431


def test_trailers_are_none_of_the_head_and_no_more_than_a_hundred(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    few = b"Host: b\r\nUpgrade: x\r\nConnection: upgrade\r\n"
    assert asked(port, head + b"1\r\nx\r\n0\r\n" + few + b"\r\n").body == b"1"
    with connected(port) as connection:
        connection.sendall(head + b"1\r\nx\r\n0\r\n" + b"a:b\r\n" * 150)
        assert received(connection).status == 431


CHUNKS = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n"
MALFORMED = {
    "no host": b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\na=b",
    "two hosts": b"POST / HTTP/1.1\r\nHost: a\r\nHost: a\r\nContent-Length: 3\r\n\r\na=b",
    "two lengths": ALIVE.replace(b"Host", b"Content-Length: 2\r\nHost"),
    "a length and chunks": ALIVE.replace(b"Host", b"Transfer-Encoding: chunked\r\nHost"),
    "another coding": ALIVE.replace(b"Content-Length: 3", b"Transfer-Encoding: gzip"),
    "a coding below the chunks": CHUNKS.replace(b"chunked", b"gzip, chunked"),
    "codings in two lines": CHUNKS.replace(b"chunked", b"gzip\r\nTransfer-Encoding: chunked"),
    "a host that is none": ALIVE.replace(b"Host: ", b"Host: a "),
    "an address whose host is none": ALIVE.replace(b"POST /", b"POST http://[::1/"),
    "an address whose port is none": ALIVE.replace(b"POST /", b"POST http://a:b/"),
    "a sign before the length": ALIVE.replace(b"Length: 3", b"Length: +3"),
    "a name that ends in a space": ALIVE.replace(b"Host:", b"X : y\r\nHost:"),
    "a folded line": ALIVE.replace(b"Host:", b"X: y\r\n z\r\nHost:"),
    "lines that end in LF alone": ALIVE.replace(b"\r\n", b"\n"),
    "NUL in a value": ALIVE.replace(b"Host:", b"X: \0\r\nHost:"),
    "HTTP/0.9": ALIVE.replace(b"HTTP/1.1", b"HTTP/0.9"),
    "HTTP/2.0": ALIVE.replace(b"HTTP/1.1", b"HTTP/2.0"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a chunk without a size": ALIVE.replace(b"Content-Length: 3", b"Transfer-Encoding: chunked"),
}  # fmt: skip


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("before", [0, 1, 3])
def test_what_is_no_http_is_400_in_its_turn_and_nothing_behind_it_is_read(
    port: int, sent: bytes, before: int
) -> None:
    with connected(port) as connection:
        connection.sendall(ALIVE * before + sent + ALIVE * 2)
        data = seconds_until_closed(connection)[1]
    statuses = [int(part.split()[0]) for part in data.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [200] * before + [400]


def test_what_surrounds_a_chunked_body_has_a_limit(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    with connected(port) as connection:
        try:
            connection.sendall(head + b"Trailer: x\r\n" * 200_000)
            assert received(connection).status in (400, 413)
        except ConnectionError:
            return  # it did not wait for the end of it


def test_a_body_in_chunks_of_one_byte_is_read() -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    with served(Application(), patience_seconds=LATE) as port:
        answer = asked(port, head + b"1\r\nx\r\n" * 65_536 + b"0\r\n\r\n")
    assert (answer.status, answer.body) == (200, b"65536")


def test_http_1_0_is_answered(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(b"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc")
        assert received(connection).body == b"3"


def test_300_stalled_sockets_do_not_delay_a_real_event() -> None:
    with served(Application(), patience_seconds=LATE) as port, ExitStack() as stack:
        for number in range(300):
            stalled = stack.enter_context(connected(port))
            stalled.sendall(list(STALLS.values())[number % len(STALLS)])
        began = time.monotonic()
        assert asked(port, ALIVE.replace(b"Host", b"Connection: close\r\nHost")).status == 200
        assert time.monotonic() - began < LATE / 2  # long before one of them is given up


def test_a_stop_does_not_wait_for_a_stalled_body() -> None:
    application = Application()
    with served(application, patience_seconds=2 * LATE) as port:
        connection = connected(port)
        connection.sendall(ALIVE[:-1])
        time.sleep(0.05)
        began = time.monotonic()
    assert time.monotonic() - began < LATE
    connection.close()


class Watching(Application):
    """Counts, now and then, how many requests are kept at that moment."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = self.most = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        if self.asked % 1000 == 1:
            kept = sum(isinstance(one, RequestResponseCycle) for one in gc.get_objects())
            self.most = max(self.most, kept)
        await Application.__call__(self, scope, receive, send)


def test_what_is_sent_ahead_is_not_taken_apart_before_its_turn() -> None:
    number, watching = 10_000, Watching()
    with served(watching, patience_seconds=5) as watched, connected(watched) as connection:
        sender = threading.Thread(target=connection.sendall, args=(ALIVE * number,))
        sender.start()
        data = b""
        while data.count(b"HTTP/1.1 200 ") < number:
            data += connection.recv(1 << 20)
        sender.join()
    assert data.count(b"HTTP/1.1 200 ") == watching.asked == number
    assert watching.most < 500


async def talkative(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with a mebibyte: a few of them are more than fits on the way."""
    del scope, receive
    headers = [(b"content-length", b"1048576")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x" * 1048576})


def keep_sending(connection: socket.socket, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(0.05)
        connection.sendall(b"\r\n")


def test_a_client_that_does_not_take_its_answers_is_let_go() -> None:
    with served(talkative, patience_seconds=PATIENCE) as port, connected(port) as connection:
        connection.sendall(ALIVE * 20)
        with pytest.raises(ConnectionError):
            keep_sending(connection, 20)

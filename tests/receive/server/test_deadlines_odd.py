"""Requests that few clients send, and that are whole nevertheless: each gets its answer."""

import asyncio
import socket
import time
from collections.abc import Iterator

import pytest
from starlette.types import Receive, Scope, Send

from tests.support.uvicorn_thread import asked, connected, served

WHOLE = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
CHUNKS = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
NOTHING = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LARGE = CHUNKS.replace(b"3\r\nabc", b"%x\r\n%s" % (60_000, b"x" * 60_000))


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the body, take a moment, and answer what was asked for."""
    message = await receive()
    while message.get("more_body"):
        message = await receive()
    await asyncio.sleep(0.01)
    body: bytes = scope["path"].encode() + b"?" + scope["query_string"]
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served(echo) as served_port:
        yield served_port


def answered(port: int, *pieces: bytes) -> bytes:
    """Send these pieces, say that nothing more comes, and read what is answered until the end."""
    received = b""
    with connected(port) as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.005)
        connection.shutdown(socket.SHUT_WR)
        while chunk := connection.recv(65536):
            received += chunk
    return received


@pytest.mark.parametrize("request_", [WHOLE, CHUNKS, NOTHING, LARGE])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_client_that_says_it_will_send_no_more_still_gets_its_answers(
    port: int, request_: bytes, count: int
) -> None:
    assert answered(port, request_ * count).count(b"HTTP/1.1 200 ") == count
    assert answered(port, *[request_] * count).count(b"HTTP/1.1 200 ") == count


@pytest.mark.parametrize("rest", [b"P", WHOLE[:-1], CHUNKS[:-2], NOTHING[:-2], b"\r\n"])
def test_what_did_not_come_whole_by_then_gets_none(port: int, rest: bytes) -> None:
    began = time.monotonic()
    assert answered(port, rest) == b""
    assert answered(port, WHOLE * 3 + rest).count(b"HTTP/1.1 ") == 3
    assert time.monotonic() - began < 10  # the patience that the first of them would have had


def test_what_it_sent_whole_before_something_that_cannot_be_read_is_answered(port: int) -> None:
    broken = CHUNKS.replace(b"3\r\nabc", b"g\r\nabc")
    received = answered(port, WHOLE * 2 + broken)
    assert received.count(b"HTTP/1.1 200 ") == 2
    assert received.count(b"HTTP/1.1 400 ") == 1


def test_a_client_that_says_so_between_two_requests_is_closed(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(NOTHING)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(65536) == b""


ADDRESSES = {
    b"http://elsewhere": b"/?",
    b"http://elsewhere:80": b"/?",
    b"http://elsewhere?a=b": b"/?a=b",
    b"http://elsewhere/events?a=b": b"/events?a=b",
    b"*": b"*?",
}


@pytest.mark.parametrize(("address", "seen"), ADDRESSES.items())
def test_an_address_that_is_no_path_is_read(port: int, address: bytes, seen: bytes) -> None:
    head = b"OPTIONS %s HTTP/1.1\r\nHost: elsewhere\r\nConnection: close\r\n\r\n"
    assert asked(port, head % address).body == seen


@pytest.mark.parametrize(("version", "interim"), [(b"1.0", 0), (b"1.1", 1)])
def test_only_who_knows_a_100_gets_one(port: int, version: bytes, interim: int) -> None:
    expecting = WHOLE.replace(b"HTTP/1.1", b"HTTP/" + version + b"\r\nExpect: 100-continue")
    received = answered(port, expecting)
    assert received.count(b"HTTP/1.1 100 ") == interim
    assert received.count(b"HTTP/1.1 200 ") == 1


@pytest.mark.parametrize("host", [b"", b"a.b_c:80", b"[::1]:80", b"127.0.0.1", b"%C3%A4"])
def test_a_host_may_be_anything_that_is_one(port: int, host: bytes) -> None:
    head = b"GET / HTTP/1.1\r\nConnection: close\r\nHost: %s\r\n\r\n"
    assert asked(port, head % host).status == 200

"""Requests that few clients send, and that are whole nevertheless: each gets its answer."""

import asyncio
from collections.abc import Iterator

import pytest
from starlette.types import Receive, Scope, Send

from tests.runtime.serving import asked, served


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

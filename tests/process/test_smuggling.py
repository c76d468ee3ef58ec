"""What follows the head of a request that asks for an upgrade is never read as another request.

Behind a proxy that keeps its connections open and passes `Upgrade` on, as nearly every pasted
setting does, an answer too many is given to the next caller: an event of the portal's is then
answered with what a stranger asked for, and is lost.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.store.database.tables import deliveries
from tests.support.processes import Running, event, running
from tests.support.proxies import PROXIES, proxied
from tests.support.under_load import opened
from tests.support.uvicorn_thread import connected, parsed

SLICE = 4096
UPGRADES = {
    "a websocket": b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
    "HTTP/2, as curl asks for it": (
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"
    ),
    "anything, in small letters": b"upgrade: x\r\nconnection: keep-alive, upgrade\r\n",
    "two lines": b"Upgrade: x\r\nConnection: keep-alive\r\nConnection: upgrade\r\n",
}
# requests that wait for the next one on their connection, to take it for their own rest
OPEN_ENDED = (
    b"POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: 600\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: ",
    b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
)
FORM_HEADER = b"Content-Type: application/x-www-form-urlencoded\r\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with (
        SandboxServer(Sandbox()) as portal,
        running(tmp_path_factory.mktemp("service"), portal.url) as program,
    ):
        yield program


def names(service: Running) -> list[str]:
    with opened(service) as database:
        return database.read(lambda conn: list(conn.execute(select(deliveries.c.event)).scalars()))


def post(body: bytes, *, more: bytes = b"") -> bytes:
    head = b"POST /events HTTP/1.1\r\nHost: a\r\n" + FORM_HEADER + more
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def smuggled() -> bytes:
    """Write a request that would be stored, were it read as one."""
    return post(event("ONSMUGGLED", 1).encode())


def all_of(port: int, pieces: list[bytes]) -> bytes:
    """Send these pieces, each by itself; return all that is answered until it is closed."""
    received = b""
    with connected(port) as connection, contextlib.suppress(ConnectionError):
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.05)
        while chunk := connection.recv(65536):
            received += chunk
    return received


def cut(request: bytes, how: str) -> list[bytes]:
    head = request.index(b"\r\n\r\n") + 4
    if how == "whole":
        return [request]
    if how == "after the head":
        return [request[:head], request[head:]]
    return [request[: head + 10], request[head + 10 :]]


@pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES)
@pytest.mark.parametrize("how", ["whole", "after the head", "inside the body"])
@pytest.mark.parametrize("padding", [0, SLICE, 3 * SLICE])  # a parser passes over empty lines
def test_a_request_that_asks_for_an_upgrade_is_400_and_the_last_of_its_connection(
    service: Running, upgrade: bytes, how: str, padding: int
) -> None:
    body = b"\r\n" * padding + smuggled()
    received = all_of(service.port, cut(post(body, more=upgrade), how))
    assert received.count(b"HTTP/1.1 ") <= 1
    if received:  # else the connection was reset while more was on its way
        assert parsed(received).status == 400
        assert parsed(received).headers["connection"] == "close"
    assert "ONSMUGGLED" not in names(service)


def test_an_upgrade_without_a_body_a_connect_and_http_2_are_400(service: Running) -> None:
    for upgrade in UPGRADES.values():
        received = all_of(service.port, [b"GET / HTTP/1.1\r\nHost: a\r\n" + upgrade + b"\r\n"])
        assert parsed(received).status == 400
    for method in (b"CONNECT a:80 HTTP/1.1", b"PRI * HTTP/2.0"):
        received = all_of(service.port, [method + b"\r\nHost: a:80\r\n\r\n" + smuggled()])
        assert parsed(received).status == 400
        assert received.count(b"HTTP/1.1 ") == 1
    assert "ONSMUGGLED" not in names(service)


@pytest.mark.parametrize("half", [b"Upgrade: websocket\r\n", b"Connection: upgrade\r\n"])
def test_half_of_what_asks_for_an_upgrade_asks_for_none(service: Running, half: bytes) -> None:
    before = names(service).count("ONHALF")
    body = event("ONHALF", 1).encode()
    with connected(service.port) as connection:
        for _ in range(2):
            connection.sendall(post(body, more=half))
            assert parsed(connection.recv(65536)).status == 200
    assert names(service).count("ONHALF") == before + 2


def test_what_was_sent_before_it_is_answered_first(service: Running) -> None:
    good, bad = post(event("ONFIRST", 1).encode()), post(smuggled(), more=UPGRADES["a websocket"])
    received = all_of(service.port, [good + bad])
    assert [line.split()[1] for line in received.splitlines() if line.startswith(b"HTTP/1.1")] == [
        b"200",
        b"400",
    ]
    assert "ONFIRST" in names(service)


def test_what_follows_a_request_that_closes_is_not_read(service: Running) -> None:
    good = post(event("ONLAST", 1).encode(), more=b"Connection: close\r\n")
    received = all_of(service.port, [good + smuggled()])
    assert received.count(b"HTTP/1.1 ") == 1
    assert parsed(received).status == 200
    assert "ONSMUGGLED" not in names(service)


@pytest.mark.parametrize("which", PROXIES)
def test_no_stranger_behind_a_proxy_takes_a_portals_answers(
    service: Running, tmp_path: Path, which: str
) -> None:
    before = names(service).count("ONBEHIND")
    ended = threading.Event()
    pieces = [
        post(b"\r\n" * padding + beginning, more=asking)
        for asking in UPGRADES.values()
        for beginning in OPEN_ENDED
        for padding in (0, SLICE, 3 * SLICE)
    ]
    with proxied(which, service.port, tmp_path) as port:
        strangers = [
            threading.Thread(target=strike, args=(port, pieces[n::3], ended)) for n in range(3)
        ]
        for stranger in strangers:
            stranger.start()
        try:
            answers = [post_by(port, number) for number in range(60)]
        finally:
            ended.set()
            for stranger in strangers:
                stranger.join()
    assert answers == [200] * 60
    assert names(service).count("ONBEHIND") - before == 60
    assert "ONSMUGGLED" not in names(service)


def strike(port: int, pieces: list[bytes], ended: threading.Event) -> None:
    """Send them all again and again, whole and cut after the head."""
    while not ended.is_set():
        for number, piece in enumerate(pieces):
            with contextlib.suppress(OSError), connected(port) as connection:
                connection.settimeout(0.1)
                for part in cut(piece, ("whole", "after the head")[number % 2]):
                    connection.sendall(part)
                    time.sleep(0.01)
                connection.recv(65536)


def post_by(port: int, number: int) -> int:
    """Send an event of the portal's through the proxy."""
    request = post(event("ONBEHIND", number).encode(), more=b"Connection: close\r\n")
    received = b""
    with connected(port) as connection:
        connection.sendall(request)
        while chunk := connection.recv(65536):
            received += chunk
    time.sleep(0.02)
    return parsed(received).status

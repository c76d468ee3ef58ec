"""A real uvicorn in a thread, and a client that says exactly what it is told."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvloop

from responder.adapters.metrics import Metrics
from responder.receive.endpoint import Endpoint
from responder.receive.server import deadlines, fast_path
from responder.receive.server.connections import OpenConnections
from responder.receive.server.fast_server import Server, server_config

FORM = b"application/x-www-form-urlencoded"


@contextmanager
def served(app: object, *, patience_seconds: float = 10.0) -> Iterator[int]:
    """Serve the application as the program does; give the port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    config = server_config(
        app,
        host="127.0.0.1",
        port=0,
        patience_seconds=patience_seconds,
        protocol=fast_path.protocol_for(app)
        if isinstance(app, Endpoint)
        else deadlines.DeadlineProtocol,
    )
    server = Server(config, OpenConnections(10_000, Metrics()))
    thread = threading.Thread(target=uvloop.run, args=(server.serve([listener]),))
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.005)
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, with all its bytes but the date."""

    status: int
    headers: dict[str, str]
    body: bytes
    raw: bytes


def connected(port: int) -> socket.socket:
    """Connect to the service."""
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def request(
    body: bytes = b"",
    *,
    method: str = "POST",
    path: str = "/events",
    content_type: bytes | None = FORM,
    headers: tuple[bytes, ...] = (),
) -> bytes:
    """Write a request with a length, to be answered on a connection that closes."""
    lines = [b"%s %s HTTP/1.1" % (method.encode(), path.encode()), b"Host: responder.example"]
    if content_type is not None:
        lines.append(b"Content-Type: " + content_type)
    if method == "POST":
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, *headers, b"Connection: close", b"", body])


def received(connection: socket.socket) -> Answer:
    """Read until the service closes the connection."""
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
    return parsed(data)


def parsed(data: bytes) -> Answer:
    """Take an answer apart."""
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    headers = {
        name.decode(): value.strip().decode()
        for name, _, value in (x.partition(b":") for x in lines)
    }
    undated = [line for line in (first, *lines) if not line.startswith(b"date:")]
    return Answer(int(first.split()[1]), headers, body, b"\r\n".join(undated) + body)


def asked(port: int, data: bytes) -> Answer:
    """Send these bytes and read the answer."""
    with connected(port) as connection:
        connection.sendall(data)
        return received(connection)

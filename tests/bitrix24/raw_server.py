"""Answers raw bytes over a socket, for what no proper server would send."""

import contextlib
import re
import socket
import threading
import time
from types import TracebackType
from typing import Self


class RawServer:
    """Accepts connections in a thread, reads a request, and sends what it was given.

    `parts` are sent one after the other with a pause between them; `connections` counts callers.
    """

    def __init__(self, *parts: bytes, pause: float = 0.0) -> None:
        self.connections = 0
        self._parts = parts
        self._pause = pause
        self._stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/rest/1/raw-secret-0001/"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = self._listener.accept()
                self.connections += 1
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(1)
                    _read_request(connection)
                    self._send(connection)

    def _send(self, connection: socket.socket) -> None:
        for part in self._parts:
            if self._stopping.is_set():
                return
            connection.sendall(part)
            time.sleep(self._pause)


def _read_request(connection: socket.socket) -> None:
    """Read all of it: a close with something unread would reset the connection."""
    data = connection.recv(1 << 16)
    while data and not _is_whole(data):
        more = connection.recv(1 << 16)
        data = data + more if more else b""


def _is_whole(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: *([0-9]+)", head, re.IGNORECASE)
    return bool(end) and len(body) >= (0 if length is None else int(length[1]))


def response(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """Write a whole HTTP answer that ends its connection."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

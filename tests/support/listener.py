"""A receiver of notifications over real sockets: it keeps what it hears and answers as it is told.

It checks signatures by itself, from the words of Standard Webhooks and not with our code.
"""

import base64
import contextlib
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

KEY = base64.b64encode(b"thirty-two bytes of test secrets").decode()
SECRET = f"whsec_{KEY}"


@dataclass(frozen=True, slots=True)
class Heard:
    """One POST, as it came."""

    at: float
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def message_id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def message(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self.body)
        return read

    def is_signed(self, key: str = KEY) -> bool:
        signed = b".".join(
            [self.message_id.encode(), self.headers["webhook-timestamp"].encode(), self.body]
        )
        digest = hmac.new(base64.b64decode(key), signed, hashlib.sha256).digest()
        wanted = "v1," + base64.b64encode(digest).decode()
        return wanted in self.headers["webhook-signature"].split(" ")


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer; `hangs` for so long before."""

    status: int = 204
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    hangs: float = 0.0


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64  # with five, connections that come at once are dropped


class Listener:
    """Answers one after the other what is in `answers`, and then `always`."""

    def __init__(self, *answers: Answer, always: Answer | None = None, port: int = 0) -> None:
        self.heard: list[Heard] = []
        self.answers = list(answers)
        self.always = always or Answer()
        self._closing = threading.Event()
        self._server = _Server(("127.0.0.1", port), self._handler())
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}/hooks/path-secret-0001"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def types(self) -> list[str]:
        return [heard.message["type"] for heard in self.heard]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                listener.heard.append(Heard(time.monotonic(), self.path, headers, body))
                answer = listener.answers.pop(0) if listener.answers else listener.always
                listener._closing.wait(answer.hangs)
                with contextlib.suppress(OSError):
                    self._answer(answer)

            def _answer(self, answer: Answer) -> None:
                self.send_response(answer.status)
                for name, value in answer.headers:
                    self.send_header(name, value)
                if answer.status != 204:
                    self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *words: object) -> None:
                """Say nothing."""

        return Handler

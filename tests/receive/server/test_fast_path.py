"""Deliveries that arrive whole are answered as all others are, only sooner."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydantic import SecretStr
from starlette.types import Receive, Scope, Send

from responder.adapters.metrics import Metrics
from responder.receive.endpoint import Endpoint
from responder.settings.settings import PortalSettings
from responder.store.database.engines import StoreUnavailable
from responder.store.inbox import inbox
from tests.support.uvicorn_thread import Answer, asked, connected, parsed, request, served

pytestmark = pytest.mark.portal

TOKEN = "quick-token-0123456789"
DEAL = b"event=ONCRMDEALUPDATE&data[FIELDS][ID]=%d&auth[application_token]=" + TOKEN.encode()
BODIES = {
    "an event": DEAL % 759,
    "a wrong token": b"event=ONCRMDEALUPDATE&auth[application_token]=another-token-0000",
    "no event": b"a=b&auth[application_token]=" + TOKEN.encode(),
    "too many pairs": b"&".join(b"a=b" for _ in range(300)),
    "nothing": b"",
    "much": b"a=" + b"b" * 70_000,
}


class Receiving:
    """An application whose store does what the test says, when the test says so."""

    def __init__(self) -> None:
        self.rows: list[inbox.Row] = []
        self.tasks = 0
        self.failure: Exception | None = None
        self.may_commit = threading.Event()
        self.may_commit.set()
        portal = PortalSettings(
            url=SecretStr("https://portal.example/rest/1/hook-secret-0001/"),
            application_tokens=(SecretStr(TOKEN),),
        )
        self.metrics = Metrics()
        self.endpoint = _Watched(self, portal)

    def accept(self, row: inbox.Row) -> asyncio.Future[None]:
        return asyncio.ensure_future(self._commit(row))

    async def _commit(self, row: inbox.Row) -> None:
        await asyncio.to_thread(self.may_commit.wait)
        if self.failure is not None:
            raise self.failure
        self.rows.append(row)

    def counted(self, answer: int) -> float:
        name, labels = "responder_events_received_total", {"answer": str(answer)}
        return self.metrics.registry.get_sample_value(name, labels) or 0


class _Watched(Endpoint):
    """Counts the requests that were given to the application."""

    def __init__(self, receiving: Receiving, portal: PortalSettings) -> None:
        self._receiving = receiving

        async def ready() -> tuple[bool, dict[str, object]]:
            return True, {}

        super().__init__(
            {"main": portal}, accept=receiving.accept, ready=ready, metrics=receiving.metrics
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receiving.tasks += 1
        await super().__call__(scope, receive, send)


@contextmanager
def receiving() -> Iterator[tuple[Receiving, int]]:
    application = Receiving()
    with served(application.endpoint, patience_seconds=1) as port:
        yield application, port


def staying(body: bytes, path: str = "/events") -> bytes:
    """Write a request on a connection that stays open."""
    return request(body, path=path).replace(b"Connection: close\r\n", b"")


def one_answer(connection: socket.socket) -> Answer:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536) or _closed()
    length = int(parsed(data).headers["content-length"])
    while len(data.partition(b"\r\n\r\n")[2]) < length:
        data += connection.recv(65536) or _closed()
    return parsed(data)


def _closed() -> bytes:
    raise ConnectionError("the service closed the connection")


@pytest.mark.parametrize("what", BODIES)
def test_the_answer_is_the_same_as_on_a_connection_that_closes(what: str) -> None:
    with receiving() as (_, port):
        slowly = asked(port, request(BODIES[what]))
        with connected(port) as connection:
            connection.sendall(staying(BODIES[what]))
            quickly = one_answer(connection)
    assert (quickly.status, quickly.body) == (slowly.status, slowly.body)
    slowly.headers.pop("connection")
    assert quickly.headers.keys() == slowly.headers.keys()


def test_no_task_is_started_for_a_delivery_that_arrives_whole() -> None:
    with receiving() as (application, port), connected(port) as connection:
        for number in (1, 2, 3):
            connection.sendall(staying(DEAL % number))
            assert one_answer(connection).status == 200
        assert application.tasks == 0
        assert [row[4] for row in application.rows] == ["deal:1", "deal:2", "deal:3"]
        assert application.counted(200) == 3


def test_a_delivery_in_pieces_is_the_applications() -> None:
    with receiving() as (application, port), connected(port) as connection:
        whole = staying(DEAL % 1)
        for piece in (whole[:20], whole[20:-5], whole[-5:]):
            connection.sendall(piece)
            threading.Event().wait(0.05)
        assert one_answer(connection).status == 200
        assert (application.tasks, len(application.rows)) == (1, 1)


def test_deliveries_sent_ahead_are_each_stored_and_answered_once() -> None:
    with receiving() as (application, port), connected(port) as connection:
        connection.sendall(b"".join(staying(DEAL % number) for number in range(1, 6)))
        data = b""
        while data.count(b"HTTP/1.1 200") < 5:
            data += connection.recv(65536) or _closed()
        assert sorted(str(row[4]) for row in application.rows) == [f"deal:{n}" for n in range(1, 6)]
        assert application.counted(200) == 5


@pytest.mark.parametrize("failure", [StoreUnavailable("away"), ValueError("a fault of ours")])
def test_what_could_not_be_stored_is_503(failure: Exception) -> None:
    with receiving() as (application, port), connected(port) as connection:
        application.failure = failure
        connection.sendall(staying(DEAL % 1))
        assert one_answer(connection).status == 503
        application.failure = None
        connection.sendall(staying(DEAL % 1))
        assert one_answer(connection).status == 200
        assert application.counted(503) == 1


def test_a_client_that_left_is_stored_all_the_same() -> None:
    with receiving() as (application, port):
        application.may_commit.clear()
        with connected(port) as connection:
            connection.sendall(staying(DEAL % 1))
            threading.Event().wait(0.1)
        threading.Event().wait(0.1)
        application.may_commit.set()
        assert asked(port, request(DEAL % 2)).status == 200
        deadline = time.monotonic() + 5
        while len(application.rows) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert {row[4] for row in application.rows} == {"deal:1", "deal:2"}


def test_a_delivery_under_way_when_the_server_stops_is_answered_and_the_connection_closed() -> None:
    application = Receiving()
    application.may_commit.clear()
    with connected_while_stopping(application) as connection:
        answer = one_answer(connection)
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert connection.recv(10) == b""


@contextmanager
def connected_while_stopping(application: Receiving) -> Iterator[socket.socket]:
    stopping = threading.Event()
    with served(application.endpoint) as port:
        connection = connected(port)
        connection.sendall(staying(DEAL % 1))
        threading.Event().wait(0.1)

        def commit_later() -> None:
            stopping.wait()
            threading.Event().wait(0.3)
            application.may_commit.set()

        thread = threading.Thread(target=commit_later)
        thread.start()
        stopping.set()
    thread.join()
    with connection:
        yield connection

"""Deliveries that arrive whole are answered as all others are, only sooner."""

import asyncio
import re
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
from responder.receive.server.deadlines import DeadlineProtocol
from responder.settings.settings import PortalSettings
from responder.store.database.engines import StoreUnavailable
from responder.store.inbox import inbox
from tests.support.uvicorn_thread import Answer, asked, connected, parsed, request, served

pytestmark = pytest.mark.portal

PATIENCE = 1
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
    """Serve an application that has had a delivery with the head of `DEAL` and one digit."""
    application = Receiving()
    with served(application.endpoint, patience_seconds=PATIENCE) as port:
        learn(port)
        yield application, port


def learn(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(staying(DEAL % 9))
        assert one_answer(connection).status == 200


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
            first = one_answer(connection)
        with connected(port) as connection:
            connection.sendall(staying(BODIES[what]))
            again = one_answer(connection)
    assert (first.status, first.body) == (slowly.status, slowly.body)
    slowly.headers.pop("connection")
    assert first.headers.keys() == slowly.headers.keys()
    assert again == first


def test_no_task_is_started_for_a_delivery_that_arrives_whole() -> None:
    with receiving() as (application, port), connected(port) as connection:
        for number in (1, 2, 10):  # the last has another length, and so another head
            connection.sendall(staying(DEAL % number))
            assert one_answer(connection).status == 200
        assert application.tasks == 0
        stored = [row[4] for row in application.rows]
        assert stored == [f"deal:{number}" for number in (9, 1, 2, 10)]
        assert application.counted(200) == 4


def test_nothing_is_parsed_of_a_delivery_whose_head_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parses = []
    parse = DeadlineProtocol.data_received

    def counted(self: DeadlineProtocol, data: bytes) -> None:
        parses.append(data)
        parse(self, data)

    monkeypatch.setattr(DeadlineProtocol, "data_received", counted)
    with receiving() as (_, port):
        sent = [[staying(DEAL % number) for number in numbers] for numbers in ((1, 10, 2), (11, 3))]
        for deliveries in sent:
            with connected(port) as connection:
                for delivery in deliveries:
                    connection.sendall(delivery)
                    assert one_answer(connection).status == 200
    assert parses == [staying(DEAL % 9), staying(DEAL % 10)]


def test_a_connection_stays_open_after_a_delivery_whose_head_is_known() -> None:
    with receiving() as (_, port), connected(port) as connection:
        for number in (1, 2):
            connection.sendall(staying(DEAL % number))
            assert one_answer(connection).status == 200
            time.sleep(1.5 * PATIENCE)


@pytest.mark.parametrize("cut", [20, -20, -5])
def test_a_delivery_in_pieces_is_the_applications(cut: int) -> None:
    with receiving() as (application, port), connected(port) as connection:
        whole = staying(DEAL % 1)
        for piece in (whole[:cut], whole[cut:]):
            connection.sendall(piece)
            threading.Event().wait(0.05)
        assert one_answer(connection).status == 200
        assert [row[4] for row in application.rows] == ["deal:9", "deal:1"]
        assert application.tasks == 1


def test_a_known_request_within_the_body_of_another_is_a_part_of_that_body() -> None:
    with receiving() as (application, port), connected(port) as connection:
        inner = staying(DEAL % 1)
        outer = staying(b"a=b&" + inner)
        connection.sendall(outer.removesuffix(inner))
        threading.Event().wait(0.05)
        connection.sendall(inner)
        assert one_answer(connection).status == 400  # no event, for that is within a name
        connection.sendall(staying(DEAL % 2))
        assert one_answer(connection).status == 200
        assert [row[4] for row in application.rows] == ["deal:9", "deal:2"]


def test_what_comes_before_an_answer_waits_its_turn_though_its_head_is_known() -> None:
    with receiving() as (application, port), connected(port) as connection:
        application.may_commit.clear()
        connection.sendall(staying(DEAL % 1))
        threading.Event().wait(0.05)
        connection.sendall(staying(BODIES["a wrong token"]))
        threading.Event().wait(0.05)
        connection.sendall(staying(DEAL % 2))
        threading.Event().wait(0.05)
        application.may_commit.set()
        data = b""
        while data.count(b"HTTP/1.1 ") < 3:
            data += connection.recv(65536) or _closed()
        statuses = re.findall(rb"HTTP/1.1 (\d+)", data)
        assert statuses == [b"200", b"403", b"200"]
        assert [row[4] for row in application.rows] == ["deal:9", "deal:1", "deal:2"]


def test_deliveries_sent_ahead_are_each_stored_and_answered_once() -> None:
    with receiving() as (application, port), connected(port) as connection:
        connection.sendall(b"".join(staying(DEAL % number) for number in range(1, 6)))
        data = b""
        while data.count(b"HTTP/1.1 200") < 5:
            data += connection.recv(65536) or _closed()
        assert sorted(str(row[4]) for row in application.rows) == [
            *(f"deal:{number}" for number in range(1, 6)),
            "deal:9",
        ]
        assert application.counted(200) == 6


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
        while len(application.rows) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert {row[4] for row in application.rows} == {"deal:1", "deal:2", "deal:9"}


def test_a_delivery_under_way_when_the_server_stops_is_answered_and_the_connection_closed() -> None:
    application = Receiving()
    with connected_while_stopping(application) as connection:
        answer = one_answer(connection)
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert connection.recv(10) == b""


@contextmanager
def connected_while_stopping(application: Receiving) -> Iterator[socket.socket]:
    stopping = threading.Event()
    with served(application.endpoint) as port:
        learn(port)
        application.may_commit.clear()
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

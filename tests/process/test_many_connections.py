"""More connections than the process may have files: no event is lost for them, nor a kill."""

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from responder.bitrix24.sandbox import SandboxServer
from tests.support.forked import MOST_FILES
from tests.support.processes import LOST_DEAL, Running, event, eventually, running
from tests.support.under_load import DEAL
from tests.support.uvicorn_thread import connected

FILES = 160
MOST = FILES - 64
ALIVE = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def service(portal: SandboxServer, tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path, portal.url, **{MOST_FILES: str(FILES)}) as program:
        yield program


def idle(service: Running, said: bytes = ALIVE) -> socket.socket:
    """Open a connection, say something, and keep it."""
    connection = connected(service.port)
    connection.sendall(said)
    if said == ALIVE:
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    return connection


def is_open(connection: socket.socket) -> bool:
    connection.settimeout(0.05)
    try:
        while connection.recv(65536):  # what is left of an answer
            pass
    except TimeoutError:
        return True
    except ConnectionError:
        pass
    return False


def measured(scraper: socket.socket) -> tuple[float, ...]:
    """Return how many connections are open, how many may be, and how many were closed for it."""
    scraper.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
    text = b""
    while not text.endswith(b"\n") or b"responder_connections_closed_total" not in text:
        text += scraper.recv(65536)
    found = dict(re.findall(r"^responder_connections(\w*) (\S+)$", text.decode(), re.MULTILINE))
    return float(found[""]), float(found["_limit"]), float(found["_closed_total"])


def said(service: Running) -> list[str]:
    lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    return [str(line["event"]) for line in lines if line["level"] not in ("debug", "info")]


def test_idle_connections_keep_no_event_no_kill_and_no_rules_out(
    service: Running, portal: SandboxServer
) -> None:
    portal.sandbox.add_item(2, 759, stageSemanticId="F")
    condemned = portal.sandbox.start_workflow((*DEAL, "DEAL_759"), 61)
    with ExitStack() as stack:
        held = [stack.enter_context(idle(service)) for _ in range(MOST + 40)]
        assert [service.post(event("ONCRMCONTACTADD", n)) for n in range(20)] == [200] * 20
        assert service.post(event("ONCRMDEALUPDATE", 759)) == 200
        eventually(lambda: condemned in portal.sandbox.killed or None)
        (service.place / "rules.yaml").write_text(LOST_DEAL.replace("61", "62"))
        eventually(lambda: b"rules taken up" in service.log.read_bytes() or None)
        still = [is_open(connection) for connection in held]
    assert still == sorted(still)  # the first of them have been idle longest, and are closed
    assert 0 < still.count(True) <= MOST
    assert said(service) == [
        "The limit of open connections is reached; the longest idle ones are closed."
    ]


def test_as_many_are_open_as_may_be_and_the_metrics_say_so(service: Running) -> None:
    with ExitStack() as stack:
        scraper = stack.enter_context(connected(service.port))
        held = [stack.enter_context(idle(service)) for _ in range(MOST - 1)]
        assert measured(scraper) == (MOST, MOST, 0)
        assert all(is_open(connection) for connection in held)
        held[0].sendall(ALIVE)  # now the second is the one that has been idle longest
        assert held[0].recv(65536).startswith(b"HTTP/1.1 200 ")
        stack.enter_context(idle(service))
        assert measured(scraper) == (MOST, MOST, 1)
        assert [is_open(connection) for connection in held[:3]] == [True, False, True]
    with connected(service.port) as scraper:
        eventually(lambda: measured(scraper)[0] == 1 or None)


@pytest.mark.parametrize(
    "words",
    [
        b"",
        b"POST /events HTTP/1.1\r\nHost: a\r\nA: ",
        b"POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
        b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 20,
    ],
    ids=["silent", "half a head", "half a body", "takes no answers"],
)
def test_connections_that_come_all_at_once_cost_no_event(service: Running, words: bytes) -> None:
    ended = threading.Event()
    strangers = [threading.Thread(target=flood, args=(service, words, ended)) for _ in range(6)]
    for stranger in strangers:
        stranger.start()
    try:
        time.sleep(0.3)
        answers = [service.post(event("ONCRMCONTACTADD", n)) for n in range(30)]
    finally:
        ended.set()
        for stranger in strangers:
            stranger.join()
    assert answers == [200] * 30
    assert len(said(service)) <= 3, said(service)


def flood(service: Running, words: bytes, ended: threading.Event) -> None:
    """Keep fifty connections open, and open others for them all the time."""
    held: list[socket.socket] = []
    while not ended.is_set():
        with contextlib.suppress(OSError):
            held.append(connected(service.port))
            held[-1].setblocking(False)
            held[-1].send(words)
        if len(held) > 50:
            held.pop(0).close()
            time.sleep(0.01)
    for connection in held:
        connection.close()

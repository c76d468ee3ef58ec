"""Measures what a backlog of 100,000 deliveries costs: acknowledging, and memory.

Run it as `python -m tests.bench.backlog`. In one program single deliveries are acknowledged at a
fixed rate: first with an empty inbox, then with so many waiting, behind a portal that is away.
Started again with the portal there, it judges them meanwhile. Its memory is read from the system,
with what it shares left out.
"""

import argparse
import http.client
import socket
import tempfile
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.store.database.database import Database
from responder.store.inbox import inbox
from tests.bench.figures import Figure, percentile, show
from tests.support.processes import FORM, Running, event, running
from tests.support.under_load import QUICK, RULES

ACK_RATIO = 2.0
MEMORY_RATIO = 1.5
RATE = 100.0
CHUNK = 5_000
DEALS = 20_000
SETTLE_SECONDS = 3.0


def memory_mb(service: Running) -> float:
    """Return what the program's process keeps in memory."""
    assert service.process is not None
    pages = Path(f"/proc/{service.process.pid}/statm").read_text(encoding="ascii").split()
    return (int(pages[1]) - int(pages[2])) * 4096 / 1e6


class Memory:
    """Watches the program's memory within a block, and keeps the most that it was."""

    def __init__(self, service: Running) -> None:
        self.most = 0.0
        self._service = service
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            self.most = max(self.most, memory_mb(self._service))

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def acknowledge(service: Running, count: int) -> list[float]:
    """Send deliveries at a fixed rate on one connection; return the milliseconds of each."""
    body = event("ONCRMDEALUPDATE", 1)
    spent = []
    with closing(http.client.HTTPConnection("127.0.0.1", service.port, timeout=15)) as connection:
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        due = time.monotonic()
        for _ in range(count):
            due += 1 / RATE
            time.sleep(max(0.0, due - time.monotonic()))
            began = time.monotonic()
            connection.request("POST", "/events", body, FORM)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            spent.append(1000 * (time.monotonic() - began))
    return spent


def pile_up(service: Running, count: int) -> None:
    """Put deliveries into the inbox, as if they had been received."""
    form = event("ONCRMDEALUPDATE", 1, token="x" * 27).encode()
    at = datetime.now(UTC) - timedelta(hours=1)
    database = Database(service.database_url)
    database.open()

    def chunk(tx: Connection, start: int) -> None:
        numbers = range(start, min(count, start + CHUNK))
        inbox.add(
            tx,
            [
                inbox.row("main", at, "event", "ONCRMDEALUPDATE", f"deal:{n % DEALS}", None, form)
                for n in numbers
            ],
        )

    for start in range(0, count, CHUNK):
        database.write(lambda tx, start=start: chunk(tx, start))  # type: ignore[misc]
    database.close()


def _waiting(service: Running) -> int:
    _, page = service.get("/metrics")
    lines = (line for line in page.decode().splitlines() if line.startswith("responder_inbox_w"))
    return int(float(next(lines).split()[-1]))


def measure(backlog: int = 100_000, acks: int = 600) -> list[Figure]:
    """Measure with an empty inbox, with a backlog, and while it is judged."""
    portal = SandboxServer(Sandbox()).start()
    portal.stop()  # away, until it is started again on its port
    quiet = {**QUICK, "RESPONDER_LOG_LEVEL": "error", "RESPONDER_SWEEP_EVERY": "0"}
    with (
        tempfile.TemporaryDirectory() as place,
        running(Path(place), portal.url, rules=RULES, **quiet) as service,
    ):
        acknowledge(service, acks // 4)  # the first ones load what they need
        idle = memory_mb(service)
        empty = percentile(acknowledge(service, acks), 99)
        with Memory(service) as kept:
            pile_up(service, backlog)
            time.sleep(SETTLE_SECONDS)
            full = percentile(acknowledge(service, acks), 99)
        before = _waiting(service)
        assert before >= backlog
        service.end()
        portal.start()
        service.start()
        with Memory(service) as drained:
            during = percentile(acknowledge(service, acks), 99)
            time.sleep(SETTLE_SECONDS)
        judged = before - _waiting(service)
        portal.stop()
    return [
        Figure("ack p99, empty inbox", empty, "ms"),
        Figure(f"  with {backlog} waiting", full, "ms"),
        Figure(f"  while {judged} of them are judged", during, "ms"),
        Figure("backlog: ack p99 / empty", full / empty, "x", at_most=ACK_RATIO),
        Figure("memory idle", idle, "MB"),
        Figure("  with the backlog / idle", kept.most / idle, "x", at_most=MEMORY_RATIO),
        Figure("  while it is judged / idle", drained.most / idle, "x", at_most=MEMORY_RATIO),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backlog", type=int, default=100_000)
    parser.add_argument("--acks", type=int, default=600)
    given = parser.parse_args()
    show(measure(given.backlog, given.acks))


if __name__ == "__main__":
    main()

"""Measures storms: many events at once, against a portal with its limits, in HTTP calls and time.

Run it as `python -m tests.bench.storm`. Program, portal and sender are processes of their own. The
portal allows two requests a second and fifty at once, takes 5 ms for each command (a batch of fifty
takes 250 ms, and others are answered meanwhile), and counts what it refuses. Time is from the first
event sent to the last kill seen. What the program asks of a portal at each start, whatever comes
(the crucial questions), was asked before the first event, and is not counted.
"""

import argparse
import asyncio
import contextlib
import json
import math
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from responder.bitrix24.sandbox import Sandbox, run
from responder.bitrix24.sandbox.slots import Slots
from tests.bench.ack import postgres
from tests.bench.figures import Figure, show
from tests.bench.portals import lose_deals, served, webhook, workflow_id
from tests.support.processes import FORM, Running, event, free_port, running
from tests.support.under_load import RULES

RATE, BURST = 2, 50
MANY = 5_000  # workflows on one document
DEAL = ("crm", "CCrmDocumentDeal", "DEAL_1")
KILL_SECONDS = 0.005
PER_BATCH, ROWS_PER_REQUEST = 50, 2_500
LISTS = ("bizproc.workflow.instances", "crm.item.list", "bizproc.task.list")
REST_SECONDS = 6.0  # nothing asked for so long: all that follows from a storm was done
STARTED_SECONDS = 1.0  # or all that follows from a start
SENDERS = 8


class Counting(Sandbox):
    """A portal that can say what it was asked and what it did."""

    rows = 0

    def _run(self, method: str, params: Mapping[str, object]) -> object:  # type: ignore[override]
        answer = super()._run(method, params)
        value = answer.value
        if method in LISTS:
            found = value.get("items", []) if isinstance(value, dict) else value
            self.rows += len(found) if isinstance(found, list) else 0
        return answer


def serve_portal(port: int, deals: int, workflows: int) -> None:
    """Be the portal: so many lost deals with condemned workflows; tell a line when asked."""
    sandbox = Counting(limits=True, rate=RATE, burst=BURST)
    sandbox.answer_seconds = KILL_SECONDS
    lose_deals(sandbox, deals)
    if workflows > 1:
        sandbox.slots = Slots(None)
        for place in range(1, workflows):
            sandbox.start_workflow(DEAL, 61, id=workflow_id(place, 1))
    threading.Thread(target=_answer, args=(sandbox,), daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run("127.0.0.1", port, sandbox))


def _answer(sandbox: Counting) -> None:
    for _ in sys.stdin:
        with sandbox.lock:
            told = {
                "requests": sandbox.http_requests,
                "limited": sandbox.limited,
                "killed": len(sandbox.killed),
                "twice": len(sandbox.killed) - len(set(sandbox.killed)),
                "rows": sandbox.rows,
            }
        print(json.dumps(told), flush=True)  # noqa: T201


class Portal:
    """The portal's process. What it was asked before `begin` is not counted."""

    def __init__(self, port: int, process: "subprocess.Popen[str]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.url = webhook(port)
        self._asked, self._told = process.stdin, process.stdout
        self._before: dict[str, int] = {}

    def begin(self) -> None:
        """Wait until all that follows from a start was asked, and count from now on."""
        self._before = self.at_rest(STARTED_SECONDS)

    def counts(self) -> dict[str, int]:
        """Ask how much it was asked and did so far."""
        self._asked.write("\n")
        self._asked.flush()
        counts: dict[str, int] = json.loads(self._told.readline())
        return {what: count - self._before.get(what, 0) for what, count in counts.items()}

    def kills(self, count: int, within_seconds: float) -> float:
        """Wait for so many kills; return the monotonic instant."""
        deadline = time.monotonic() + within_seconds
        while (counts := self.counts())["killed"] < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"only {counts}")
            time.sleep(0.05)
        return time.monotonic()

    def at_rest(self, seconds: float = REST_SECONDS) -> dict[str, int]:
        """Wait until nothing is asked any more."""
        before, since = self.counts(), time.monotonic()
        while time.monotonic() - since < seconds:
            time.sleep(0.2)
            now = self.counts()
            if now["requests"] != before["requests"]:
                before, since = now, time.monotonic()
        return before


@contextmanager
def portal(deals: int, workflows: int = 1) -> Iterator[Portal]:
    """Serve a portal from a process of its own."""
    port = free_port()
    numbers = ("--deals", str(deals), "--workflows", str(workflows))
    words = ("--serve", "--port", str(port), *numbers)
    with served("tests.bench.storm", [port], *words) as process:
        yield Portal(port, process)


@contextmanager
def service(there: Portal, database_url: str | None = None) -> Iterator[Running]:
    """Run the program against it, as settings have it; what follows from its start is over."""
    with tempfile.TemporaryDirectory() as place:
        quiet = {"RESPONDER_LOG_LEVEL": "warning"}
        made = running(Path(place), there.url, rules=RULES, database_url=database_url, **quiet)
        with made as started:
            there.begin()
            yield started


def send(port: int, bodies: list[str]) -> None:
    """Send events over a few connections, each as fast as it is answered."""
    threads = [
        threading.Thread(target=_send, args=(port, bodies[place::SENDERS]))
        for place in range(SENDERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _send(port: int, bodies: list[str]) -> None:
    head = f"POST /events HTTP/1.1\r\nHost: a\r\nContent-Type: {FORM['Content-Type']}\r\n"
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for body in bodies:
            request = f"{head}Content-Length: {len(body)}\r\n\r\n{body}"
            connection.sendall(request.encode())
            answer = b""
            while not answer.partition(b"\r\n\r\n")[2]:
                answer += connection.recv(4096) or b"\r\n\r\nnothing"
            if b" 200 " not in answer:
                raise RuntimeError("an event was not acknowledged")


def storm(
    deals: int, within_seconds: float, database_url: str | None = None
) -> tuple[float, dict[str, int]]:
    """Send one event of each deal; return the seconds to the last kill, and the portal's counts."""
    with portal(deals) as there, service(there, database_url) as started:
        bodies = [event("ONCRMDEALUPDATE", number) for number in range(1, deals + 1)]
        began = time.monotonic()
        send(started.port, bodies)
        sent = time.monotonic() - began
        spent = there.kills(deals, within_seconds) - began
        counts = there.at_rest()
    if counts["twice"]:
        raise RuntimeError(f"killed twice: {counts}")
    print(f"  (sent in {sent:.1f} s, {counts})")  # noqa: T201
    return spent, counts


def thousand(database_url: str | None = None) -> list[Figure]:
    """Measure a storm that fits into the portal's bucket."""
    spent, counts = storm(1_000, 90, database_url)
    where = "" if database_url is None else ", on PostgreSQL"
    return [
        Figure(f"storm of 1,000 deals{where}, to the last kill", spent, "s", at_most=5),
        Figure("  HTTP calls, looks afterwards included", counts["requests"], "", at_most=35),
        Figure("  refused by the limit", counts["limited"], "", at_most=0),
    ]


def thousand_on_postgres() -> list[Figure]:
    """Measure the same with a PostgreSQL that shares the machine."""
    with postgres() as database_url:
        return thousand(database_url)


def ten_thousand() -> list[Figure]:
    """Measure a storm that has to wait for the bucket."""
    spent, counts = storm(10_000, 400)
    allowed = math.ceil(10_000 / PER_BATCH) + counts["rows"] / ROWS_PER_REQUEST
    needed = (counts["requests"] - BURST) / RATE
    return [
        Figure("storm of 10,000 deals, to the last kill", spent, "s"),
        Figure("  HTTP calls", counts["requests"], ""),
        Figure("  calls / full batches", counts["requests"] / allowed, "x", at_most=1.05),
        Figure("  time / what the bucket alone needs", spent / needed, "x", at_most=1.05),
        Figure("  refused by the limit", counts["limited"], "", at_most=0),
    ]


def one_deal() -> list[Figure]:
    """Measure many events of one document."""
    with portal(1) as there, service(there) as started:
        send(started.port, [event("ONCRMDEALUPDATE", 1)] * 1_000)
        there.kills(1, 30)
        time.sleep(12)  # the second look, ten seconds later
        counts = there.at_rest()
    return [
        Figure("1,000 events on one deal, HTTP calls", counts["requests"], "", at_most=6),
        Figure("  kills", counts["killed"], "", at_most=1, at_least=1),
    ]


def one_document() -> list[Figure]:
    """Measure a document with thousands of condemned workflows."""
    with portal(1, workflows=MANY) as there, service(there) as started:
        began = time.monotonic()
        send(started.port, [event("ONCRMDEALUPDATE", 1)])
        spent = there.kills(MANY, 300) - began
        counts = there.at_rest()
    return [
        Figure(
            f"one document with {MANY:,} condemned, stops a second", MANY / spent, "", at_least=80
        ),
        Figure("  HTTP calls", counts["requests"], ""),
        Figure("  refused by the limit", counts["limited"], "", at_most=0),
        Figure("  killed twice", counts["twice"], "", at_most=0),
    ]


def unnamed() -> list[Figure]:
    """Measure events that no rule names."""
    with portal(1) as there, service(there) as started:
        send(started.port, [event("ONCRMDEALADD", number) for number in range(5_000)])
        counts = there.at_rest()
    return [Figure("5,000 events no rule names, HTTP calls", counts["requests"], "", at_most=0)]


def measure() -> list[Figure]:
    """Measure one storm after the other."""
    return [
        *thousand(),
        *thousand_on_postgres(),
        *ten_thousand(),
        *one_deal(),
        *one_document(),
        *unnamed(),
    ]


PARTS = {
    "1000": thousand,
    "postgres": thousand_on_postgres,
    "10000": ten_thousand,
    "one": one_deal,
    "document": one_document,
    "unnamed": unnamed,
    "all": measure,
}


def main() -> None:
    """Measure and print, or be the portal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", default="all", choices=PARTS)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--deals", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--workflows", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve_portal(given.port, given.deals, given.workflows)
    else:
        show(PARTS[given.part]())


if __name__ == "__main__":
    main()

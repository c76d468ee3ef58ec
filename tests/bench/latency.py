"""Measures the time from an event's POST to the kill, on an idle program and a portal that answers.

Run it as `python -m tests.bench.latency`. Program, portal and sender are processes of their own on
one monotonic clock. The program asks the portal at least twice, to read and to kill; what these two
requests take when nothing is decided between them is measured in the same run, for the ratio.
"""

import argparse
import asyncio
import contextlib
import http.client
import json
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import IO

from responder.bitrix24.sandbox import Sandbox, run
from tests.bench.figures import Figure, percentile, show
from tests.processes import Running, event, free_port, running
from tests.under_load import QUICK, RULES

P50_MS = 50
DEAL = ("crm", "CCrmDocumentDeal")
IDLE_SECONDS = (0.15, 0.45)
SEEN_WITHIN_SECONDS = 20


class TellingList(list[str]):
    """Ids that are written down, with the instant, as they are added."""

    def append(self, one: str) -> None:
        """Add an id, and say so."""
        print(json.dumps([one, time.monotonic()]), flush=True)  # noqa: T201
        super().append(one)


def workflow_id(number: int) -> str:
    """Name the workflow on a deal."""
    return f"65e5a449e8f135.{number:08d}"


def serve_portal(port: int, deals: int) -> None:
    """Be the portal: so many lost deals, each with a workflow that is condemned."""
    sandbox = Sandbox()
    sandbox.killed = TellingList()
    sandbox.add_template(61, "Approval")
    for number in range(1, deals + 1):
        sandbox.add_item(2, number, stageSemanticId="F")
        sandbox.start_workflow((*DEAL, f"DEAL_{number}"), 61, id=workflow_id(number))
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run("127.0.0.1", port, sandbox))


class Portal:
    """The portal's process, and when it saw each kill."""

    def __init__(self, port: int, told: IO[str]) -> None:
        self.port = port
        self._lines: SimpleQueue[str] = SimpleQueue()
        threading.Thread(target=self._read, args=(told,), daemon=True).start()

    def _read(self, told: IO[str]) -> None:
        for line in told:
            self._lines.put(line)

    @property
    def url(self) -> str:
        """Return its incoming webhook."""
        return f"http://127.0.0.1:{self.port}/rest/1/sandbox-secret-0001/"

    def killed_at(self, number: int) -> float:
        """Wait for a deal's workflow to be killed; return when that was."""
        while True:
            killed, at = json.loads(self._lines.get(timeout=SEEN_WITHIN_SECONDS))
            if killed == workflow_id(number):
                return float(at)

    def pair_seconds(self, number: int) -> float:
        """Read a deal and kill its workflow, with nothing in between; return the time it took."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.connect()
        began = time.monotonic()
        commands = {
            "item": f"crm.item.get?entityTypeId=2&id={number}",
            "runs": f"bizproc.workflow.instances?filter[DOCUMENT_ID]=DEAL_{number}",
        }
        for method, params in (
            ("batch", {"halt": 0, "cmd": commands}),
            ("bizproc.workflow.kill", {"ID": workflow_id(number)}),
        ):
            body = json.dumps(params)
            headers = {"Content-Type": "application/json"}
            connection.request("POST", f"/rest/1/sandbox-secret-0001/{method}", body, headers)
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            answer.read()
        connection.close()
        return self.killed_at(number) - began


@contextmanager
def portal(deals: int) -> Iterator[Portal]:
    """Serve a portal from a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.latency", "--serve", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--events", str(deals)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        _wait_for(port)
        yield Portal(port, process.stdout)
    finally:
        process.terminate()
        process.wait(20)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError("the portal did not start")


def seconds_to_kill(service: Running, there: Portal, number: int) -> float:
    """Send one event; return the time until the portal saw the kill."""
    body = event("ONCRMDEALUPDATE", number)
    began = time.monotonic()
    if service.post(body) != 200:
        raise RuntimeError("the event was not acknowledged")
    return there.killed_at(number) - began


def measure(events: int = 50) -> list[Figure]:
    """Send single events to a program that rests between them, and bare pairs in turn with them."""
    chance = random.Random(events)  # noqa: S311
    spent: list[float] = []
    pairs: list[float] = []
    with (
        tempfile.TemporaryDirectory() as place,
        portal(2 * events + 1) as there,
        running(Path(place), there.url, rules=RULES, **QUICK) as service,
    ):
        seconds_to_kill(service, there, 2 * events + 1)  # the first one loads what it needs
        for number in range(1, events + 1):
            time.sleep(chance.uniform(*IDLE_SECONDS))
            pairs.append(1000 * there.pair_seconds(events + number))
            spent.append(1000 * seconds_to_kill(service, there, number))
    middle, bare = statistics.median(spent), statistics.median(pairs)
    return [
        Figure("idle event to kill, p50", middle, "ms", at_most=P50_MS),
        Figure("idle event to kill, p95", percentile(spent, 95), "ms"),
        Figure("  bare pair of requests, p50", bare, "ms"),
        Figure("  bare pair of requests, p95", percentile(pairs, 95), "ms"),
        Figure("  event to kill / bare pair", middle / bare, "x"),
    ]


def main() -> None:
    """Measure and print, or be the portal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=50)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve_portal(given.port, given.events)
    else:
        show(measure(given.events))


if __name__ == "__main__":
    main()

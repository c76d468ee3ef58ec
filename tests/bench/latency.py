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
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from responder.bitrix24.sandbox import Sandbox, run
from tests.bench.figures import Figure, percentile, show
from tests.bench.portals import (
    Kills,
    TellingList,
    lose_deals,
    served,
    webhook,
    workflow_id,
)
from tests.support.processes import Running, event, free_port, running
from tests.support.under_load import QUICK, RULES

P50_MS = 50
IDLE_SECONDS = (0.15, 0.45)


def serve_portal(port: int, deals: int) -> None:
    """Be the portal: so many lost deals, each with a workflow that is condemned."""
    sandbox = Sandbox()
    sandbox.killed = TellingList()
    lose_deals(sandbox, deals)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run("127.0.0.1", port, sandbox))


class Portal:
    """The portal's process, and when it saw each kill."""

    def __init__(self, port: int, kills: Kills) -> None:
        self.port = port
        self.url = webhook(port)
        self._kills = kills

    def killed_at(self, number: int) -> float:
        """Wait for a deal's workflow to be killed; return when that was."""
        return self._kills.seen_at(workflow_id(number))

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
    words = ("--serve", "--port", str(port), "--events", str(deals))
    with served("tests.bench.latency", [port], *words) as process:
        yield Portal(port, Kills(process.stdout))


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

"""Measures what a portal that hangs costs the others: from an event to the kill, on 19 portals.

Run it as `python -m tests.bench.fairness`. The twentieth portal accepts connections and never
answers. Two programs serve the same portals side by side; one of them has a backlog for the portal
that hangs. Single events for the others go to the two programs in turn, so that whatever else the
machine does meanwhile happens to both.
"""

import argparse
import asyncio
import contextlib
import json
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import IO

from responder.bitrix24.sandbox import Sandbox, run
from tests.bench.figures import Figure, percentile, show
from tests.bench.latency import DEAL, SEEN_WITHIN_SECONDS, TellingList
from tests.processes import Running, event, eventually, free_port, running

RATIO = 1.5
OTHERS = 19
HUNG = "hung"
BACKLOG = 300
IDLE_SECONDS = (0.02, 0.08)
RULES = """\
version: 1
rules:
  - id: lost-deal
    mode: enforce
    when: [deal.updated]
    portals: [{portals}]
    if: {{deal.stage_semantic_id: F, workflow.template_id: 61}}
    then: kill
    limit: {{per_hour: 1000000, per_document: 1000000}}
"""


def workflow_id(place: int, number: int) -> str:
    """Name the workflow on a deal of a portal."""
    return f"65e5a449e8f135.{place:02d}{number:06d}"


def names() -> list[str]:
    """Name the portals that answer; the first is the one that every test has."""
    return ["main", *(f"p{place}" for place in range(1, OTHERS))]


def token(name: str) -> str:
    """Return a portal's application token."""
    return f"test-application-token-{name}"


async def _serve(ports: list[int], deals: int) -> None:
    killed = TellingList()
    sandboxes = []
    for place in range(len(ports)):
        sandbox = Sandbox()
        sandbox.killed = killed
        sandbox.add_template(61, "Approval")
        for number in range(1, deals + 1):
            sandbox.add_item(2, number, stageSemanticId="F")
            running_id = workflow_id(place, number)
            sandbox.start_workflow((*DEAL, f"DEAL_{number}"), 61, id=running_id)
        sandboxes.append(sandbox)
    await asyncio.gather(
        *(run("127.0.0.1", port, one) for port, one in zip(ports, sandboxes, strict=True))
    )


class Portals:
    """The process of the portals that answer, and when it saw each kill."""

    def __init__(self, told: IO[str]) -> None:
        self._lines: SimpleQueue[str] = SimpleQueue()
        threading.Thread(target=self._read, args=(told,), daemon=True).start()

    def _read(self, told: IO[str]) -> None:
        for line in told:
            self._lines.put(line)

    def killed_at(self, wanted: str) -> float:
        """Wait for a workflow to be killed; return when that was."""
        while True:
            killed, at = json.loads(self._lines.get(timeout=SEEN_WITHIN_SECONDS))
            if killed == wanted:
                return float(at)


@contextmanager
def portals(ports: list[int], deals: int) -> Iterator[Portals]:
    """Serve the portals that answer, from a process of their own."""
    serve = ["--serve", ",".join(map(str, ports)), "--events", str(deals)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.fairness", *serve], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        for port in ports:
            eventually(lambda port=port: _listens(port), seconds=20)  # type: ignore[misc]
        yield Portals(process.stdout)
    finally:
        process.kill()  # of its many servers only one would hear of the end
        process.wait(20)


def _listens(port: int) -> bool | None:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return None
    return True


def environment(ports: Mapping[str, int]) -> dict[str, str]:
    """Return the settings of all portals."""
    found = {"RESPONDER_LOG_LEVEL": "warning", "RESPONDER_SWEEP_EVERY": "0"}
    for name, port in ports.items():
        prefix = f"RESPONDER_PORTALS__{name.upper()}__"
        found[f"{prefix}URL"] = f"http://127.0.0.1:{port}/rest/1/sandbox-secret-0001/"
        found[f"{prefix}APPLICATION_TOKENS"] = token(name)
        found[f"{prefix}REQUESTS_PER_SECOND"] = "1000"
        found[f"{prefix}BURST"] = "10000"
    return found


def _send(service: Running, name: str, number: int) -> None:
    if service.post(event("ONCRMDEALUPDATE", number, token=token(name))) != 200:
        raise RuntimeError("the event was not acknowledged")


def _spent(service: Running, there: Portals, place: int, number: int) -> float:
    """Send one event after a short rest; return the milliseconds to the kill."""
    time.sleep(random.uniform(*IDLE_SECONDS))  # noqa: S311
    began = time.monotonic()
    _send(service, names()[place], number)
    return 1000 * (there.killed_at(workflow_id(place, number)) - began)


def _in_turn(
    calm: Running, burdened: Running, there: Portals, rounds: int
) -> tuple[list[float], list[float]]:
    """Send events to both programs in turn, for each portal that answers."""
    before, during = [], []
    for number in range(1, 2 * rounds + 1, 2):
        for place in range(OTHERS):
            before.append(_spent(calm, there, place, number))
            during.append(_spent(burdened, there, place, number + 1))
    return before, during


def measure(rounds: int = 8) -> list[Figure]:
    """Measure without and with a backlog for the portal that hangs."""
    ports = {name: free_port() for name in names()}
    with (
        tempfile.TemporaryDirectory() as one,
        tempfile.TemporaryDirectory() as other,
        socket.create_server(("127.0.0.1", 0), backlog=512) as hung,
        portals(list(ports.values()), 2 * rounds + 2) as there,
    ):
        every = {**ports, HUNG: hung.getsockname()[1]}
        given, rules = environment(every), RULES.format(portals=", ".join(every))
        with (
            running(Path(one), "", rules=rules, **given) as calm,
            running(Path(other), "", rules=rules, **given) as burdened,
        ):
            for place in range(OTHERS):  # the first ones load what they need
                _spent(calm, there, place, 2 * rounds + 1)
                _spent(burdened, there, place, 2 * rounds + 2)
            for number in range(BACKLOG):
                _send(burdened, HUNG, number)
            before, during = _in_turn(calm, burdened, there, rounds)
    was, became = percentile(before, 95), percentile(during, 95)
    return [
        Figure("event to kill on 19 portals, p95", was, "ms"),
        Figure("  while a twentieth hangs, p95", became, "ms"),
        Figure("one of 20 portals hangs: p95 / before", became / was, "x", at_most=RATIO),
    ]


def main() -> None:
    """Measure and print, or be the portals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=8)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_serve([int(port) for port in given.serve.split(",")], given.events))
    else:
        show(measure(given.events))


if __name__ == "__main__":
    main()

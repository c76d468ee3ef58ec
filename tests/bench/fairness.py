"""Measures what a portal that hangs costs the others: from an event to the kill, on 19 portals.

Run it as `python -m tests.bench.fairness`. The twentieth portal accepts connections and never
answers. Two programs serve the same portals side by side; one of them has a backlog for the portal
that hangs. Single events for the others go to the two programs in turn, so that whatever else the
machine does meanwhile happens to both.
"""

import argparse
import asyncio
import contextlib
import random
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from responder.bitrix24.sandbox import Sandbox, run
from tests.bench.figures import Figure, percentile, show
from tests.bench.portals import Kills, TellingList, lose_deals, served, webhook, workflow_id
from tests.support.processes import Running, event, free_port, running

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
        lose_deals(sandbox, deals, place)
        sandboxes.append(sandbox)
    await asyncio.gather(
        *(run("127.0.0.1", port, one) for port, one in zip(ports, sandboxes, strict=True))
    )


@contextmanager
def portals(ports: list[int], deals: int) -> Iterator[Kills]:
    """Serve the portals that answer, from a process of their own; give what it tells of kills."""
    words = ("--serve", ",".join(map(str, ports)), "--events", str(deals))
    with served("tests.bench.fairness", ports, *words) as process:
        yield Kills(process.stdout)


def environment(ports: Mapping[str, int]) -> dict[str, str]:
    """Return the settings of all portals."""
    found = {"RESPONDER_LOG_LEVEL": "warning", "RESPONDER_SWEEP_EVERY": "0"}
    for name, port in ports.items():
        prefix = f"RESPONDER_PORTALS__{name.upper()}__"
        found[f"{prefix}URL"] = webhook(port)
        found[f"{prefix}APPLICATION_TOKENS"] = token(name)
        found[f"{prefix}REQUESTS_PER_SECOND"] = "1000"
        found[f"{prefix}BURST"] = "10000"
    return found


def _send(service: Running, name: str, number: int) -> None:
    if service.post(event("ONCRMDEALUPDATE", number, token=token(name))) != 200:
        raise RuntimeError("the event was not acknowledged")


def _spent(service: Running, there: Kills, place: int, number: int) -> float:
    """Send one event after a short rest; return the milliseconds to the kill."""
    time.sleep(random.uniform(*IDLE_SECONDS))  # noqa: S311
    began = time.monotonic()
    _send(service, names()[place], number)
    return 1000 * (there.seen_at(workflow_id(number, place)) - began)


def _in_turn(
    calm: Running, burdened: Running, there: Kills, rounds: int
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

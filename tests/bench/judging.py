"""Measures what acknowledging costs while the rules judge: p99 against a program that judges none.

Run it as `python -m tests.bench.judging`. Two programs take the same stream of events, of deals on
which nothing runs any more. The rules of one name these events, so its driver reads the deals and
writes an evaluation of each all the time; those of the other name none. Single deliveries are
acknowledged beside the stream at a fixed rate, in turns with one program and the other.
"""

import argparse
import asyncio
import statistics
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from responder.bitrix24.sandbox import Sandbox, run
from tests.bench.ack import VOID_ABOVE_MS
from tests.bench.backlog import acknowledge
from tests.bench.figures import Figure, percentile, show
from tests.bench.portals import served, webhook
from tests.bench.storm import send
from tests.support.processes import Running, event, free_port, running
from tests.support.under_load import QUICK, RULES

AT_MOST = 5.0
ROUNDS, ACKS = 5, 300
DEALS = 5_000
AT_ONCE, PAUSE_SECONDS = 100, 0.25  # a stream of some 400 events a second


@contextmanager
def streaming(service: Running) -> Iterator[None]:
    """Send events of one deal after the other, until the block ends."""
    ended, numbers = threading.Event(), count()

    def stream() -> None:
        while not ended.wait(PAUSE_SECONDS):
            some = [1 + next(numbers) % DEALS for _ in range(AT_ONCE)]
            send(service.port, [event("ONCRMDEALUPDATE", number) for number in some])

    thread = threading.Thread(target=stream)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def serve_portal(port: int) -> None:
    """Be the portal: lost deals on which nothing runs."""
    sandbox = Sandbox()
    sandbox.add_template(61, "Approval")
    for number in range(1, DEALS + 1):
        sandbox.add_item(2, number, stageSemanticId="F")
    asyncio.run(run("127.0.0.1", port, sandbox))


@contextmanager
def program(portal: int, rules: str) -> Iterator[Running]:
    """Run the program by these rules."""
    quiet = {**QUICK, "RESPONDER_LOG_LEVEL": "error", "RESPONDER_SWEEP_EVERY": "0"}
    with (
        tempfile.TemporaryDirectory() as place,
        running(Path(place), webhook(portal), rules=rules, **quiet) as service,
    ):
        yield service


def measure(rounds: int = ROUNDS, acks: int = ACKS) -> list[Figure]:
    """Measure both in turns, and compare the medians of their p99."""
    port = free_port()
    with (
        served("tests.bench.judging", [port], "--serve", str(port)),
        program(port, RULES) as judging,
        program(port, RULES.replace("deal.updated", "deal.deleted")) as idle,
    ):
        busy, rest = list[float](), list[float]()
        for _ in range(rounds):
            for service, found in ((judging, busy), (idle, rest)):
                with streaming(service):
                    acknowledge(service, acks // 3)  # until the driver is in the thick of it
                    found.append(percentile(acknowledge(service, acks), 99))
        judged = judging.command("decisions", "--json").stdout.count("\n")
    return [
        Figure(
            "ack p99 while rules judge / while none names it",
            statistics.median(busy) / statistics.median(rest),
            "x",
            at_most=AT_MOST,
            void=min(rest) > VOID_ABOVE_MS,
        ),
        Figure("  while rules judge", statistics.median(busy), "ms"),
        Figure("  while none names it", statistics.median(rest), "ms"),
        Figure("  evaluations meanwhile", judged, "", at_least=rounds * acks),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", type=int, metavar="PORT", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve_portal(given.serve)
    else:
        show(measure())

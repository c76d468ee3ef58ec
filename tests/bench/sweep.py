"""Measures a survey of a large portal: its requests, its memory, how long it keeps others waiting.

Run it as `python -m tests.bench.sweep`. The portal is a process of its own and has no limits, so
the time is what both need together; a real portal allows two requests a second.
"""

import argparse
import asyncio
import contextlib
import gc
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from responder.adapters.metrics import Metrics
from responder.bitrix24.client.answers import Answer, Command
from responder.bitrix24.client.client import Client
from responder.bitrix24.client.rest import Portal
from responder.bitrix24.fetch.survey import Survey
from responder.bitrix24.fetch.templates import Templates
from responder.bitrix24.sandbox import Sandbox, run
from responder.model import Document, Unknown, Workflow
from tests.bench.figures import Figure, show
from tests.bench.portals import served, webhook
from tests.support.processes import free_port
from tests.support.under_load import DEAL

PATHS = frozenset({"deal.stage_semantic_id", "deal.category_id", "deal.opportunity"})
PER_REQUEST = 2500
OVERHEAD = 1.1
MIB = 1 << 20


def serve_portal(port: int, workflows: int) -> None:
    """Be the portal: deals with two workflows each."""
    sandbox = Sandbox()
    sandbox.add_template(61, "Approval")
    for number in range(workflows):
        deal = 1 + number % (workflows // 2)
        stage = {"stageId": "C2:NEW", "stageSemanticId": "P", "categoryId": 2}
        sandbox.add_item(2, deal, title=f"Deal {deal}", opportunity=deal, **stage)
        sandbox.start_workflow((*DEAL, f"DEAL_{deal}"), 61, started_by=1 + deal % 50)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run("127.0.0.1", port, sandbox))


@contextmanager
def portal(workflows: int) -> Iterator[str]:
    """Serve a portal from a process of its own; give its incoming webhook."""
    port = free_port()
    words = ("--serve", "--port", str(port), "--workflows", str(workflows))
    with served("tests.bench.sweep", [port], *words):
        yield webhook(port)


class CountingPortal(Portal):
    """Counts the HTTP requests."""

    requests = 0

    async def batch(
        self, commands: Sequence[Command], within_seconds: float | None = None
    ) -> list[Answer]:
        """Send a batch."""
        self.requests += 1
        return await super().batch(commands, within_seconds)

    async def call(self, command: Command, within_seconds: float | None = None) -> Answer:
        """Send a single command."""
        self.requests += 1
        return await super().call(command, within_seconds)


class Watch:
    """Wakes up all the time, and remembers the longest work that was done between.

    In time of the processor: what other programs took is not the survey's doing.
    """

    def __init__(self) -> None:
        self.longest_seconds = 0.0

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            began = time.thread_time()
            await asyncio.sleep(0)
            self.longest_seconds = max(self.longest_seconds, time.thread_time() - began)


def wanted(_document: Document, _workflows: Sequence[Workflow]) -> frozenset[str]:
    """Want what three tests of a deal read."""
    return PATHS


async def survey(url: str, watch: Watch) -> tuple[int, int, int, float]:
    """Survey once; return requests, workflows, documents and seconds."""
    there = CountingPortal("main", url, answer_seconds=120)
    client = Client(there, rate=1e6, burst=10**6, metrics=Metrics(), now=lambda: datetime.now(UTC))
    watching = asyncio.create_task(watch.run())
    began = time.monotonic()
    paths = frozenset({"template.known"})
    made = Survey(Templates(), datetime.now(UTC), wanted=wanted, workflow_paths=paths)
    try:
        while await made.step(client.send):
            pass
        spent = time.monotonic() - began
    finally:
        watching.cancel()
        await there.close()
    if made.failure is not None:
        raise RuntimeError(made.failure.text)
    found = 0
    for _, reading in made.readings():
        if isinstance(reading.workflows, Unknown) or reading.facts["deal.category_id"] != 2:
            raise RuntimeError("a document was not read")
        found += 1
    return there.requests, made.running, found, spent


def _resident_bytes() -> int:
    fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * resource.getpagesize()


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(workflows: int = 20_000) -> list[Figure]:
    """Survey three times: what the first one took must do for the others."""
    watch = Watch()
    with portal(2) as small:
        asyncio.run(survey(small, Watch()))
    gc.collect()
    before = _resident_bytes()
    with portal(workflows) as url:
        requests, rows, found, spent = asyncio.run(survey(url, watch))
        first = (_peak_bytes() - before) / MIB
        for _ in range(2):
            asyncio.run(survey(url, watch))
        more = (_peak_bytes() - before) / MIB - first
    bound = (rows / PER_REQUEST + found / PER_REQUEST) * OVERHEAD
    if (rows, found) != (workflows, workflows // 2):
        raise RuntimeError("the survey is not whole")
    return [
        Figure(f"survey of {rows:,}, requests", requests, "", at_most=round(bound, 1)),
        Figure("  time, with the portal's own", spent, "s"),
        Figure("  memory at its peak, beside what rested", first, "MiB"),
        Figure("  more of it after two others", more, "MiB", at_most=5),
        Figure("  longest that others waited", 1000 * watch.longest_seconds, "ms"),
    ]


def main() -> None:
    """Measure and print, or be the portal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workflows", type=int, default=20_000)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve_portal(given.port, given.workflows)
    else:
        show(measure(given.workflows))


if __name__ == "__main__":
    main()

"""Portals in a process of their own: how a benchmark starts them, fills them, and hears of kills.

A benchmark's module is both: run with `--serve` it is the portal, and starts itself so.
"""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import IO

from responder.bitrix24.sandbox import Sandbox
from tests.support.under_load import lost_deal

SEEN_WITHIN_SECONDS = 20
START_SECONDS = 60


def webhook(port: int) -> str:
    """Return the incoming webhook of a portal."""
    return f"http://127.0.0.1:{port}/rest/1/sandbox-secret-0001/"


@contextmanager
def served(module: str, ports: Sequence[int], *words: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a benchmark's module as its portals, until the block ends; give the process."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        for port in ports:
            wait_for(port)
        yield process
    finally:
        process.kill()  # of several servers in it, only one would hear of the end
        process.wait(20)


def wait_for(port: int) -> None:
    """Wait until something listens there."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"nothing listens on {port}")


def workflow_id(number: int, place: int = 0) -> str:
    """Name the workflow on a deal, of the portal at this place."""
    return f"65e5a449e8f135.{place:02d}{number:06d}"


def lose_deals(sandbox: Sandbox, deals: int, place: int = 0) -> None:
    """Give a portal so many lost deals, each with a workflow that is condemned."""
    sandbox.add_template(61, "Approval")
    for number in range(1, deals + 1):
        lost_deal(sandbox, number, workflow_id(number, place))


class TellingList(list[str]):
    """Ids that are written down, with the instant, as they are added."""

    def append(self, one: str) -> None:
        """Add an id, and say so."""
        print(json.dumps([one, time.monotonic()]), flush=True)  # noqa: T201
        super().append(one)


class Kills:
    """What a process with a `TellingList` tells of its kills."""

    def __init__(self, told: IO[str] | None) -> None:
        assert told is not None
        self._lines: SimpleQueue[str] = SimpleQueue()
        threading.Thread(target=self._read, args=(told,), daemon=True).start()

    def _read(self, told: IO[str]) -> None:
        for line in told:
            self._lines.put(line)

    def seen_at(self, wanted: str) -> float:
        """Wait for a workflow to be killed; return when that was."""
        while True:
            killed, at = json.loads(self._lines.get(timeout=SEEN_WITHIN_SECONDS))
            if killed == wanted:
                return float(at)

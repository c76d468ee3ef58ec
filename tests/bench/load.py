"""Sends deliveries as fast as they are answered: wrk where there is one, else a client of our own.

The client shares the machine with the server, and wrk takes a fifth of what a client in Python
does. Run as a program, this is the client in Python, and prints what it saw.
"""

import argparse
import asyncio
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import uvloop

TOKEN = "token-0123456789abcdef0123456789"
BEFORE = "event=ONCRMDEALUPDATE&event_handler_id=201&data%5BFIELDS%5D%5BID%5D="
AFTER = (
    "&ts=1736405807"
    "&auth%5Bdomain%5D=portal.example&auth%5Bclient_endpoint%5D=https%3A%2F%2Fportal.example%2Frest"
    "%2F&auth%5Bserver_endpoint%5D=https%3A%2F%2Foauth.example%2Frest%2F&auth%5Bmember_id%5D="
    "a223c6b3710f85df22e9377d6c4f7553&auth%5Bapplication_token%5D=" + TOKEN
)
FIRST_ID = 10_000_000
_SCRIPT = f"""
local n = {FIRST_ID}
local headers = {{ ["Content-Type"] = "application/x-www-form-urlencoded" }}
function request()
  n = n + 1
  return wrk.format("POST", "/events", headers,
                    "{BEFORE}" .. string.format("%08d", n) .. "{AFTER}")
end
"""
_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True, slots=True)
class Seen:
    """What a client saw: answers a second, milliseconds, answers that were no 200."""

    rate: float
    p50: float
    p99: float
    failed: int


def seen(port: int, connections: int, seconds: float) -> Seen:
    """Send on so many connections for so long."""
    if shutil.which("wrk"):
        return _by_wrk(port, connections, seconds)
    command = [sys.executable, "-m", "tests.bench.load", "--port", str(port)]
    command += ["--connections", str(connections), "--seconds", str(seconds)]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=seconds + 20)
    return Seen(**json.loads(told.stdout))


def _by_wrk(port: int, connections: int, seconds: float) -> Seen:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "deliveries.lua"
        script.write_text(_SCRIPT)
        command = ["wrk", "-t1", f"-c{connections}", f"-d{round(seconds)}s", "--latency"]
        command += ["-s", str(script), f"http://127.0.0.1:{port}/events"]
        told = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, timeout=seconds + 20
        ).stdout
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
    errors = re.search(r"Socket errors: (.*)", told)
    if errors is not None:
        raise RuntimeError(f"wrk met errors: {errors[1]}")
    rate = re.search(r"Requests/sec: +([0-9.]+)", told)
    assert rate is not None, told
    return Seen(
        float(rate[1]),
        _percentile(told, 50),
        _percentile(told, 99),
        0 if failed is None else int(failed[1]),
    )


def _percentile(told: str, percent: int) -> float:
    found = re.search(rf"{percent}% +([0-9.]+)(us|ms|s)", told)
    assert found is not None, told
    return float(found[1]) * _MILLISECONDS[found[2]]


class Client(asyncio.Protocol):
    """One connection that asks again as soon as it is answered."""

    def __init__(self, first_id: int, deadline: float, spent: list[float]) -> None:
        self.id = first_id
        self.deadline = deadline
        self.spent = spent
        self.failed = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._received = b""
        head = (
            "POST /events HTTP/1.1\r\nHost: responder.example\r\nUser-Agent: bench\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(BEFORE) + 8 + len(AFTER)}\r\n\r\n"
        )
        self._before, self._after = (head + BEFORE).encode(), AFTER.encode()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by name
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Ask again once the answer is complete."""
        data = self._received + data
        if not data.endswith(b"\n") or b"\r\n\r\n" not in data or data.endswith(b"\r\n"):
            self._received = data
            return
        self._received = b""
        now = time.perf_counter()
        self.spent.append(now - self._asked_at)
        self.failed += not data.startswith(b"HTTP/1.1 200")
        if now < self.deadline:
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """End this client's part."""
        del exc
        if not self.done.done():
            self.done.set_result(None)

    def _ask(self) -> None:
        self.id += 1
        self._asked_at = time.perf_counter()
        self._transport.write(b"%s%08d%s" % (self._before, self.id, self._after))


async def load(port: int, connections: int, seconds: float) -> dict[str, float]:
    """Ask on all connections for so long; return what `Seen` holds."""
    loop = asyncio.get_running_loop()
    spent: list[float] = []
    began = time.perf_counter()
    clients = []
    for number in range(connections):
        client = Client(FIRST_ID + number * 1_000_000, began + seconds, spent)
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)  # type: ignore[misc]
        clients.append(client)
    await asyncio.gather(*(client.done for client in clients))
    lasted = time.perf_counter() - began
    spent.sort()
    return {
        "rate": len(spent) / lasted,
        "p50": spent[len(spent) // 2] * 1000,
        "p99": spent[len(spent) * 99 // 100] * 1000,
        "failed": sum(client.failed for client in clients),
    }


def main() -> None:
    """Be the client in Python."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    given = parser.parse_args()
    print(json.dumps(uvloop.run(load(given.port, given.connections, given.seconds))))  # noqa: T201


if __name__ == "__main__":
    main()

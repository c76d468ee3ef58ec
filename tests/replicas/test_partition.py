"""A replica is cut off from PostgreSQL while the portal can be reached: it does nothing more."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from responder.bitrix24.sandbox import SandboxServer
from tests.replicas.checks import violations
from tests.replicas.cluster import TAKEOVER_SECONDS, cluster
from tests.replicas.scenarios import limited_portal, limits, said
from tests.support.processes import PROGRAM, eventually
from tests.support.under_load import Load


class Wire:
    """Carries connections to PostgreSQL. Cut, it swallows everything and says nothing."""

    def __init__(self, socket_path: str) -> None:
        self.port = 0
        self._socket_path = socket_path
        self._whole = asyncio.Event()
        self._writers: list[asyncio.StreamWriter] = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Wire":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def cut(self) -> None:
        """Carry nothing, in both directions."""
        self._loop.call_soon_threadsafe(self._whole.clear)

    def mend(self) -> None:
        """End the connections that were cut, and carry new ones."""

        def mend() -> None:
            for writer in self._writers:
                writer.transport.abort()
            self._writers.clear()
            self._whole.set()

        self._loop.call_soon_threadsafe(mend)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._whole.set()
        server = self._loop.run_until_complete(asyncio.start_server(self._carry, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.1))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._whole.wait()
        there, back = await asyncio.open_unix_connection(self._socket_path)
        self._writers += [writer, back]
        await asyncio.gather(self._pour(reader, back), self._pour(there, writer))

    async def _pour(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._whole.wait()
                if writer.is_closing():
                    return
                writer.write(data)
                await writer.drain()
        writer.close()


@contextmanager
def wired(database_url: str) -> Iterator[tuple[Wire, str]]:
    """Give a wire to a database, and its address there."""
    parts = urlsplit(database_url)
    folder = parse_qs(parts.query)["host"][0]
    with Wire(f"{folder}/.s.PGSQL.5432") as wire:
        address = f"127.0.0.1:{wire.port}{parts.path}?sslmode=disable"
        yield wire, f"postgresql+psycopg://postgres@{address}"


@pytest.mark.long
def test_a_driver_that_is_cut_off_from_the_database_stops_and_comes_back(
    tmp_path: Path, postgres_url: str
) -> None:
    sandbox, calls = limited_portal()
    with (
        SandboxServer(sandbox) as server,
        wired(postgres_url) as (wire, address),
        cluster(
            tmp_path,
            postgres_url,
            server.url,
            programs=[PROGRAM],
            environment=limits(sandbox),
            prepare=lambda replica: replica.use(address),
        ) as replicas,
    ):
        (far,) = replicas.replicas
        replicas.driven()
        near = replicas.add("B", PROGRAM)
        near.begin().wait()
        load = Load(near, sandbox, pause_seconds=0.05)
        with load.under_way():
            eventually(lambda: len(sandbox.killed) > 20 or None, why=replicas.tails)
            wire.cut()
            cut_at = time.monotonic()
            assert replicas.driven(by_other_than=far) is near
            assert time.monotonic() - cut_at <= TAKEOVER_SECONDS + 1  # it may have been renewed
            assert far.get("/readyz")[0] == 503
            time.sleep(8)
            wire.mend()
            eventually(lambda: far.get("/readyz")[0] == 200 or None, why=replicas.tails)
        replicas.settled()
        assert replicas.driver() is near
        assert violations(replicas, load, sandbox, calls) == []
        assert said(far, "leases cannot be renewed") or said(far, "the store is away")

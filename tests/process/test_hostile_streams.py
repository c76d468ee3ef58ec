"""Thousands of hostile byte streams, over real sockets, against the real program.

What must hold of each: what was promised an answer gets it, and there is at most one answer more,
to what could not be read. Afterwards the inbox holds each event as often as it was acknowledged,
and none that was hidden in another request. `FUZZ_SEED` repeats a run.
"""

import asyncio
import contextlib
import itertools
import logging
import os
import random
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.store.database.tables import deliveries
from tests.support import http_reader, observed
from tests.support.hostile_streams import Stream, names_in, number_of, stream
from tests.support.processes import Running, running
from tests.support.under_load import opened

AT_ONCE = 40
STATUSES = {100, 200, 400, 403, 404, 405, 408, 413, 415, 431}
FOR_WHAT_CANNOT_BE_READ = {400, 413, 431}
MOST_MEMORY_KIB = 200 * 1024
RESET = struct.pack("ii", 1, 0)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Running]:
    with SandboxServer(Sandbox()) as portal, running(tmp_path, portal.url) as program:
        yield program


@dataclass(slots=True)
class Heard:
    """What was answered to a stream, and how its connection ended."""

    expected: int
    data: bytes = b""
    end: str = ""
    enough: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class Known:
    """What is known of the streams so far."""

    least: Counter[str] = field(default_factory=Counter)  # how often an event is stored
    most: Counter[str] = field(default_factory=Counter)
    streams: int = 0
    requests: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        """Say how much was done."""
        answers, ends = dict(sorted(self.answers.items())), dict(self.ends)
        return f"{self.requests} requests, {self.streams} streams, {answers}, {ends}"


@pytest.mark.parametrize("count", [2_500, pytest.param(100_000, marks=pytest.mark.long)])
def test_no_stream_finds_anything(service: Running, count: int) -> None:
    seed = int(os.environ.get("FUZZ_SEED") or random.SystemRandom().randrange(10**9))
    sockets, known = observed.sockets(service), Known()
    asyncio.run(all_spoken(service.port, seed, count, known))
    memory_kib = observed.most_memory_kib(service)
    logging.getLogger(__name__).info("seed %d: %s, %d KiB", seed, known, memory_kib)
    observed.all_closed(service)
    assert_stored(service, seed, known)
    assert service.get("/readyz")[0] == service.get("/healthz")[0] == 200
    assert observed.sockets(service) <= sockets + 1
    assert memory_kib < MOST_MEMORY_KIB
    observed.is_quiet(service)


def test_an_event_may_be_cut_anywhere(service: Running) -> None:
    known, short = Known(), filter(is_short_and_sound, (stream(1, number) for number in range(99)))
    framings = {b"chunked" in one.data.lower(): one for one in short}
    for one in framings.values():
        asyncio.run(both_halves(service.port, one, range(1, len(one.data)), known))
    assert len(framings) == 2
    assert known.answers[200] == sum(len(one.data) - 1 for one in framings.values())


def is_short_and_sound(one: Stream) -> bool:
    return len(one.pieces) == 1 and not one.damaged and bool(one.promised()) and len(one.data) < 500


async def both_halves(port: int, one: Stream, places: range, known: Known) -> None:
    """Send a stream in two, cut at each of these places."""
    for start in range(0, len(places), AT_ONCE):
        cut = [
            replace(one, cuts=(place,), ending="waits") for place in places[start : start + AT_ONCE]
        ]
        for heard in await asyncio.gather(*(spoken(port, half) for half in cut)):
            judge(one, heard, known)


async def all_spoken(port: int, seed: int, count: int, known: Known) -> None:
    """Send streams until they had so many requests, some at once."""
    numbers = itertools.count()

    async def speak() -> None:
        while known.requests < count:
            one = stream(seed, next(numbers))
            known.streams += 1
            known.requests += len(one.pieces)
            heard = await spoken(port, one)
            try:
                judge(one, heard, known)
            except (AssertionError, http_reader.NoAnswerError) as error:
                error.add_note(f"seed {seed}, {one}\nheard until {heard.end}:\n{heard.data!r}")
                raise

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(speak())


async def spoken(port: int, one: Stream) -> Heard:
    """Send a stream as it says, and hear what is answered."""
    loop, heard = asyncio.get_running_loop(), Heard(expected(one))
    connection = socket.socket()
    connection.setblocking(False)
    with connection:
        await loop.sock_connect(connection, ("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        hearing = loop.create_task(_hear(connection, heard))
        try:
            for number, segment in enumerate(one.segments()):
                if 0 < number < 8:
                    await asyncio.sleep(0.001)
                await loop.sock_sendall(connection, segment)
            heard.end = await _end(connection, one, heard, hearing)
        except ConnectionError:
            heard.end = "reset"
        hearing.cancel()
        await asyncio.wait({hearing})
    return heard


async def _end(
    connection: socket.socket, one: Stream, heard: Heard, hearing: asyncio.Task[None]
) -> str:
    """End a stream as it says, and say how its connection ended."""
    if one.ending in ("leaves", "resets"):
        if one.ending == "resets":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        return "left"
    if one.ending == "waits":
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(heard.enough.wait(), 0.1 if one.damaged else 3)
    with contextlib.suppress(OSError):  # it is closed already
        connection.shutdown(socket.SHUT_WR)
    done, _ = await asyncio.wait({hearing}, timeout=20)
    for task in done:
        task.result()
    return "closed" if done else "silence"


async def _hear(connection: socket.socket, heard: Heard) -> None:
    """Hear all that is answered until it is closed."""
    loop = asyncio.get_running_loop()
    try:
        while came := await loop.sock_recv(connection, 65536):
            heard.data += came
            if heard.data.count(b"HTTP/1.1 ") >= heard.expected:
                heard.enough.set()
    finally:
        heard.enough.set()


def expected(one: Stream) -> int:
    """Say how many answers are worth waiting for."""
    return len(one.promised()) if not one.damaged else len(http_reader.requests(one.data)[0])


def judge(one: Stream, heard: Heard, known: Known) -> None:
    """Hold what was answered against what may be, and note what must be stored, and may be."""
    assert heard.end != "silence", "the connection was not closed"
    read, more = http_reader.requests(one.data)
    found, left = http_reader.answers(heard.data, [request.method for request in read])
    assert not left or heard.end in ("reset", "left"), "an answer is not whole"
    statuses = [answer.status for answer in found]
    known.answers.update(statuses)
    known.ends[heard.end] += 1
    assert set(statuses) <= STATUSES
    assert all(not answer.closes for answer in found[:-1]), "an answer follows the last"
    assert statuses.count(100) <= one.data.lower().count(b"expect:")
    finals = [status for status in statuses if status != 100]
    if one.damaged:
        assert len(finals) <= len(read) + more
        for request in read:
            known.most.update(names_in(request.body))
    else:
        judge_promised(one, heard, finals, known)


def judge_promised(one: Stream, heard: Heard, finals: list[int], known: Known) -> None:
    """Hold the answers against those that were promised."""
    promised = one.promised()
    wanted = [piece.status for piece in promised]
    assert finals[: len(wanted)] == wanted[: len(finals)]
    assert len(finals) <= len(wanted) + any(piece.status is None for piece in one.pieces)
    assert set(finals[len(wanted) :]) <= FOR_WHAT_CANNOT_BE_READ
    if heard.end == "closed":
        assert len(finals) >= len(wanted), "an answer is missing"
    else:
        is_whole = len(promised) == len(one.pieces)
        assert heard.end == "left" or not is_whole, "a decent client was reset"
    for number, piece in enumerate(promised):
        if piece.name:
            known.most[piece.name] += 1
            known.least[piece.name] += number < len(finals)


def assert_stored(service: Running, seed: int, known: Known) -> None:
    """Fail if an event is stored more often than it was sent, or less often than acknowledged."""
    with opened(service) as database:
        rows = database.read(
            lambda conn: conn.execute(
                select(deliveries.c.event, func.count()).group_by(deliveries.c.event)
            ).all()
        )
    stored = Counter({str(name): int(count) for name, count in rows})
    for name in {*known.least, *stored}:
        if (number := number_of(name)) is not None:
            assert known.least[name] <= stored[name] <= known.most[name], (
                f"{name}, seed {seed}, {stream(seed, number)}"
            )

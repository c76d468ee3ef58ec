"""Callers that misbehave, over raw sockets, against the real program with its real store.

What the HTTP layer alone does with slow and with broken requests is in
`receive/server/test_deadlines.py` and `receive/test_endpoint.py`. Here it is the whole that must
hold: every complete request is answered, with a code of the contract; a row is stored for a 200 and
for nothing else; the process stays small, quiet and quick.
"""

import contextlib
import json
import random
import resource
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.store.database.tables import deliveries
from tests.support.processes import TOKEN, URL_KEY, Running, event, running
from tests.support.under_load import DEAL, opened
from tests.support.uvicorn_thread import connected, parsed

ANSWERS = {200, 400, 403, 405, 408, 413, 415, 503}
WRONG = "wrong-application-token-0001"
KIB = 1024


# known to the program; unlike TOKEN it may be found in what is stored: it is put into any field
SPREAD = "a-token-that-is-put-everywhere"


@pytest.fixture(scope="module")
def portal() -> Iterator[SandboxServer]:
    with SandboxServer(Sandbox()) as server:
        yield server


@pytest.fixture(scope="module")
def service(portal: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run the program where few files may be open, until it asks for more itself."""
    few, most = 256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, most))
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        tokens = {"RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS": f"{TOKEN},{SPREAD}"}
        program = stack.enter_context(
            running(tmp_path_factory.mktemp("service"), portal.url, **tokens)
        )
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        yield program


def stored(service: Running) -> int:
    with opened(service) as database:
        return database.read(
            lambda conn: conn.execute(select(func.count()).select_from(deliveries)).scalar_one()
        )


def said(service: Running) -> list[dict[str, object]]:
    return [json.loads(line) for line in service.log.read_text().splitlines()]


def errors(service: Running) -> list[dict[str, object]]:
    return [line for line in said(service) if line["level"] in ("error", "critical")]


def memory_kib(service: Running) -> int:
    """Return the most memory that the process ever held."""
    assert service.process is not None
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1])


def answered(service: Running, data: bytes, *, seconds: float = 5) -> int | None:
    """Send these bytes on a connection of their own; return the status, None where none came."""
    with connected(service.port) as connection:
        connection.settimeout(seconds)
        received = b""
        with contextlib.suppress(OSError):
            connection.sendall(data)
        with contextlib.suppress(OSError):
            while b"\r\n\r\n" not in received and (chunk := connection.recv(65536)):
                received += chunk
    return parsed(received).status if received else None


def whole(body: bytes, *headers: bytes, path: bytes = b"/events", method: bytes = b"POST") -> bytes:
    """Write a complete request."""
    lines = [b"%s %s HTTP/1.1" % (method, path), b"Host: a", *headers]
    if not any(header.lower().startswith(b"content-type:") for header in headers):
        lines.append(b"Content-Type: application/x-www-form-urlencoded")
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", body])


def signed(body: bytes, token: str = TOKEN) -> bytes:
    return body + b"&auth%5Bapplication_token%5D=" + token.encode()


def pairs(count: int) -> bytes:
    return b"&".join(b"a%d=" % number for number in range(count))


def deep(depth: int) -> bytes:
    return b"event=ONX&a" + b"[b]" * depth + b"=1"


NAME = b"event=ONCRMDEALUPDATE&data[FIELDS][ID]="
CORPUS = {
    "nothing but a token": (signed(b""), 400),
    "199 pairs and a token": (signed(b"event=ONX&" + pairs(198)), 200),
    "1,001 pairs": (signed(b"event=ONX&" + pairs(1_000)), 413),
    "as many pairs as fit": (signed(b"event=ONX&" + b"&".join([b"a"] * 32_000)), 413),
    "as many separators as fit": (signed(b"event=ONX" + b"&" * 65_000), 200),
    "5,000 brackets": (signed(deep(5_000)), 413),
    "20,000 brackets that never close": (signed(b"event=ONX&a" + b"[" * 20_000 + b"=1"), None),
    "a token, then one of another shape": (signed(NAME + b"1") + b"&auth=1", 403),
    "a token, then a list of it": (signed(NAME + b"1") + b"&auth[application_token][]=x", 403),
    "another shape, then a token": (b"auth=1&" + signed(NAME + b"1"), 200),
    "brackets encoded twice": (NAME + b"1&auth%255Bapplication_token%255D=" + TOKEN.encode(), 403),
    "semicolons for separators": (signed(NAME + b"1").replace(b"&", b";"), 403),
    "bytes that are no text": (signed(b"event=ON%00%ff%ed%a0%80%zz\xff\x00&data[ID]=1"), 200),
    "an id of 5,000 digits": (signed(NAME + b"9" * 5_000), 200),
    "an id with an underscore": (signed(NAME + b"1_0"), 200),
    "an id in other digits": (signed(NAME + b"%ef%bc%91%ef%bc%92"), 200),
    "an id beyond 63 bits": (signed(NAME + b"999999999999999999999"), 200),
    "an id that is infinite": (signed(NAME + b"1e999"), 200),
    "an id that is negative": (signed(NAME + b"-1"), 200),
    "an id that is a path": (signed(NAME + b"..%2F..%2Fetc%2Fpasswd"), 200),
    "an id that is SQL": (signed(NAME + b"1'; DROP TABLE deliveries; --"), 200),
    "names of Python and JavaScript": (
        signed(b"event=__class__&__proto__[x]=1&constructor[prototype][y]=2&data[__init__]=3"),
        200,
    ),
    "a name that colours the terminal": (signed(b"event=%1b]0;owned%07%1b[31mRED%0aLINE"), 200),
    "a name that reads from the right": (signed(b"event=%e2%80%aeETADPU"), 200),
    "a name of 60,000 letters": (signed(b"event=" + b"x" * 60_000), None),
    "one byte below the limit": (signed(b"event=ONX&a=" + b"x" * (64 * KIB - 69)), 200),
    "twice the limit": (signed(b"event=ONX&a=" + b"x" * 128 * KIB), 413),
}  # fmt: skip


@pytest.mark.parametrize(("body", "wanted"), CORPUS.values(), ids=CORPUS)
def test_every_body_of_the_corpus_is_answered_and_stored_if_it_is_200(
    service: Running, body: bytes, wanted: int | None
) -> None:
    before = stored(service)
    began = time.monotonic()
    status = answered(service, whole(body))
    assert time.monotonic() - began < 3
    assert status == wanted or (wanted is None and status in (200, 400, 413))
    assert stored(service) - before == (status == 200)
    assert answered(service, whole(body.replace(TOKEN.encode(), WRONG.encode()))) in (403, 413)
    assert stored(service) - before == (status == 200)


def test_what_strangers_write_does_not_reach_the_terminal(service: Running) -> None:
    body = signed(b"event=%1b]0;owned%07%1b[31mRED%0aLINE%e2%80%ae%c2%9b&data[FIELDS][ID]=1")
    assert answered(service, whole(body)) == 200
    for words in (("events",), ("events", "--json"), ("decisions",), ("decisions", "--json")):
        done = service.command(*words)
        assert done.returncode == 0, done.stderr
        written = [line for line in done.stdout.split("\n") if not line.isprintable()]
        assert written == [], words


PIECES = st.sampled_from(
    [b"event=ONCRMDEALUPDATE", b"data[FIELDS][ID]=", b"7", b"&", b"=", b"[", b"]", b"%5B", b"%",
     b"%00", b"%ff", b"\xff", b"\x00", b"+", b"auth[application_token]=", SPREAD.encode(),
     b"auth[application_token][]=", b"auth=", b"auth[member_id]=", b"workflow_id=",
     b"document_id[0]=crm", b"document_id[1]=CCrmDocumentDeal", b"document_id[2]=DEAL_7",
     b"document_id[]=", b"a" * 5_000]
)  # fmt: skip
BODIES = st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=30).map(b"".join))
HEADERS = st.lists(
    st.sampled_from(
        [b"Content-Type: application/json", b"Content-Type: text/plain; charset=\xff", b"X: \x7f",
         b"Content-Encoding: gzip", b"Content-Encoding: identity", b"Expect: 100-continue",
         b"Connection: close", b"Connection: keep-alive, upgrade", b"Upgrade: h2c", b"Cookie: a=b",
         b"X-Forwarded-For: 1.1.1.1", b"Transfer-Encoding: identity", b"Origin: null",
         b"Content-Type: multipart/form-data; boundary=x", b"X: " + b"y" * 9_000]
    ),
    max_size=4,
)  # fmt: skip
PATHS = st.sampled_from(
    [b"/events", b"/events/", b"/events/" + URL_KEY.encode(), b"/events/x", b"/events?a=%ff%00",
     b"/events/" + URL_KEY.encode() + b"?workflow_id=%ff", b"/events/%2e%2e", b"//events",
     b"/events/" + b"k" * 3_000, b"http://elsewhere/events"]
)  # fmt: skip
METHODS = st.sampled_from([b"POST"] * 9 + [b"PUT", b"GET", b"BREW", b"post"])
_TRIES = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@_TRIES
@given(BODIES, HEADERS, PATHS, METHODS)
def test_every_complete_request_is_answered_and_stored_if_it_is_200(
    service: Running, body: bytes, headers: list[bytes], path: bytes, method: bytes
) -> None:
    before = stored(service)
    status = answered(service, whole(body, *headers, path=path, method=method))
    assert status in ANSWERS | {100, 404}
    if status != 100:
        assert stored(service) - before == (status == 200 and method == b"POST")


@_TRIES
@given(BODIES, st.lists(st.integers(1, 400), max_size=6), st.binary(max_size=6), st.randoms())
def test_a_request_that_is_cut_up_and_damaged_harms_nobody(
    service: Running, body: bytes, cuts: list[int], dirt: bytes, chance: random.Random
) -> None:
    data = bytearray(whole(signed(body, SPREAD)))
    place = chance.randrange(len(data))
    data[place : place + chance.randrange(8)] = dirt
    with connected(service.port) as connection, contextlib.suppress(OSError):
        for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(data)], strict=True):
            connection.sendall(bytes(data[start:end]))
        connection.settimeout(0.02)
        received = connection.recv(65536)
        assert not received or parsed(received).status in ANSWERS | {404}


def test_a_caller_with_the_right_token_does_not_fill_the_disk(service: Running) -> None:
    size, rows = file_size(service), stored(service)
    note = "a note that nobody needs " * 2_500
    for number in range(200):
        assert service.post(event("ONCRMCONTACTADD", number, note=note)) == 200
    assert stored(service) - rows == 200
    assert file_size(service) - size < 6_000 * KIB  # the write-ahead log; they were 12,000
    for path in service.place.glob("responder.db*"):
        assert b"nobody%20needs" not in path.read_bytes().replace(b"+", b"%20")


def test_headers_without_an_end_take_no_memory(service: Running) -> None:
    before = memory_kib(service)
    with ExitStack() as stack:
        connections = [stack.enter_context(connected(service.port)) for _ in range(60)]
        for connection in connections:
            with contextlib.suppress(OSError):  # it does not wait for them all
                connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"a:\r\n" * 15_000)
        for connection in connections:
            with contextlib.suppress(ConnectionError):
                assert parsed(connection.recv(65536)).status == 431
    assert memory_kib(service) - before < 20 * KIB


LENGTHS = {
    "18 digits": (b"9" * 18, 413),
    "18 digits of a small number": (b"3".zfill(18), 403),
    "19 digits": (b"9" * 19, 413),
    "19 digits of a small number": (b"3".zfill(19), 413),
    "more than the parser's own number": (b"9" * 30, 413),
    "more than Python reads": (b"9" * 4_301, 413),
    "as many zeros": (b"3".zfill(4_301), 413),
    "a hexadecimal number": (b"0x3", 400),
    "a separated number": (b"1_0", 400),
    "nothing": (b"", 400),
}


@pytest.mark.parametrize(("length", "status"), LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("path", [b"/events", b"/login"])
def test_a_length_that_no_body_has_is_no_error_of_ours(
    service: Running, length: bytes, status: int, path: bytes
) -> None:
    lost = refused(service, 503)
    head = b"POST %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %s\r\n\r\na=b"
    given = answered(service, head % (path, length))
    assert given == status or (path == b"/login" and given in (400, 404, 413))
    assert refused(service, 503) == lost
    assert errors(service) == []


def test_after_all_this_the_process_is_well(service: Running) -> None:
    assert service.get("/healthz")[0] == service.get("/readyz")[0] == 200
    assert service.post(event("ONCRMCONTACTADD", 1)) == 200
    assert errors(service) == []
    assert memory_kib(service) < 200 * KIB


def test_500_stalled_sockets_delay_neither_an_event_nor_its_kill(
    service: Running, portal: SandboxServer
) -> None:
    """Twice as many as the program was first allowed files."""
    stalls = [b"", b"POST /ev", whole(signed(NAME + b"1"))[:-5], b"POST /events HTTP/1.1\r\nA: "]
    portal.sandbox.add_item(2, 759, stageSemanticId="F")
    condemned = portal.sandbox.start_workflow((*DEAL, "DEAL_759"), 61)
    with ExitStack() as stack:
        for number in range(500):
            stack.enter_context(connected(service.port)).sendall(stalls[number % len(stalls)])
        began = time.monotonic()
        assert service.post(event("ONCRMDEALUPDATE", 759)) == 200
        assert time.monotonic() - began < 1
        while condemned not in portal.sandbox.killed:
            assert time.monotonic() - began < 8
            time.sleep(0.02)


def test_connections_that_are_reset_at_once_harm_nobody(service: Running) -> None:
    before = stored(service)
    reset = struct.pack("ii", 1, 0)
    for _ in range(300):
        with connected(service.port) as connection, contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            connection.sendall(whole(signed(NAME + b"1")))
    assert service.post(event("ONCRMCONTACTADD", 1)) == 200
    assert 1 <= stored(service) - before <= 301
    assert errors(service) == []


def test_a_flood_from_a_wrong_token_stores_nothing_and_says_little(service: Running) -> None:
    rows, lines = stored(service), len(said(service))
    size, counted = file_size(service), refused(service)
    one = whole(signed(NAME + b"1&a=" + b"x" * 500, WRONG))
    count, began = 5_000, time.monotonic()
    with connected(service.port) as connection:
        for _ in range(count // 100):
            connection.sendall(one * 100)
            answers = b""
            while answers.count(b"HTTP/1.1 ") < 100:
                answers += connection.recv(1 << 20)
            assert answers.count(b"HTTP/1.1 403 ") == 100
    assert time.monotonic() - began < 20
    assert service.post(event("ONCRMCONTACTADD", 1)) == 200
    assert stored(service) - rows == 1
    assert file_size(service) - size < 500 * KIB  # the driver's own commits; the flood is 3 MiB
    assert refused(service) - counted == count
    levels = Counter(str(line["event"]) for line in said(service)[lines:])
    assert levels["Deliveries were refused."] <= 2
    assert sum(levels.values()) < 10
    assert WRONG not in service.log.read_text()


UNFIT = {
    "malformed": b"BREW coffee\r\n\r\n",
    "upgrade": b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "headers": b"GET / HTTP/1.1\r\nHost: a\r\n" + b"a:\r\n" * 200,
    "head": b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"a" * 70_000,
    "length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\n",
}


def test_a_flood_of_what_is_no_request_is_counted_by_kind_and_said_once(service: Running) -> None:
    lines, counted = len(said(service)), {kind: unfit(service, kind) for kind in UNFIT}
    for kind, sent in UNFIT.items():
        for _ in range(50):
            answered(service, sent)
        assert unfit(service, kind) - counted[kind] == 50
    kinds = Counter(line.get("kind") for line in said(service)[lines:])
    assert kinds.keys() <= {*UNFIT, None}
    assert all(kinds[kind] <= 2 for kind in UNFIT)
    assert sum(kinds.values()) < 20


def unfit(service: Running, kind: str) -> int:
    """Return how many requests of this kind were refused so far, as the metrics say."""
    return counter(service, f'responder_requests_refused_total{{kind="{kind}"}}')


def refused(service: Running, status: int = 403) -> int:
    """Return how many events got this answer so far, as the metrics say."""
    return counter(service, f'responder_events_received_total{{answer="{status}"}}')


def counter(service: Running, name: str) -> int:
    lines = service.get("/metrics")[1].decode().splitlines()
    values = [line.rpartition(" ")[2] for line in lines if line.rpartition(" ")[0] == name]
    return int(float(values[0])) if values else 0


def file_size(service: Running) -> int:
    return sum(file.stat().st_size for file in service.place.glob("responder.db*"))

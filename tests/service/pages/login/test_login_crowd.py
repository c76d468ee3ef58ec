"""A crowd of strangers at the entrance keeps no administrator from the pages."""

import contextlib
import itertools
import socket
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest

from responder.service.pages.login.passwords import hashed
from tests.service.pages.visiting import PASSWORD, House, Visitor, house
from tests.support.uvicorn_thread import connected

pytestmark = pytest.mark.service

STRANGERS = 120
FORM = b"Content-Type: application/x-www-form-urlencoded\r\nSec-Fetch-Site: same-origin\r\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    place = tmp_path_factory.mktemp("house")
    with house(place, RESPONDER_ADMINS__ANNA=hashed(PASSWORD)) as one:
        yield one


def guess(name: str) -> bytes:
    body = urlencode({"name": name, "password": "a wrong password"}).encode()
    head = b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\n" + FORM
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def asking(path: bytes, cookie: bytes = b"") -> bytes:
    return b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: %s\r\n\r\n" % (path, cookie)


def words() -> Iterator[bytes]:
    """Guess, look and forge, each time by another name."""
    for number in itertools.count():
        yield guess(f"name{number}-{threading.get_ident()}")
        yield asking(b"/login")
        yield asking(b"/status", b"responder-session=forged.%d" % number)
        yield asking(b"/nowhere")


class Stranger(threading.Thread):
    """Thirty of the crowd, who say all this for as long as they may."""

    def __init__(self, held: list[socket.socket]) -> None:
        super().__init__()
        self.held = held
        self.ended = threading.Event()
        self.statuses: Counter[int] = Counter()

    def run(self) -> None:
        spoken = words()
        while not self.ended.is_set():
            for connection in self.held:
                with contextlib.suppress(OSError):
                    connection.sendall(next(spoken))
            for connection in self.held:
                with contextlib.suppress(OSError, ValueError, IndexError):
                    self.statuses[int(connection.recv(65536).split(None, 2)[1])] += 1


@contextmanager
def crowd(port: int) -> Iterator[Counter[int]]:
    """Have strangers at the entrance for as long as this block lasts; give what they were told."""
    told: Counter[int] = Counter()
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(connected(port)) for _ in range(STRANGERS)]
        strangers = [Stranger(held[n::4]) for n in range(4)]
        for stranger in strangers:
            stranger.start()
        try:
            yield told
        finally:
            for stranger in strangers:
                stranger.ended.set()
                stranger.join()
                told += stranger.statuses


def test_who_is_logged_in_pauses_and_looks_while_strangers_crowd_the_entrance(
    place: House,
) -> None:
    anna = place.admin()
    quiet = [looks_and_acts(anna, number) for number in range(6)]
    alone = statistics.median(quiet)  # which is long on a busy machine
    with crowd(place.port):
        time.sleep(0.5)
        seconds = [looks_and_acts(anna, number) for number in range(24)]
    assert statistics.median(seconds) < max(0.5, 20 * alone), (quiet, seconds)
    assert max(seconds) < max(3, 60 * alone), (quiet, seconds)


def looks_and_acts(anna: Visitor, number: int) -> float:
    """Look at the state and pause or resume; return the seconds that one of both took."""
    began = time.monotonic()
    page = anna.get("/status")
    path = "/resume" if number % 2 else "/pause"
    did = anna.post(path, {"csrf": page.csrf, "sure": "yes"})
    assert (page.status, did.status) == (200, 303)
    return (time.monotonic() - began) / 2


def test_a_new_browser_gets_in_by_the_right_password_while_strangers_guess_at_other_names(
    place: House,
) -> None:
    with crowd(place.port) as statuses:
        time.sleep(2)
        visitor = place.visitor()
        assert visitor.log_in().status == 303
        assert visitor.get("/").status == 200
    assert statuses[403] > 20  # of the guesses, none was told that its name is not there
    assert statuses[429] == 0


def test_a_known_name_is_throttled_and_a_strangers_is_not_told_from_it(place: House) -> None:
    stranger = Visitor(place.port)
    for name in ("anna", "nobody"):
        answers = [stranger.log_in(name, "a guess at it").status for _ in range(9)]
        assert answers[:5] == [403] * 5
        assert 429 in answers  # on a busy machine one more comes back meanwhile
    lines = place.service.log.read_text().count("Requests were refused.")
    assert lines <= 6


def test_a_wrong_password_takes_as_long_as_a_name_that_is_not_looked_at(tmp_path: Path) -> None:
    with house(tmp_path) as place:
        for name, password in (("anna", "wrong"), ("nobody", "wrong")):
            began = time.monotonic()
            assert place.visitor().log_in(name, password).status == 403
            assert time.monotonic() - began > 0.45

"""What every page has in common: headers, methods, bounds, where it is served at all."""

import gzip
import re
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import update

from responder.service.pages.application import MOST_WAITING
from responder.store.database.database import Database
from responder.store.database.tables import entries
from tests.service.pages.conftest import Story
from tests.service.pages.visiting import HASHED, Visitor, house, pages, settings
from tests.support.evaluations import kill, record
from tests.support.processes import free_port, running

SAFE = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


@pytest.mark.parametrize("path", ["/", "/login", "/rules", "/status", "/nope", "/pause"])
def test_every_answer_has_the_safe_headers(anna: Visitor, path: str) -> None:
    for visitor in (anna, Visitor(anna.port)):
        headers = visitor.get(path).headers
        assert {name: headers.get(name) for name in SAFE} == SAFE


def test_what_is_long_is_compressed_for_who_takes_that(anna: Visitor) -> None:
    style = re.findall(r'href="(/pages\.[0-9a-f]+\.css)"', anna.get("/docs").text)[0]
    for path in ("/docs/rules", style):
        plain, packed = anna.get(path), anna.get(path, Accept_Encoding="gzip, deflate, br")
        assert (plain.headers.get("content-encoding"), packed.status) == (None, 200)
        assert packed.headers["content-encoding"] == "gzip"
        assert gzip.decompress(packed.body) == plain.body
        assert len(packed.body) < len(plain.body) / 2
    short = Visitor(anna.port).get("/login", Accept_Encoding="gzip")
    assert "content-encoding" not in short.headers


def test_refusals_have_the_safe_headers_too(anna: Visitor) -> None:
    page = anna.ask("POST", "/pause", b"x" * 70_000, Sec_Fetch_Site="same-origin")
    assert page.status == 413
    assert {name: page.headers.get(name) for name in SAFE} == SAFE


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/pause", 405),
        ("GET", "/logout", 405),
        ("PUT", "/", 405),
        ("DELETE", "/decisions/main-1-1", 405),
        ("POST", "/rules", 405),
        ("HEAD", "/", 200),
        ("HEAD", "/pause", 405),
        ("GET", "/events", 405),
    ],
)
def test_another_method_is_refused(anna: Visitor, method: str, path: str, status: int) -> None:
    page = anna.ask(method, path)
    assert page.status == status
    assert (method == "HEAD") == (page.body == b"")
    if status == 405:
        assert page.headers["allow"]


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"\xff\xfe", 400), (b"a=b&" * 2000, 400), (b"", 403), (b"%", 403), (b"csrf=%00", 403)],
)
def test_a_form_that_no_page_sends_is_refused(anna: Visitor, body: bytes, status: int) -> None:
    assert anna.ask("POST", "/pause", body, Sec_Fetch_Site="same-origin").status == status


def test_another_content_type_is_refused(anna: Visitor) -> None:
    page = anna.ask("POST", "/pause", b"{}", Content_Type="application/json")
    assert page.status == 415


def test_the_style_sheet_is_kept_for_ever_and_the_pages_are_not(anna: Visitor) -> None:
    name = (
        Visitor(anna.port)
        .get("/login")
        .text.partition('rel="stylesheet" href="')[2]
        .partition('"')[0]
    )
    page = Visitor(anna.port).get(name)
    assert page.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in page.headers["cache-control"]
    assert Visitor(anna.port).get("/icon.svg").headers["content-type"] == "image/svg+xml"


def test_no_page_has_a_script_or_asks_for_anything_elsewhere(story: Story, anna: Visitor) -> None:
    for path in ("/", "/rules", "/status", f"/decisions/{story.killed}", "/login"):
        text = anna.get(path).text
        assert "<script" not in text
        assert "style=" not in text
        assert "http://" not in text.replace("http://127.0.0.1", "")
        assert "https://" not in text


@pytest.mark.service
def test_without_admins_there_are_no_pages(tmp_path: Path) -> None:
    with running(tmp_path, "http://127.0.0.1:9/rest/1/hook-secret-0001/") as service:
        visitor = Visitor(service.port)
        for path in ("/", "/login", "/rules", "/icon.svg"):
            assert visitor.get(path).status == 404
        assert visitor.get("/metrics").status == 200


@pytest.mark.service
def test_an_admin_port_has_the_pages_and_the_metrics_alone(tmp_path: Path) -> None:
    port = free_port()
    with house(tmp_path, RESPONDER_ADMIN_PORT=str(port)) as place:
        outside, inside = place.visitor(), Visitor(port)
        for path in ("/", "/login", "/metrics"):
            assert outside.get(path).status == 404
        assert outside.get("/healthz").status == 200
        assert place.happen(760, "held")
        assert inside.log_in().status == 303
        assert inside.get("/").status == 200
        assert inside.get("/metrics").status == 200
        assert b'"breaker"' in inside.get("/readyz").body
        assert outside.get("/readyz").body == b'{"ready":true}'
        assert inside.ask("POST", "/events", b"x=1").status == 404


@pytest.mark.portal
def test_when_the_database_is_away_the_page_says_so(sqlite_url: str, tmp_path: Path) -> None:
    with _alone(sqlite_url, tmp_path) as (database, visitor):
        database.close()
        page = visitor.get("/status")
        assert page.status == 503
        assert "The database cannot be reached" in page.words


@pytest.mark.portal
def test_an_error_of_ours_is_told_without_its_details(sqlite_url: str, tmp_path: Path) -> None:
    with _alone(sqlite_url, tmp_path) as (database, visitor):
        name = record(database, kill()).decisions[0]
        database.write(lambda tx: tx.execute(update(entries).values(body="no json")))
        page = visitor.get(f"/decisions/{name}")
        assert page.status == 500
        assert "JSON" not in page.text
        assert "Traceback" not in page.text
        assert {name: page.headers.get(name) for name in SAFE} == SAFE


@pytest.mark.portal
def test_more_than_can_wait_are_refused(sqlite_url: str, tmp_path: Path) -> None:
    with _alone(sqlite_url, tmp_path) as (database, visitor):
        release = threading.Event()
        held = threading.Thread(target=database.write, args=(lambda _: release.wait(20),))
        held.start()  # a log-out waits for the one writer
        form = {"csrf": visitor.get("/").csrf}
        with ThreadPoolExecutor(MOST_WAITING + 8) as many:
            asked = [many.submit(visitor.post, "/logout", form) for _ in range(MOST_WAITING + 8)]
            done, _ = wait(asked, timeout=20, return_when=FIRST_COMPLETED)
            assert {one.result().status for one in done} == {503}
            release.set()
            assert {one.result().status for one in asked} <= {303, 503}
        held.join()


@contextmanager
def _alone(url: str, place: Path) -> Iterator[tuple[Database, Visitor]]:
    """Serve the pages alone, with an admin logged in."""
    database = Database(url)
    database.open()
    given = settings(place, anna=HASHED)
    with pages(database, given, logged_in=True) as visitor:
        yield database, visitor
    database.close()

"""Who comes in: log-in, sessions, cookies, forms of other sites, and what a stranger sees."""

import http.client
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from responder.service.pages.login.passwords import hashed
from responder.store.database.database import Database
from responder.store.database.tables import sessions
from tests.service.pages.conftest import Story
from tests.service.pages.visiting import HASHED, NAME, PASSWORD, Visitor, pages, settings
from tests.support.evaluations import count
from tests.support.sqlite_first import migrated_url as migrated_url

pytestmark = pytest.mark.portal

PAGES = ["/", "/rules", "/status", "/decisions/main-1-1", "/revisions/0000", "/?show=all"]
ACTS = ["/pause", "/resume", "/rules/lost-deal/rearm", "/decisions/main-1-1/cancel", "/logout"]


@pytest.mark.parametrize("path", PAGES)
def test_a_stranger_is_led_to_the_entrance(story: Story, path: str) -> None:
    page = story.house.visitor().get(path)
    assert page.status == 303
    assert page.headers["location"].startswith("/login")
    assert b"deal" not in page.body


@pytest.mark.parametrize("path", ACTS)
def test_a_stranger_can_do_nothing(story: Story, path: str) -> None:
    page = story.house.visitor().post(path, {"sure": "yes"})
    assert (page.status, page.headers["location"]) == (303, "/login")


def test_who_logs_in_goes_on_where_they_wanted_to(story: Story) -> None:
    visitor = story.house.visitor()
    wanted = visitor.get("/?outcome=killed").headers["location"]
    assert 'name="next" value="/?outcome=killed"' in visitor.get(wanted).text
    form = {"name": NAME.upper(), "password": PASSWORD, "next": "/?outcome=killed"}
    done = visitor.post("/login", form).headers["location"]
    assert visitor.get(done).headers["location"] == "/?outcome=killed"
    assert visitor.get("/login").headers["location"] == "/"


@pytest.mark.parametrize(
    "there", ["//evil.example/", "https://evil.example/", "/\\evil", "x", "/\n"]
)
def test_nobody_is_led_to_another_site(story: Story, anna: Visitor, there: str) -> None:
    visitor = Visitor(story.house.port, dict(anna.cookies))
    page = visitor.get(f"/login/done?next={quote(there, safe='')}")
    assert (page.status, page.headers["location"]) == (303, "/")


@pytest.mark.parametrize(
    ("name", "password"),
    [(NAME, "wrong"), ("nobody", PASSWORD), ("", ""), (NAME, "\ud800"), ("\x00", "\x00")],
)
def test_a_wrong_password_and_a_wrong_name_are_answered_alike(
    story: Story, name: str, password: str
) -> None:
    visitor = story.house.visitor()
    body = b"name=" + _quoted(name) + b"&password=" + _quoted(password)
    page = visitor.ask("POST", "/login", body, Sec_Fetch_Site="same-origin")
    assert page.status == 403
    assert "The name or the password is wrong." in page.words
    assert not visitor.cookies


def _quoted(text: str) -> bytes:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass")).encode()


def test_who_logs_out_is_out_everywhere(story: Story) -> None:
    visitor = story.house.admin()
    stolen = Visitor(story.house.port, dict(visitor.cookies))
    assert stolen.get("/").status == 200
    page = visitor.post("/logout", {"csrf": visitor.get("/").csrf})
    assert page.headers["location"] == "/login?done=logged-out"
    assert "You are logged out." in visitor.get(page.headers["location"]).words
    assert stolen.get("/").status == 303


@pytest.mark.parametrize("host", ["", "[", "[::1", "a b", "127.0.0.1.evil.example"])
def test_a_strange_host_is_no_reason_to_fall(story: Story, host: str) -> None:
    page = story.house.visitor().get("/login", Host=host)
    assert page.status in (200, 400)


@pytest.mark.parametrize("token", ["", "x", "x" * 4000, "\xff"])
def test_a_made_up_session_is_none(story: Story, token: str) -> None:
    assert Visitor(story.house.port, {"responder-session": token}).get("/").status == 303


def test_a_session_ends_when_the_password_changes(database: Database, tmp_path: Path) -> None:
    with pages(database, settings(tmp_path, anna=HASHED)) as visitor:
        assert visitor.log_in().status == 303
        cookies = dict(visitor.cookies)
    with pages(database, settings(tmp_path, anna=HASHED)) as another_replica:
        another_replica.cookies = dict(cookies)
        assert another_replica.get("/").status == 200
    with pages(database, settings(tmp_path, anna=hashed("another good password"))) as changed:
        changed.cookies = dict(cookies)
        assert changed.get("/").status == 303
        assert changed.log_in().status == 403
    with pages(database, settings(tmp_path, boris=HASHED)) as dismissed:
        dismissed.cookies = dict(cookies)
        assert dismissed.get("/").status == 303


def test_a_session_ends_when_nobody_uses_it(database: Database, tmp_path: Path) -> None:
    now = [datetime(2026, 9, 24, 12, 0, tzinfo=UTC)]
    with pages(database, settings(tmp_path, anna=HASHED), now=lambda: now[0]) as visitor:
        visitor.log_in()
        for hours in (11, 11, 11):
            now[0] += timedelta(hours=hours)
            assert visitor.get("/").status == 200
        now[0] += timedelta(hours=12, minutes=1)
        assert visitor.get("/").status == 303


def test_a_session_lasts_a_week_at_most(database: Database, tmp_path: Path) -> None:
    begun = datetime(2026, 9, 24, 12, 0, tzinfo=UTC)
    now = [begun]
    with pages(database, settings(tmp_path, anna=HASHED), now=lambda: now[0]) as visitor:
        visitor.log_in()
        while now[0] < begun + timedelta(days=7) - timedelta(hours=10):
            now[0] += timedelta(hours=10)
            assert visitor.get("/").status == 200
        now[0] += timedelta(hours=10)
        assert visitor.get("/").status == 303
        visitor.log_in()
        assert count(database, sessions) == 1


def test_guessing_is_slowed_down_and_a_known_browser_is_let_in(
    sqlite_url: str, tmp_path: Path
) -> None:
    database = Database(sqlite_url)
    database.open()
    with pages(database, settings(tmp_path, anna=HASHED), clock=lambda: 1.0) as admin:
        admin.log_in()
        attacker = Visitor(admin.port)
        answers = [attacker.log_in(password="a guess").status for _ in range(7)]
        assert answers == [403] * 5 + [429] * 2
        slowed = attacker.log_in()
        assert slowed.status == 429
        assert 0 < int(slowed.headers["retry-after"]) <= 13
        admin.post("/logout", {"csrf": admin.get("/").csrf})
        assert admin.log_in().status == 303
        assert admin.get("/").status == 200
        forged = admin.cookies["responder-browser"].rpartition(":")[0] + ":" + "0" * 64
        attacker.cookies["responder-browser"] = forged
        assert attacker.log_in().status == 429
    database.close()


def test_on_this_machine_the_cookie_is_plain_and_elsewhere_secure(story: Story) -> None:
    here = _cookies(story.house.visitor())
    assert all("Secure" not in cookie for cookie in here)
    behind = _cookies(story.house.visitor(), X_Forwarded_Proto="https")
    by_name = _cookies(Visitor(story.house.port, host="responder.example"))
    by_origin = _cookies(story.house.visitor(), Origin="https://responder.example")
    for cookies in (behind, by_name, by_origin):
        assert len(cookies) == 2
        assert all(re.match("__Host-responder-.*; Secure", cookie) for cookie in cookies)
    for cookie in (*here, *behind):
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "Path=/" in cookie


def _cookies(visitor: Visitor, **headers: str) -> list[str]:
    connection = http.client.HTTPConnection("127.0.0.1", visitor.port, timeout=15)
    sent = {"Host": f"{visitor.host}:{visitor.port}", "Sec-Fetch-Site": "same-origin"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    sent["Content-Type"] = "application/x-www-form-urlencoded"
    body = urlencode({"name": NAME, "password": PASSWORD})
    connection.request("POST", "/login", body, sent)
    answer = connection.getresponse()
    assert answer.status == 303
    cookies = answer.headers.get_all("set-cookie") or []
    connection.close()
    return cookies


def test_a_secure_session_is_good_behind_a_proxy(story: Story) -> None:
    visitor = story.house.visitor()
    form = {"name": NAME, "password": PASSWORD}
    done = visitor.post("/login", form, X_Forwarded_Proto="https").headers["location"]
    assert set(visitor.cookies) == {"__Host-responder-session", "__Host-responder-browser"}
    assert visitor.get(done, X_Forwarded_Proto="https").headers["location"] == "/"
    assert visitor.get("/").status == 200


def test_a_browser_that_keeps_no_cookie_is_told_so(story: Story) -> None:
    page = story.house.visitor().get("/login/done?next=%2F")
    assert page.status == 403
    assert "Open this page by https" in page.words


def test_a_link_of_another_site_leads_in_without_logging_in_again(story: Story) -> None:
    came = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    page = story.house.visitor().get(f"/decisions/{story.killed}?a=b", **came)
    assert page.status == 200
    assert f'content="0;url=/decisions/{story.killed}?a=b"' in page.text
    assert story.house.visitor().get("/", Sec_Fetch_Site="same-origin").status == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://["},
    ],
)
def test_a_form_of_another_site_does_nothing(
    story: Story, anna: Visitor, headers: dict[str, str]
) -> None:
    csrf = anna.get("/status").csrf
    for path, form in (
        ("/pause", {"sure": "yes", "csrf": csrf}),
        ("/login", {"name": NAME, "password": PASSWORD}),
    ):
        page = Visitor(story.house.port, dict(anna.cookies)).ask("POST", path, form, **headers)
        assert page.status == 403
        assert "This did not come from a page of ours" in page.words
    assert "Pause everything…" in anna.get("/status").words


def test_an_older_browser_says_its_origin(story: Story, anna: Visitor) -> None:
    form = {"csrf": anna.get("/status").csrf}
    page = anna.ask("POST", "/pause", form, Origin=f"http://127.0.0.1:{story.house.port}")
    assert "Pause everything?" in page.words


def test_a_program_that_is_no_browser_needs_the_sessions_token(story: Story) -> None:
    visitor = story.house.visitor()
    assert visitor.ask("POST", "/login", {"name": NAME, "password": PASSWORD}).status == 303
    csrf = visitor.get("/").csrf
    assert visitor.ask("POST", "/pause", {"sure": "yes"}).status == 403
    assert visitor.ask("POST", "/pause", {"csrf": csrf}).status == 200


def test_a_form_without_the_sessions_own_token_does_nothing(story: Story, anna: Visitor) -> None:
    other = story.house.admin().get("/status").csrf
    for csrf in ("", "x", "0" * 64, other, "\u00e9"):
        assert anna.post("/pause", {"sure": "yes", "csrf": csrf}).status == 403
    assert "Pause everything…" in anna.get("/status").words

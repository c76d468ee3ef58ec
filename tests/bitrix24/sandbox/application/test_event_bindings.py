"""What an application hears (BITRIX24-APP §3, §4; BITRIX24 §1.4, §1.5)."""

import http.server
import threading
from collections.abc import Iterator

import pytest

from responder.bitrix24.sandbox import Application, Outgoing, Sandbox
from tests.bitrix24.sandbox.application.client import ApplicationCaller, parsed
from tests.bitrix24.sandbox.caller import mapping

URL = "http://127.0.0.1:1/app"
DEAL = "ONCRMDEALUPDATE"
FIVE = {"FIELDS": {"ID": 5}}


def bind(app: ApplicationCaller, event: str, **params: object) -> None:
    app.result("event.bind", {"event": event, "handler": URL, **params})


def test_an_event_is_a_form_with_tokens_of_who_acted(
    app: ApplicationCaller, sandbox: Sandbox, application: Application
) -> None:
    """§3, online; BITRIX24 §1.4: who acted, an access token of theirs, no refresh token."""
    sandbox.add_user(7)
    bind(app, DEAL)
    (told,) = sandbox.happens(DEAL, FIVE, user_id=7)
    assert (told.url, sandbox.outgoing) == (URL, [told])
    body = parsed(told.body)
    assert body[""]["event"] == DEAL
    assert body[""]["event_handler_id"].isdecimal()
    assert mapping(body["data"]) == {"FIELDS": {"ID": "5"}}
    assert body["auth"]["user_id"] == "7"
    assert body["auth"]["application_token"] == application.application_token
    assert "refresh_token" not in body["auth"]
    app.tokens["access"] = body["auth"]["access_token"]
    assert mapping(app.result("profile"))["ID"] == "7"
    assert body["auth"]["access_token"] not in repr(told)


def test_what_nobody_did_has_no_tokens(app: ApplicationCaller, sandbox: Sandbox) -> None:
    """BITRIX24 §1.4: application, no user: no access token, no user."""
    bind(app, DEAL)
    (told,) = sandbox.happens(DEAL, FIVE)
    assert set(parsed(told.body)["auth"]) == {
        "domain",
        "server_endpoint",
        "client_endpoint",
        "member_id",
        "application_token",
    }


def test_a_handler_bound_for_a_user_never_says_who_acted(
    app: ApplicationCaller, sandbox: Sandbox
) -> None:
    """§3, online: with `auth_type=N` tokens always come but the actor is lost."""
    bind(app, DEAL, auth_type=1)
    for user_id in (7, 0):
        (told,) = sandbox.happens(DEAL, FIVE, user_id=user_id)
        assert parsed(told.body)["auth"]["user_id"] == "1"


def test_an_item_of_a_type_is_told_under_two_names(
    app: ApplicationCaller, sandbox: Sandbox
) -> None:
    """§3: the events of a type run beside the common ones."""
    sandbox.add_item(147, 1)
    bind(app, "ONCRMDYNAMICITEMUPDATE")
    bind(app, "ONCRMDYNAMICITEMUPDATE_147")
    data = {"FIELDS": {"ID": 1, "ENTITY_TYPE_ID": 147}}
    told = sandbox.happens("ONCRMDYNAMICITEMUPDATE", data, user_id=1)
    assert [one.event for one in told] == ["ONCRMDYNAMICITEMUPDATE", "ONCRMDYNAMICITEMUPDATE_147"]


def test_what_is_not_bound_is_not_told(app: ApplicationCaller, sandbox: Sandbox) -> None:
    """§3: only what was bound is sent, and a portal without an application sends nothing."""
    bind(app, "ONCRMDEALADD")
    assert sandbox.happens(DEAL, FIVE) == []
    assert Sandbox().happens(DEAL, FIVE) == []


def test_events_of_events_end_after_seven(app: ApplicationCaller, sandbox: Sandbox) -> None:
    """§3; BITRIX24 §1.5: tokens of events count down, and the eighth event is dropped."""
    bind(app, "ONAPPTEST")
    app.result("event.test")
    for _ in range(6):
        app.tokens["access"] = parsed(sandbox.outgoing.pop().body)["auth"]["access_token"]
        app.result("event.test")
    app.tokens["access"] = parsed(sandbox.outgoing.pop().body)["auth"]["access_token"]
    app.result("event.test")
    assert sandbox.outgoing == []


def test_the_test_event_is_heard_end_to_end(app: ApplicationCaller, sandbox: Sandbox) -> None:
    """§3: event.test and a bound ONAPPTEST."""
    bind(app, "ONAPPTEST")
    app.result("event.test", {"marker": "abc"})
    assert mapping(parsed(sandbox.outgoing[0].body)["data"]) == {"QUERY": {"marker": "abc"}}


def test_pings_of_the_queue_have_a_window_and_no_trailing_one(
    app: ApplicationCaller, sandbox: Sandbox
) -> None:
    """§4, ONOFFLINEEVENT: `minTimeout`, no ping for rows inside the window, `data` absent."""
    now = sandbox.clock()
    app.result("event.bind", {"event": DEAL, "event_type": "offline"})
    bind(app, "ONOFFLINEEVENT", options={"minTimeout": 10})
    sandbox.clock = lambda: now
    (ping,) = sandbox.happens(DEAL, FIVE, user_id=1)
    body = parsed(ping.body)
    assert "data" not in body
    assert body["auth"]["refresh_token"]
    sandbox.clock = lambda: now + 9
    assert sandbox.happens(DEAL, FIVE, user_id=1) == []
    sandbox.clock = lambda: now + 10
    assert len(sandbox.happens(DEAL, {"FIELDS": {"ID": 6}}, user_id=1)) == 1


def test_without_a_window_each_row_pings(app: ApplicationCaller, sandbox: Sandbox) -> None:
    """§4, ONOFFLINEEVENT: 0 is one for each hit."""
    app.result("event.bind", {"event": DEAL, "event_type": "offline"})
    bind(app, "ONOFFLINEEVENT", options={"minTimeout": "0"})
    assert [len(sandbox.happens(DEAL, FIVE)) for _ in range(3)] == [1, 1, 1]
    assert sandbox.happens("ONCRMDEALADD", FIVE) == []


class Listener(http.server.BaseHTTPRequestHandler):
    """Keeps what it is sent, and answers that it failed."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        assert isinstance(self.server, Listening)
        self.server.heard.append((self.path, body))
        self.server.was_heard.set()
        self.send_response(500)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's
        pass


class Listening(http.server.HTTPServer):
    """Listens on a free port, and has heard what was sent to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Listener)
        self.heard: list[tuple[str, str]] = []
        self.was_heard = threading.Event()


@pytest.fixture
def listening() -> Iterator[Listening]:
    with Listening() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_delivered_event_reaches_its_handler_once(
    app: ApplicationCaller, sandbox: Sandbox, listening: Listening
) -> None:
    """BITRIX24 §1.5: no retries, whatever is answered."""
    url = f"http://127.0.0.1:{listening.server_port}/app/main?key=1"
    app.result("event.bind", {"event": DEAL, "handler": url})
    (told,) = sandbox.happens(DEAL, FIVE, user_id=1, deliver=True)
    assert listening.was_heard.wait(5)
    assert listening.heard == [("/app/main?key=1", told.body)]


def test_nothing_is_delivered_beyond_this_machine() -> None:
    """The sandbox meets no address of production."""
    from responder.bitrix24.sandbox.application.sender import send

    with pytest.raises(ValueError, match=r"nothing to one\.sandbox\.invalid"):
        send([Outgoing(DEAL, "https://one.sandbox.invalid/", "")])

"""Receiving over real sockets: every answer of the contract, and what is stored."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from starlette.types import Receive, Scope, Send

from responder.adapters.metrics import Metrics
from responder.receive.credentials import Credentials
from responder.receive.endpoint import Endpoint
from responder.settings.settings import PortalSettings
from responder.store.database.database import Database
from responder.store.database.engines import StoreUnavailable
from responder.store.group_commit import SharedCommit
from responder.store.inbox import inbox
from tests.support.processes import eventually
from tests.support.uvicorn_thread import FORM, asked, connected, received, request, served

pytestmark = pytest.mark.portal

TOKEN = "token-0123456789abcdef"
SECOND = "second-0123456789abcdef"
SIDE = "side-0123456789abcdef"
KEY = "a-secret-segment"
MEMBER = "a223c6b3710f85df22e9377d6c4f7553"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DEAL = b"event=ONCRMDEALUPDATE&data%5BFIELDS%5D%5BID%5D=759&ts=1736405807"
DOCUMENT = b"document_id[0]=crm&document_id[1]=CCrmDocumentDeal&document_id[2]=DEAL_759"
WORKFLOW = "65e5a449e8f135.21284909"


def portal(*tokens: str, key: str | None = None, member: str | None = None) -> PortalSettings:
    return PortalSettings(
        url=SecretStr("https://portal.example/rest/1/hook-secret-0001/"),
        application_tokens=tuple(SecretStr(token) for token in tokens),
        url_key=SecretStr(key) if key else None,
        member_id=member,
    )


PORTALS = {
    "main": portal(TOKEN, SECOND, key=KEY),
    "side": portal(SIDE, key="another-segment", member=MEMBER),
}


class Service:
    """The application with a store in memory, and the port where it answers."""

    def __init__(self) -> None:
        self.rows: list[inbox.Row] = []
        self.failure: Exception | None = None
        self.refuse_at_once = False
        self.is_ready = True
        self.readiness_failure: Exception | None = None
        self.metrics = Metrics()
        self.app = Endpoint(
            PORTALS,
            accept=self.accept,
            ready=self.ready,
            metrics=self.metrics,
            now=lambda: NOW,
        )
        self.port = 0

    def accept(self, row: inbox.Row) -> asyncio.Future[None]:
        if self.failure is not None and self.refuse_at_once:
            raise self.failure
        done = asyncio.get_running_loop().create_future()
        if self.failure is not None:
            done.set_exception(self.failure)
        else:
            self.rows.append(row)
            done.set_result(None)
        return done

    async def ready(self) -> tuple[bool, dict[str, object]]:
        if self.readiness_failure is not None:
            raise self.readiness_failure
        return self.is_ready, {"rules": {"revision": "abc"}}

    def counted(self, answer: int) -> float:
        name, labels = "responder_events_received_total", {"answer": str(answer)}
        return self.metrics.registry.get_sample_value(name, labels) or 0

    def status(self, body: bytes, path: str = "/events") -> int:
        return asked(self.port, request(body, path=path)).status


@pytest.fixture(scope="module")
def running() -> Iterator[Service]:
    service = Service()
    with served(service.app, patience_seconds=5) as service.port:
        yield service


@pytest.fixture
def service(running: Service) -> Service:
    running.rows.clear()
    running.failure = running.readiness_failure = None
    running.refuse_at_once = False
    running.is_ready = True
    return running


def signed(body: bytes, token: str = TOKEN, member: str | None = None) -> bytes:
    signed_body = body + b"&auth%5Bapplication_token%5D=" + quote(token).encode()
    return signed_body + (f"&auth[member_id]={member}".encode() if member else b"")


def one(service: Service) -> inbox.Row:
    (row,) = service.rows
    return row


def test_an_event_with_the_right_token_is_stored_and_acknowledged(service: Service) -> None:
    assert service.status(signed(DEAL)) == 200
    assert one(service) == inbox.row(
        "main", NOW, "event", "ONCRMDEALUPDATE", "deal:759", None, DEAL
    )


def test_the_token_is_not_stored(service: Service) -> None:
    assert service.status(signed(DEAL)) == 200
    assert TOKEN.encode() not in one(service)[-1]


@pytest.mark.parametrize("path", ["/events", "/events/", "/events?x=y", "/%65vents"])
def test_a_final_slash_changes_nothing(service: Service, path: str) -> None:
    assert service.status(signed(DEAL), path) == 200
    assert len(service.rows) == 1


@pytest.mark.parametrize(
    "content_type",
    [None, b"", FORM + b"; charset=UTF-8", b"Application/X-WWW-Form-Urlencoded"],
)
def test_a_form_is_a_form_without_a_content_type_too(
    service: Service, content_type: bytes | None
) -> None:
    assert asked(service.port, request(signed(DEAL), content_type=content_type)).status == 200


@pytest.mark.parametrize("token", [TOKEN, SECOND])
def test_each_token_of_a_portal_is_accepted(service: Service, token: str) -> None:
    assert service.status(signed(DEAL, token)) == 200
    assert one(service)[0] == "main"


def test_a_token_names_its_portal(service: Service) -> None:
    assert service.status(signed(DEAL, SIDE, MEMBER)) == 200
    assert one(service)[0] == "side"


def test_of_duplicate_tokens_the_last_counts(service: Service) -> None:
    assert service.status(signed(signed(DEAL, "wrong"), TOKEN)) == 200
    assert service.status(signed(signed(DEAL, TOKEN), "wrong")) == 403
    assert len(service.rows) == 1


def test_an_event_without_a_document_is_stored_too(service: Service) -> None:
    assert service.status(signed(b"event=ONUSERADD&data[ID]=1")) == 200
    assert one(service)[2:5] == ("event", "ONUSERADD", None)


def test_a_robots_call_is_stored_with_its_workflow(service: Service) -> None:
    body = signed(f"workflow_id={WORKFLOW}&".encode() + DOCUMENT)
    assert service.status(body) == 200
    assert one(service)[2:6] == ("robot", None, "deal:759", WORKFLOW)


@pytest.mark.parametrize("path", [f"/events/{KEY}", f"/events/{KEY}/"])
def test_the_webhook_robot_is_accepted_on_the_secret_path(service: Service, path: str) -> None:
    assert service.status(DOCUMENT, path) == 200
    assert one(service)[:1] + one(service)[2:6] == ("main", "robot", None, "deal:759", None)


def test_the_secret_path_takes_a_workflow(service: Service) -> None:
    path = f"/events/{KEY}?workflow_id=x&workflow_id={WORKFLOW}"
    assert service.status(DOCUMENT, path) == 200
    assert one(service)[5] == WORKFLOW


@pytest.mark.parametrize("given", ["", "x" * 256])
def test_a_workflow_on_the_secret_path_that_cannot_be_one_is_refused(
    service: Service, given: str
) -> None:
    assert service.status(DOCUMENT, f"/events/{KEY}?workflow_id={given}") == 400


def test_without_the_secret_path_a_workflow_in_the_query_means_nothing(service: Service) -> None:
    assert service.status(signed(DEAL), f"/events?workflow_id={WORKFLOW}") == 200
    assert one(service)[5] is None


def test_the_secret_path_takes_events_with_their_token(service: Service) -> None:
    assert service.status(signed(DEAL), f"/events/{KEY}") == 200


REFUSED = {
    "no token": (DEAL, "/events"),
    "an empty token": (signed(DEAL, ""), "/events"),
    "a wrong token": (signed(DEAL, "token-0123456789abcdeF"), "/events"),
    "a longer token": (signed(DEAL, TOKEN + "x"), "/events"),
    "a shorter token": (signed(DEAL, TOKEN[:-1]), "/events"),
    "a token that is not ASCII": (signed(DEAL, "tökén-0123456789abcdef"), "/events"),
    "a token with NUL": (signed(DEAL, TOKEN + "\0"), "/events"),
    "a token that is no UTF-8": (DEAL + b"&auth[application_token]=%ff%fe\xff", "/events"),
    "a token that is a lone surrogate": (DEAL + b"&auth[application_token]=%ed%a0%80", "/events"),
    "a token with a bad percent sign": (DEAL + b"&auth[application_token]=%zz%", "/events"),
    "a list for a token": (DEAL + f"&auth[application_token][]={TOKEN}".encode(), "/events"),
    "a map for a token": (DEAL + f"&auth[application_token][a]={TOKEN}".encode(), "/events"),
    "a token of another name": (DEAL + f"&application_token={TOKEN}".encode(), "/events"),
    "a huge token": (signed(DEAL, "x" * 60_000), "/events"),
    "a token and the wrong portal's member id": (signed(DEAL, SIDE, "0" * 32), "/events"),
    "a token and no member id, which is known": (signed(DEAL, SIDE), "/events"),
    "the webhook robot without the secret path": (DOCUMENT, "/events"),
    "the webhook robot on a wrong path": (DOCUMENT, f"/events/{KEY}x"),
    "the webhook robot on a path that is not ASCII": (DOCUMENT, "/events/%ff%00%ed%a0%80"),
    "an event without token on the secret path": (DEAL, f"/events/{KEY}"),
    "a wrong token on the secret path": (signed(DOCUMENT, "wrong"), f"/events/{KEY}"),
    "another portal's token on the secret path": (signed(DEAL, SIDE, MEMBER), f"/events/{KEY}"),
    "a right token on a wrong path": (signed(DEAL), f"/events/{KEY}x"),
    "nothing": (b"", "/events"),
    "nothing on the secret path": (b"", f"/events/{KEY}"),
    "nonsense": (b"\xff\x00[[]]&%%%=&", "/events"),
}


def test_every_wrong_credential_gets_the_same_bytes(service: Service) -> None:
    answers = {
        name: asked(service.port, request(body, path=path))
        for name, (body, path) in REFUSED.items()
    }
    assert {name: answer.status for name, answer in answers.items()} == dict.fromkeys(REFUSED, 403)
    assert len({answer.raw for answer in answers.values()}) == 1
    assert service.rows == []


def test_a_body_that_cannot_be_read_is_400_with_a_right_token(service: Service) -> None:
    assert service.status(signed(b"hello=world")) == 400
    assert service.status(signed(b"hello=world", "wrong-0123456789abcdef")) == 403
    assert service.rows == []


def test_other_content_types_are_415(service: Service) -> None:
    for content_type in (b"application/json", b"multipart/form-data; boundary=x", b"text/plain"):
        assert asked(service.port, request(signed(DEAL), content_type=content_type)).status == 415
    gzipped = request(signed(DEAL), headers=(b"Content-Encoding: gzip",))
    assert asked(service.port, gzipped).status == 415


def test_64_kib_are_accepted_and_one_byte_more_is_413(service: Service) -> None:
    padding = 64 * 1024 - len(signed(DEAL)) - len("&a=")
    body = signed(DEAL) + b"&a=" + b"x" * padding
    assert service.status(body) == 200
    assert service.status(body + b"x") == 413


def test_a_declared_length_is_refused_before_the_body_is_read(service: Service) -> None:
    head = request(b"").replace(b"Content-Length: 0", b"Content-Length: 65537")
    with connected(service.port) as connection:
        connection.sendall(head)
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_sends_far_too_much_still_sees_413(service: Service) -> None:
    assert service.status(signed(DEAL) + b"&a=" + b"x" * 5_000_000) == 413


def chunked(body: bytes, size: int) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    coded = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    head = request(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    return head + coded + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_chunked_bodies_are_read(service: Service, size: int) -> None:
    assert asked(service.port, chunked(signed(DEAL), size)).status == 200
    assert one(service)[4] == "deal:759"


def test_a_chunked_body_over_64_kib_is_413(service: Service) -> None:
    assert asked(service.port, chunked(signed(DEAL) + b"&a=" + b"x" * 70_000, 999)).status == 413


def test_200_pairs_are_accepted_and_201_are_413(service: Service) -> None:
    pairs = b"".join(b"&a%d=" % number for number in range(196))
    assert service.status(signed(DEAL + pairs)) == 200
    assert service.status(signed(DEAL + pairs + b"&b=")) == 413


def test_five_brackets_are_accepted_and_six_are_413(service: Service) -> None:
    assert service.status(signed(DEAL + b"&a[b][c][d][e][f]=")) == 200
    assert service.status(signed(DEAL + b"&a[b][c][d][e][f][g]=")) == 413
    assert service.status(signed(DEAL + b"&a[b][c][d][e][f][g]=", "wrong")) == 403


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
@pytest.mark.parametrize("path", ["/events", "/events/", f"/events/{KEY}"])
def test_other_methods_are_405_and_say_which_is_right(
    service: Service, method: str, path: str
) -> None:
    answer = asked(service.port, request(method=method, path=path))
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("path", ["/", "/event", "/eventsx", "/events/a/b", "/events//", "/EVENTS"])
def test_other_paths_are_404(service: Service, path: str) -> None:
    assert service.status(signed(DEAL), path) == 404
    assert service.rows == []


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("failure", [StoreUnavailable("disk full"), RuntimeError("a mistake")])
def test_a_store_that_cannot_commit_is_503(
    service: Service, failure: Exception, *, at_once: bool
) -> None:
    service.failure, service.refuse_at_once = failure, at_once
    assert service.status(signed(DEAL)) == 503
    service.failure = None
    assert service.status(signed(DEAL)) == 200


def test_every_answer_is_counted(service: Service) -> None:
    wanted = {200: signed(DEAL), 403: DEAL, 400: signed(b"x=y")}
    before = {status: service.counted(status) for status in wanted}
    for body in wanted.values():
        service.status(body)
    assert {status: service.counted(status) - 1 for status in wanted} == before


def test_a_connection_takes_one_event_after_another(service: Service) -> None:
    alive = request(signed(DEAL)).replace(b"Connection: close\r\n", b"")
    with connected(service.port) as connection:
        for _ in range(3):
            connection.sendall(alive)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(alive + request(signed(DEAL)))
        assert received(connection).status == 200
    assert len(service.rows) == 5


def test_a_client_that_hangs_up_in_the_middle_harms_nobody(service: Service) -> None:
    before = service.counted(408)
    with connected(service.port) as connection:
        connection.sendall(request(signed(DEAL))[:-10])
    assert service.status(signed(DEAL)) == 200
    assert len(service.rows) == 1
    eventually(lambda: service.counted(408) == before + 1 or None)


@pytest.mark.parametrize(
    "head",
    [
        b"POST /events HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /events HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"POST /events HTTP/1.1\r\nContent-Length: -3\r\n\r\nabc",
        b"POST /events HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\nabc",
        b"POST /ev\xffents HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET * HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /events HTTP/1.1\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"POST /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n\r\n",
        b"POST /events HTTP/1.1\r\nX: " + b"a" * 30_000_000,
    ],
)  # fmt: skip
def test_what_is_not_http_is_a_mistake_of_the_client(service: Service, head: bytes) -> None:
    with connected(service.port) as connection:
        try:
            connection.sendall(head)
            answer = received(connection)
        except ConnectionError:
            return  # it did not wait for the end of it
    assert answer.status in (400, 404, 413)


def test_an_upgrade_is_refused(service: Service) -> None:
    upgrade = (b"Upgrade: websocket", b"Connection: upgrade")
    assert (
        asked(service.port, request(method="GET", path="/healthz", headers=upgrade)).status == 400
    )


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    body=st.one_of(
        st.binary(max_size=300),
        st.lists(
            st.sampled_from(
                [b"event=ONCRMDEALUPDATE", b"data[FIELDS][ID]=", b"%ff", b"[", b"]", b"=", b"&",
                 b"%", b"auth[application_token]=", TOKEN.encode(), b"document_id[0]=crm", b"auth=",
                 b"workflow_id=", b"\0", b"auth[application_token][]=", b"+", b"document_id[]="]
            ),
            max_size=25,
        ).map(b"".join),
    ),
    path=st.sampled_from(
        ["/events", f"/events/{KEY}", f"/events/{KEY}?workflow_id=%ff%00", "/events/x"]
    ),
)  # fmt: skip
def test_no_body_whatever_is_an_error_of_ours(service: Service, body: bytes, path: str) -> None:
    before = len(service.rows)
    status = service.status(body, path)
    assert status in (200, 400, 403, 413)
    assert len(service.rows) - before == (status == 200)


def test_every_body_of_the_collection_is_acknowledged(service: Service) -> None:
    payloads = sorted((Path(__file__).parents[1] / "payloads").glob("*.txt"))
    refused = [
        file.name for file in payloads if service.status(signed(file.read_bytes().strip())) != 200
    ]
    assert payloads
    assert refused == []


def test_healthz_says_alive(service: Service) -> None:
    assert asked(service.port, request(method="GET", path="/healthz")).status == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_head_is_answered_without_a_body(service: Service, path: str) -> None:
    answer = asked(service.port, request(method="HEAD", path=path))
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_they_cannot_be_posted_to(service: Service, path: str) -> None:
    answer = asked(service.port, request(method="POST", path=path))
    assert answer.status == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


def test_readyz_gives_its_detail(service: Service) -> None:
    answer = asked(service.port, request(method="GET", path="/readyz"))
    assert answer.status == 200
    assert json.loads(answer.body) == {"rules": {"revision": "abc"}}


def test_readyz_is_503_where_we_cannot_serve(service: Service) -> None:
    service.is_ready = False
    assert asked(service.port, request(method="GET", path="/readyz")).status == 503


def test_readyz_is_503_where_it_cannot_be_found_out(service: Service) -> None:
    service.readiness_failure = RuntimeError("broken")
    assert asked(service.port, request(method="GET", path="/readyz")).status == 503


def test_metrics_are_in_prometheus_format(service: Service) -> None:
    answer = asked(service.port, request(method="GET", path="/metrics"))
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b"# TYPE responder_events_received_total counter" in answer.body


def test_no_slash_is_redirected_to_wherever_the_host_header_says(service: Service) -> None:
    assert asked(service.port, request(method="GET", path="/healthz/")).status == 404


def test_the_server_does_not_say_what_it_is(service: Service) -> None:
    answer = asked(service.port, request(method="GET", path="/healthz"))
    assert "server" not in answer.headers


def test_metrics_and_details_can_be_kept_off_the_public_port() -> None:
    service = Service()
    app = Endpoint(
        PORTALS,
        accept=service.accept,
        ready=service.ready,
        metrics=service.metrics,
        shows_detail=False,
    )
    with served(app) as port:
        assert asked(port, request(method="GET", path="/metrics")).status == 404
        assert asked(port, request(method="GET", path="/readyz")).body == b'{"ready":true}'
        service.is_ready = False
        unready = asked(port, request(method="GET", path="/readyz"))
    assert (unready.status, unready.body) == (503, b'{"ready":false}')


def test_what_was_acknowledged_is_in_the_database(sqlite_database: Database) -> None:
    commit = SharedCommit(sqlite_database)
    service = Service()
    endpoint = Endpoint(PORTALS, accept=commit.add, ready=service.ready, metrics=service.metrics)

    started: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if not started:
            commit.start()
            started.append(True)
        await endpoint(scope, receive, send)

    with served(app) as port:
        assert asked(port, request(signed(DEAL))).status == 200
        stored = list(inbox.received(sqlite_database))
    asyncio.run(commit.close())
    assert [delivery.document for delivery in stored] == ["deal:759"]


CREDENTIALS = Credentials(PORTALS)


@given(st.none() | st.binary(max_size=60), st.none() | st.binary(max_size=40))
def test_no_bytes_but_the_tokens_name_a_portal(token: bytes | None, member: bytes | None) -> None:
    assert CREDENTIALS.portal_of(token, member) is None


def test_the_tokens_name_their_portals() -> None:
    assert CREDENTIALS.portal_of(TOKEN.encode(), None) == "main"
    assert CREDENTIALS.portal_of(SECOND.encode(), b"anything") == "main"
    assert CREDENTIALS.portal_of(SIDE.encode(), MEMBER.encode()) == "side"
    assert CREDENTIALS.portal_of(SIDE.encode(), None) is None

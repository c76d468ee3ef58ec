"""`/app/<portal>` over real sockets: every answer, what is stored, and what nobody can do."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from responder.adapters.metrics import Metrics
from responder.receive.application.application_endpoint import ApplicationEndpoint
from responder.receive.application.pins import Pins
from responder.settings.settings import PortalSettings
from responder.store.applications import held_messages, installations
from responder.store.applications.held_messages import Held
from responder.store.applications.installations import Installation, State, token_digest
from responder.store.database.database import Connection, Database
from responder.store.database.portal_tables import held_installations
from responder.store.database.tables import deliveries
from responder.store.group_commit import SharedCommit
from responder.store.inbox import inbox
from tests.support.schema import laid_at
from tests.support.uvicorn_thread import Answer, asked, request, served

pytestmark = pytest.mark.portal

KEY = "a-key-of-more-than-thirty-two-characters"
TOKEN = "b223c6b3710f85df22e9377d6c4f7554"
MEMBER = "a223c6b3710f85df22e9377d6c4f7553"
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
PORTALS = {
    "main": PortalSettings.model_validate({"domain": "p.bitrix24.com"}),
    "side": PortalSettings.model_validate(
        {
            "url": "https://side.bitrix24.com/rest/1/hook-secret-0001/",
            "application_tokens": ["side-token-0123456789"],
        }
    ),
}
PINNED = Installation(
    portal="main",
    state=State.INSTALLED,
    reason=None,
    domain="p.bitrix24.com",
    member_id=MEMBER,
    client_id="local.1.2",
    oauth_host="oauth.bitrix.info",
    user_id="1",
    application_token_sha256=token_digest(TOKEN),
    key_mark="0",
    tokens="sealed",
    expires_at=NOW,
    installed_at=NOW,
    refreshed_at=NOW,
)
FORBIDDEN = b"Forbidden\n"
FAR_AHEAD = "code=a&state=999999999999.x"


def form(**fields: str) -> bytes:
    return urlencode(fields).encode()


def auth(token: str | None = TOKEN, member: str | None = MEMBER) -> dict[str, str]:
    given = {"auth[application_token]": token, "auth[member_id]": member}
    return {name: value for name, value in given.items() if value is not None}


DEAL = {"event": "ONCRMDEALUPDATE", "data[FIELDS][ID]": "759"}
MESSAGE = {
    "event": "ONAPPINSTALL",
    "auth[access_token]": "AccessSecret",
    "auth[refresh_token]": "RefreshSecret",
    "auth[member_id]": MEMBER,
    "auth[application_token]": "c" * 32,
}


@dataclass
class Receiving:
    """The application's address on a port, with a database."""

    database: Database
    port: int
    pins: Pins
    refused: list[tuple[str | None, str]]
    woken: list[str]
    metrics: Metrics

    def post(self, body: bytes, path: str = "/app/main") -> Answer:
        return asked(self.port, request(body, path=path))

    @property
    def deliveries(self) -> int:
        return sum(count for count, _ in self.database.read(inbox.depth).values())

    @property
    def held(self) -> list[Held]:
        return self.database.read(lambda conn: held_messages.held(conn, "main", NOW))

    @property
    def state(self) -> State | None:
        found = self.database.read(lambda conn: installations.installed(conn, "main"))
        return None if found is None else found.state


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiving]:
    path: Path = tmp_path_factory.mktemp("receiving") / "responder.db"
    database = Database(laid_at(path))
    database.open()
    database.write(lambda tx: installations.pin(tx, PINNED))
    commits = SharedCommit(database)
    woken: list[str] = []
    refused: list[tuple[str | None, str]] = []
    pins = Pins(database, woken.append, lambda: NOW, portals=PORTALS)
    pins.load()
    metrics = Metrics()
    endpoint = ApplicationEndpoint(
        PORTALS,
        secret_key=KEY,
        pins=pins,
        accept=commits.add,
        write=commits.write,
        held=woken.append,
        metrics=metrics,
        now=lambda: NOW,
        refused=lambda portal, why: refused.append((portal, why)),
    )

    is_started = False

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal is_started
        if not is_started:
            commits.start()  # in the event loop of the server
        is_started = True
        await routes(scope, receive, send)

    routes = Starlette(routes=[Mount("/app", endpoint)])
    with served(application) as port:
        yield Receiving(database, port, pins, refused, woken, metrics)
    database.close()


@pytest.fixture(autouse=True)
def afresh(there: Receiving) -> None:
    there.refused.clear()
    there.woken.clear()
    there.pins.full.clear()

    def forget(tx: Connection) -> None:
        tx.execute(held_installations.delete())
        tx.execute(deliveries.delete())
        installations.pin(tx, PINNED)

    there.database.write(forget)


def test_an_event_with_the_pinned_token_is_stored(there: Receiving) -> None:
    assert there.post(form(**DEAL, **auth())).status == 200
    assert there.deliveries == 1
    assert there.refused == []


def test_a_robot_of_the_application_is_stored(there: Receiving) -> None:
    robot = {"workflow_id": "w", "document_id[0]": "crm", "document_id[1]": "CCrmDocumentDeal",
             "document_id[2]": "DEAL_759"}  # fmt: skip
    assert there.post(form(**robot, **auth())).status == 200
    assert there.deliveries == 1


@pytest.mark.parametrize(
    ("body", "path", "named"),
    [
        (form(**DEAL, **auth("x" * 32)), "/app/main", ("main", "a wrong application token")),
        (form(**DEAL, **auth(None)), "/app/main", ("main", "no application token")),
        (form(**DEAL, **auth("")), "/app/main", ("main", "a wrong application token")),
        (form(**DEAL, **auth(member="f" * 32)), "/app/main", ("main", "another member_id")),
        (form(**DEAL, **auth(member=None)), "/app/main", ("main", "another member_id")),
        (form(**DEAL, **auth()), "/app/side", (None, "a wrong application token")),
        (form(**DEAL, **auth()), "/app/nobody", (None, "a wrong application token")),
        (form(**DEAL, **auth()), "/app/main/more", (None, "a wrong application token")),
        (form(**MESSAGE), "/app/side", (None, "a wrong application token")),
        (b"", "/app/main", ("main", "no application token")),
    ],
)
def test_everything_else_is_the_same_403_and_counted(
    there: Receiving, body: bytes, path: str, named: tuple[str | None, str]
) -> None:
    answer = there.post(body, path)
    assert (answer.status, answer.body) == (403, FORBIDDEN)
    assert there.refused == [named]
    assert (there.deliveries, there.held) == (0, [])


def test_a_well_formed_message_is_held_encrypted_and_wakes_the_driver(there: Receiving) -> None:
    assert there.post(form(**MESSAGE)).status == 200
    (held,) = there.held
    assert "Secret" not in held.message
    assert there.woken == ["main"]
    assert there.deliveries == 0


def test_a_message_that_comes_twice_is_held_once(there: Receiving) -> None:
    for _ in range(2):
        assert there.post(form(**MESSAGE)).status == 200
    assert len(there.held) == 1


def test_an_uninstalled_application_is_noted_by_its_token_alone(there: Receiving) -> None:
    gone = {"event": "ONAPPUNINSTALL", "data[CLEAN]": "1"}
    assert there.post(form(**gone, **auth("x" * 32))).status == 403
    states = [there.state]
    assert there.post(form(**gone, **auth())).status == 200
    states.append(there.state)
    assert states == [State.INSTALLED, State.UNINSTALLED]
    assert there.woken == ["main"]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (request(b"", method="PUT", path="/app/main"), 405),
        (request(b"", method="GET", path="/app/main", content_type=None), 403),
        (request(b"", method="GET", path=f"/app/main?{FAR_AHEAD}", content_type=None), 403),
        (request(b"", method="GET", path=f"/app/nobody?{FAR_AHEAD}", content_type=None), 403),
        (request(form(**DEAL), path="/app/main", content_type=b"application/json"), 415),
        (request(b"a" * (64 * 1024 + 1), path="/app/main"), 413),
        (request(b"&".join([b"a=1"] * 201), path="/app/main"), 413),
        (request(form(event="x" * 300, **auth()), path="/app/main"), 400),
        (request(form(**{"a[1][2][3][4][5][6]": "1"}, **DEAL, **auth()), path="/app/main"), 413),
    ],
)
def test_what_is_no_form_gets_the_answers_of_events(
    there: Receiving, data: bytes, status: int
) -> None:
    assert asked(there.port, data).status == status
    assert there.deliveries == 0


def test_a_refusal_is_measured_as_those_of_events_are(there: Receiving) -> None:
    name, labels = "responder_events_received_total", {"answer": "403"}
    before = there.metrics.registry.get_sample_value(name, labels) or 0
    there.post(b"")
    assert there.metrics.registry.get_sample_value(name, labels) == before + 1


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=300), query=st.text("ABCDOMIN=&%+0;", max_size=40))
def test_no_body_whatever_is_an_error_of_ours(there: Receiving, body: bytes, query: str) -> None:
    assert there.post(body, f"/app/main?{query}").status in (200, 400, 403, 413)


def test_a_flood_of_messages_is_answered_and_five_are_held(there: Receiving) -> None:
    for number in range(held_messages.MOST + 3):
        answer = there.post(form(**{**MESSAGE, "auth[access_token]": f"Access{number}"}))
        assert answer.status == 200
    assert len(there.held) == held_messages.MOST
    assert len(there.woken) == held_messages.MOST

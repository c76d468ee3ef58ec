"""The program reads what the portal kept while it was away, and loses nothing if it dies there."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.journal.audit.integrity import check_log
from responder.store.applications import installations, offline_takings
from responder.store.database.database import Connection, Database
from responder.store.database.portal_tables import leases
from responder.store.inbox import inbox
from tests.support.installed import CHANGED, EXTENDED, SECRET_KEY, installation
from tests.support.processes import Running, eventually, write_rules
from tests.support.rounds import DEAL, RULES
from tests.support.schema import laid_at
from tests.support.under_load import QUICK

FEW = range(1, 13)
MANY = range(1, 201)
TAKING = "store.applications.offline_takings"
POINTS = {
    "what was reserved is stored": ("store.inbox.inbox.add", True),
    "what is taken next is stored": (f"{TAKING}.begin", False),
    "the end of a taking": (f"{TAKING}.end", False),
    "what is registered": ("store.applications.installations.set_registration", True),
}


def moments() -> Iterator[ParameterSet]:
    """Give every point, before and after, on both databases: each once, and the rest at length."""
    for number, name in enumerate(POINTS):
        for place, when in enumerate(("before", "after")):
            for kind, database in enumerate(("sqlite_url", "postgres_url")):
                often = (number + place + kind) % 2 == 0
                yield pytest.param(name, when, database, marks=() if often else pytest.mark.long)


@contextmanager
def portal(*, extended: bool) -> Iterator[SandboxServer]:
    """Serve a portal whose application has an event bound offline."""
    sandbox = Sandbox(rate=1000, burst=10_000)
    sandbox.add_template(61, "Approval")
    sandbox.add_application().bindings.add(CHANGED)
    (sandbox.features.add if extended else sandbox.features.discard)(EXTENDED)
    with SandboxServer(sandbox) as server:
        yield server


def prepared(place: Path, server: SandboxServer, database_url: str) -> Running:
    """Give the program whose application is installed already."""
    application = server.sandbox.application
    assert application is not None
    write_rules(place, RULES)
    service = Running(
        place,
        {
            "RESPONDER_MODE": "enforce",
            "RESPONDER_SECRET_KEY": SECRET_KEY,
            "RESPONDER_PORTALS__MAIN__DOMAIN": f"127.0.0.1:{server.port}",
            "RESPONDER_PORTALS__MAIN__CLIENT_ID": application.client_id,
            "RESPONDER_PORTALS__MAIN__CLIENT_SECRET": application.client_secret,
            **QUICK,
        },
        database_url,
    )
    long_ago = datetime.now(UTC) - timedelta(minutes=10)
    with opened(service) as database:
        database.write(lambda tx: installations.pin(tx, installation(server, long_ago)))
    return service


@contextmanager
def opened(service: Running) -> Iterator[Database]:
    """Open the program's database beside it."""
    database = Database(service.database_url)
    database.open()
    try:
        yield database
    finally:
        database.close()


def lose(sandbox: Sandbox, numbers: range) -> None:
    """Let deals be lost while nobody listens: the portal keeps their events."""
    for number in numbers:
        sandbox.add_item(2, number, stageSemanticId="F")
        sandbox.start_workflow((*DEAL, f"DEAL_{number}"), 61)
        sandbox.happens(CHANGED, {"FIELDS": {"ID": number}}, user_id=7)


def is_settled(service: Running, server: SandboxServer) -> bool | None:
    """Say whether all workflows are stopped, and nothing is kept, waits, or is being taken."""
    application = server.sandbox.application
    assert application is not None

    def nothing_waits(conn: Connection) -> bool:
        return not inbox.depth(conn) and offline_takings.under_way(conn, "main") is None

    with opened(service) as database:
        is_quiet = database.read(nothing_waits)
    return (is_quiet and not server.sandbox.workflows and not application.offline.rows) or None


@pytest.mark.parametrize(("name", "when", "database"), list(moments()))
def test_killed_at_a_commit_of_reading_no_event_is_lost(
    name: str, when: str, database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    point, extended = POINTS[name]
    with portal(extended=extended) as server:
        service = prepared(tmp_path, server, request.getfixturevalue(database))
        lose(server.sandbox, FEW)
        service.launch("-m", "tests.support.dying_service", point, when)
        assert service.process is not None
        assert service.process.wait(30) == -9, service.log.read_text()[-3000:]
        with opened(service) as found:  # its lease would take seconds to run out
            found.write(lambda tx: tx.execute(leases.update().values(expires_at=0)))
        service.start()
        try:
            eventually(lambda: is_settled(service, server), seconds=60)
        finally:
            service.end()
        with opened(service) as found:
            assert check_log(found)[1] == []
            refs = {one.document for one in inbox.received(found)}
        assert refs == {f"deal:{number}" for number in FEW}
        assert len(server.sandbox.killed) == len(FEW)


@pytest.mark.parametrize("extended", [True, False])
def test_what_changed_while_it_was_stopped_is_judged_when_it_is_started(
    extended: bool, tmp_path: Path
) -> None:
    with portal(extended=extended) as server:
        service = prepared(tmp_path, server, laid_at(tmp_path / "responder.db")).start()
        try:
            lose(server.sandbox, FEW)
            eventually(lambda: is_settled(service, server), seconds=60)
            service.end()
            lose(server.sandbox, range(FEW.stop, FEW.stop + len(MANY)))
            service.start()
            eventually(lambda: is_settled(service, server), seconds=60)
        finally:
            service.end()
        assert len(server.sandbox.killed) == len(FEW) + len(MANY)
        service.left_no_secret()


def test_events_come_both_ways_and_are_shown_as_registered(tmp_path: Path) -> None:
    with portal(extended=True) as server:
        application = server.sandbox.application
        assert application is not None
        service = prepared(tmp_path, server, laid_at(tmp_path / "responder.db"))
        address = f"http://127.0.0.1:{service.port}"
        service.environment["RESPONDER_PUBLIC_URL"] = address
        service.secrets.append(application.application_token)
        service.start()
        try:
            eventually(lambda: application.bindings.online(CHANGED) or None)
            for number in FEW:
                server.sandbox.add_item(2, number, stageSemanticId="F")
                server.sandbox.start_workflow((*DEAL, f"DEAL_{number}"), 61)
                data = {"FIELDS": {"ID": number}}
                server.sandbox.happens(CHANGED, data, user_id=1, deliver=True)
            eventually(lambda: is_settled(service, server), seconds=60)
            service.settled()
            assert {one.handler for one in application.bindings.online(CHANGED)} == {
                f"{address}/app/main"
            }
            shown = json.loads(service.get("/readyz")[1])["portals"]["main"]["application"]
            assert shown["missing"] == []
            assert shown["events"]["offline"] == ["ONCRMDEALMOVETOCATEGORY", CHANGED]
            status = service.command("status")
            assert "ONOFFLINEEVENT" in status.stdout
            doctor = service.command("doctor", "--json").stdout.splitlines()
            found = {one["check"]: one for one in map(json.loads, doctor)}
            assert found["events"]["status"] == "ok"
        finally:
            service.end()
        assert len(server.sandbox.killed) == len(FEW)
        received = Counter(one.event for one in deliveries(service))
        assert received[CHANGED] == 2 * len(FEW)
        assert received["ONOFFLINEEVENT"] >= 1
        service.left_no_secret()


def deliveries(service: Running) -> list[inbox.Delivery]:
    with opened(service) as database:
        return list(inbox.received(database))

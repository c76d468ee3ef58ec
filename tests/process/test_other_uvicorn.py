"""A uvicorn without one of the private parts we build on: the service starts, and does its job."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from tests.process.test_smuggling import SLICE, UPGRADES, all_of, cut, names, post, smuggled
from tests.support.processes import TOKEN, Running, event, eventually, running
from tests.support.renamed import uvicorn_without
from tests.support.under_load import lost_deal
from tests.support.uvicorn_thread import asked, parsed, request

WITHOUT = ["HttpToolsProtocol", "ServerState.default_headers", "Server.startup"]


@contextmanager
def served_without(part: str, place: Path, portal: SandboxServer) -> Iterator[Running]:
    (place / "lacking").mkdir()
    path = uvicorn_without(place / "lacking", part)
    with running(place, portal.url, PYTHONPATH=path) as service:
        yield service


def said(service: Running) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    return [line for line in lines if line["level"] not in ("debug", "info")]


@pytest.mark.parametrize("part", WITHOUT)
def test_events_are_received_workflows_killed_and_the_end_is_clean(
    part: str, tmp_path: Path
) -> None:
    with (
        SandboxServer(Sandbox()) as portal,
        served_without(part, tmp_path, portal) as service,
    ):
        condemned = lost_deal(portal.sandbox, 759)
        assert service.post(event("ONCRMDEALUPDATE", 759)) == 200
        eventually(lambda: condemned in portal.sandbox.killed or None)
        assert service.get("/readyz")[0] == 200
        (line,) = said(service)
        assert str(line["event"]).startswith("This uvicorn lacks parts")
        assert line["missing"] == [part]
        assert service.end() == 0


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    place = tmp_path_factory.mktemp("service")
    with (
        SandboxServer(Sandbox()) as portal,
        served_without("FlowControl.read_paused", place, portal) as program,
    ):
        yield program


def test_each_refusal_is_told_as_ever(service: Running) -> None:
    body = event("ONREFUSED", 1).encode()
    told = {
        403: request(body.replace(TOKEN.encode(), b"another-token-0000001")),
        400: request(b"a=b&auth[application_token]=" + TOKEN.encode()),
        405: request(method="PUT", content_type=None),
        413: request(body + b"&a=" + b"b" * 70_000),
        415: request(body, content_type=b"application/json"),
    }
    assert {status: asked(service.port, sent).status for status, sent in told.items()} == {
        status: status for status in told
    }
    assert "ONREFUSED" not in names(service)


def test_what_asks_for_an_upgrade_is_400_and_the_last_of_its_connection(service: Running) -> None:
    for upgrade in UPGRADES.values():
        for how in ("whole", "after the head"):
            for padding in (0, 3 * SLICE):
                asking = post(b"\r\n" * padding + smuggled(), more=upgrade)
                received = all_of(service.port, cut(asking + smuggled(), how))
                assert received.count(b"HTTP/1.1 ") == 1
                assert parsed(received).status == 400
    assert "ONSMUGGLED" not in names(service)


def test_what_was_sent_ahead_is_answered_in_turn_up_to_what_closes(service: Running) -> None:
    ahead = [post(event(f"ONAHEAD{n}", n).encode()) for n in range(20)]
    last = post(event("ONAHEADLAST", 1).encode(), more=b"Connection: close\r\n")
    received = all_of(service.port, [b"".join(ahead) + last + smuggled()])
    assert received.count(b"HTTP/1.1 200 ") == received.count(b"HTTP/1.1 ") == 21
    assert sum(name.startswith("ONAHEAD") for name in names(service)) == 21
    assert "ONSMUGGLED" not in names(service)


def test_the_service_can_be_paused_and_doctor_names_what_is_missing(service: Running) -> None:
    assert service.command("pause").returncode == 0
    eventually(lambda: json.loads(service.get("/readyz")[1])["paused"] or None)
    assert service.command("resume").returncode == 0
    told = service.command("doctor").stdout
    assert "warning   receiving: this uvicorn lacks FlowControl.read_paused" in told

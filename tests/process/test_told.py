"""What keeps events from coming and calls from going out is told: in doctor, status, log, pages."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from responder.bitrix24.sandbox import SandboxServer
from tests.support.processes import HURRIED, TOKEN, URL_KEY, Running, event, eventually, running
from tests.support.under_load import DEAL, KILL

WRONG = "wrong-application-token-0001"
HERE = "&auth%5Bdomain%5D=127.0.0.1"


@pytest.fixture
def service(portal: SandboxServer, tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path, portal.url) as program:
        yield program


def status(service: Running) -> dict[str, object]:
    told: dict[str, object] = json.loads(service.command("status", "--json").stdout)
    return told


def of_main(service: Running) -> dict[str, object]:
    portals = status(service)["portals"]
    assert isinstance(portals, dict)
    main: dict[str, object] = portals["main"]
    return main


def warned(service: Running) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    return [line for line in lines if line["level"] == "warning"]


def test_doctor_and_status_say_how_many_were_refused_for_whose_address_and_why(
    service: Running,
) -> None:
    for _ in range(30):
        assert service.post(event("ONCRMDEALUPDATE", 1, token=WRONG) + HERE) == 403
    for body in (event("ONX", 1, token=WRONG), event("ONX", 1, token=WRONG) + "&auth[domain]=x.y"):
        assert service.post(body) == 403
    assert service.post("document_id[]=crm", "/events/not-a-key-of-ours") == 403
    assert service.post("nonsense&auth[application_token]=" + TOKEN) == 400
    wanted = {"a wrong application token": 30, "not readable": 1}
    eventually(lambda: of_main(service)["refused_lately"] == wanted or None)
    assert status(service)["refused"] == {"a wrong application token": 2, "a wrong url_key": 1}
    said = service.command("status").stdout
    assert "a wrong application token 30" in said
    lines = service.command("doctor").stdout.splitlines()
    (line,) = [line for line in lines if "30 deliveries" in line]
    assert line.startswith("warning   main: refused: 30 deliveries within a day named its address")
    assert "RESPONDER_PORTALS__MAIN__APPLICATION_TOKENS" in line
    assert [line for line in lines if line.startswith("warning   refused: 2 deliveries")]
    assert WRONG not in service.log.read_text()


def test_what_is_taken_is_not_told_as_refused(service: Running) -> None:
    assert service.post(event("ONCRMDEALUPDATE", 1)) == 200
    body = "document_id[]=crm&document_id[]=CCrmDocumentDeal&document_id[]=DEAL_1"
    assert service.post(body, f"/events/{URL_KEY}") == 200
    assert "nothing that named its address was refused" in service.command("doctor").stdout
    assert (status(service)["refused"], of_main(service)["refused_lately"]) == ({}, {})


def test_a_breaker_opens_with_a_warning_and_is_closed_when_the_address_changes(
    portal: SandboxServer, tmp_path: Path
) -> None:
    portal.sandbox.add_item(2, 759, stageSemanticId="F")
    condemned = portal.sandbox.start_workflow((*DEAL, "DEAL_759"), 61)
    right, wrong = portal.url, portal.url[:-2] + "x/"
    with running(tmp_path, wrong) as service:
        assert service.post(event("ONCRMDEALUPDATE", 759)) == 200
        eventually(lambda: of_main(service)["breaker"])
        opened = [line for line in warned(service) if line["event"] == "a breaker opened"]
        assert [(line["portal"], line["method"]) for line in opened] == [("main", "")]
        service.end()
        service.start()  # with the same address it goes on where it was
        assert of_main(service)["breaker"]
        service.end()
        service.environment["RESPONDER_PORTALS__MAIN__URL"] = right
        service.start()
        eventually(lambda: condemned in portal.sandbox.killed or None, seconds=15)
        assert of_main(service)["breaker"] is None
        assert "breakers are closed, for the address is another" in service.log.read_text()


def test_a_denied_kill_is_a_warning(service: Running, portal: SandboxServer) -> None:
    portal.sandbox.add_item(2, 759, stageSemanticId="F")
    portal.sandbox.start_workflow((*DEAL, "DEAL_759"), 61)
    portal.sandbox.fail_next(KILL, ("error", 401, "ACCESS_DENIED", "Access denied!"))
    assert service.post(event("ONCRMDEALUPDATE", 759)) == 200
    line = eventually(lambda: next(iter(warned(service)), None))
    assert (line["event"], line["method"], line["code"]) == (
        "a breaker opened",
        KILL,
        "ACCESS_DENIED",
    )


def test_a_portal_that_cannot_be_reached_is_told_when_it_goes_and_when_it_comes_back(
    portal: SandboxServer, tmp_path: Path
) -> None:
    with running(tmp_path, portal.url, program=HURRIED) as service:
        portal.sandbox.fail_next("*", "drop_before", times=10)
        assert service.post(event("ONCRMDEALUPDATE", 759)) == 200
        eventually(lambda: b'"unreachable_since":"' in service.get("/readyz")[1] or None)
        portal.sandbox.faults.clear()
        service.pass_a_minute()
        assert service.post(event("ONCRMCONTACTADD", 1)) == 200  # so that it looks at its clock
        eventually(lambda: b'"unreachable_since":null' in service.get("/readyz")[1] or None)
        said = [line["event"] for line in warned(service) if "portal" in str(line["event"])]
    assert "the portal cannot be reached" in said
    assert "the portal answers again" in said

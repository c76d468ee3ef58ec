"""Notifications of the real program: durable, known again by their id, and in nobody's way."""

import json
import signal
from pathlib import Path

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from tests.support.listener import KEY, SECRET, Answer, Listener
from tests.support.processes import LOST_DEAL, Running, event, eventually, free_port, running
from tests.support.under_load import Crashes

DEAL = ("crm", "CCrmDocumentDeal")
TRIPS = LOST_DEAL + "    limit: {per_hour: 1}\n"
HANGS = Answer(hangs=60)


def lost_deal(sandbox: Sandbox, item_id: int, workflows: int = 1) -> None:
    """Add a lost deal with approvals running on it."""
    sandbox.add_item(2, item_id, stageId="LOSE", stageSemanticId="F", categoryId=0)
    for _ in range(workflows):
        sandbox.start_workflow((*DEAL, f"DEAL_{item_id}"), 61)


def telling(port: int) -> dict[str, str]:
    return {
        "RESPONDER_NOTIFY_URL": f"http://127.0.0.1:{port}/hooks/path-secret-0001",
        "RESPONDER_NOTIFY_SECRET": SECRET,
    }


def hears(listener: Listener, count: int) -> None:
    eventually(lambda: len({heard.message_id for heard in listener.heard}) >= count or None)


def drives(service: Running) -> bool:
    return bool(json.loads(service.get("/readyz")[1])["portals"]["main"]["driving"])


def told_no_secret(service: Running) -> None:
    """Fail if the receiver's secrets stand in a log or in the database."""
    for path in service.place.rglob("*"):
        if path.is_file() and path.name != "rules.yaml":
            written = path.read_bytes()
            assert b"path-secret-0001" not in written
            assert KEY.encode() not in written


def test_kills_and_trips_are_told_and_nothing_secret_is_written(
    portal: SandboxServer, tmp_path: Path
) -> None:
    lost_deal(portal.sandbox, 759)
    lost_deal(portal.sandbox, 760, workflows=2)
    with (
        Listener() as listener,
        running(tmp_path, portal.url, rules=TRIPS, **telling(listener.port)) as service,
    ):
        assert service.post(event("ONCRMDEALUPDATE", 759)) == 200
        (killed, *_) = service.settled(1)
        hears(listener, 1)
        assert service.post(event("ONCRMDEALUPDATE", 760)) == 200
        hears(listener, 2)
        metrics = service.get("/metrics")[1].decode()
        told_no_secret(service)
    assert all(heard.is_signed() for heard in listener.heard)
    assert listener.types() == ["workflow.killed", "rule.tripped"]
    assert listener.heard[0].message["data"]["decision"] == killed["id"]
    assert 'responder_notifications_total{result="sent"}' in metrics


def test_a_kill_that_was_not_told_before_kill_9_is_told_after_it(
    portal: SandboxServer, tmp_path: Path
) -> None:
    lost_deal(portal.sandbox, 759)
    with (
        Listener(HANGS) as listener,
        running(tmp_path, portal.url, **telling(listener.port)) as service,
    ):
        assert service.post(event("ONCRMDEALUPDATE", 759)) == 200
        hears(listener, 1)
        (killed, *_) = service.settled(1)  # it stands in the log before it is told
        service.end(signal.SIGKILL)
        service.start()
        eventually(lambda: len(listener.heard) >= 2 or None)
    first, second = listener.heard
    assert first.message_id == second.message_id
    assert first.body == second.body
    assert first.message["data"]["decision"] == killed["id"]
    assert second.is_signed()


def test_a_receiver_that_hangs_or_is_dead_delays_no_kill(
    portal: SandboxServer, tmp_path: Path
) -> None:
    port = free_port()
    with running(tmp_path, portal.url, **telling(port)) as service:
        for deal in (1, 2):
            lost_deal(portal.sandbox, deal)
            assert service.post(event("ONCRMDEALUPDATE", deal)) == 200
            service.settled(deal, seconds=4)
        with Listener(HANGS, HANGS, HANGS, port=port) as listener:
            hears(listener, 1)
            for deal in (3, 4, 5):
                lost_deal(portal.sandbox, deal)
                assert service.post(event("ONCRMDEALUPDATE", deal)) == 200
                service.settled(deal, seconds=4)
            assert service.get("/readyz")[0] == 200
            service.end(signal.SIGKILL)
        with Listener(port=port) as listener:
            service.start()
            hears(listener, 5)
    told = [heard.message["data"]["document"][2] for heard in listener.heard]
    assert sorted(set(told)) == [f"DEAL_{deal}" for deal in (1, 2, 3, 4, 5)]


def test_two_replicas_tell_each_kill_under_one_id(
    portal: SandboxServer, tmp_path: Path, postgres_url: str
) -> None:
    places = [tmp_path / "one", tmp_path / "two"]
    for place in places:
        place.mkdir()
    with (
        Listener(Answer(), HANGS) as listener,
        running(
            places[0], portal.url, database_url=postgres_url, **telling(listener.port)
        ) as first,
        running(
            places[1], portal.url, database_url=postgres_url, **telling(listener.port)
        ) as second,
    ):
        for deal in (1, 2):
            lost_deal(portal.sandbox, deal)
            assert second.post(event("ONCRMDEALUPDATE", deal)) == 200
            hears(listener, deal)
        driver, other = (first, second) if drives(first) else (second, first)
        Crashes(driver).crash()  # while it waits for an answer
        lost_deal(portal.sandbox, 3)
        assert other.post(event("ONCRMDEALUPDATE", 3)) == 200
        hears(listener, 3)
        eventually(lambda: len(listener.heard) >= 4 or None)
        decisions = [d["id"] for d in other.settled(3) if d["outcome"] == "killed"]
    told = {heard.message_id: heard.message["data"]["decision"] for heard in listener.heard}
    assert sorted(told.values()) == sorted(str(name) for name in decisions)


def test_a_portal_that_refuses_is_told_once_through_a_restart(
    portal: SandboxServer, tmp_path: Path
) -> None:
    lost_deal(portal.sandbox, 759)
    with (
        Listener() as listener,
        running(
            tmp_path,
            portal.url.replace("secret", "revoked"),
            RESPONDER_ADMIN_URL="https://admin.example",
            **telling(listener.port),
        ) as service,
    ):
        assert service.post(event("ONCRMDEALUPDATE", 759)) == 200
        hears(listener, 1)
        eventually(lambda: alarms(service) == ["portal_unreachable"] or None)
        service.end(signal.SIGKILL)
        service.start()
        eventually(lambda: (drives(service) and alarms(service) == ["portal_unreachable"]) or None)
        stands = service.command("status", "--json").stdout
    assert listener.types() == ["portal.unreachable"]
    assert listener.heard[0].is_signed()
    assert listener.heard[0].message["data"]["link"] == "https://admin.example/status#portal-main"
    assert [one["kind"] for one in json.loads(stands)["alarms"]] == ["portal_unreachable"]


def alarms(service: Running) -> list[str]:
    return [one["kind"] for one in json.loads(service.get("/readyz")[1])["alarms"]]

"""Portals and moments that tempt to kill too much, or to lose what waits."""

import json
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from tests.process.test_limits import lost_deal, rules
from tests.support.processes import HURRIED, Decision, Running, event, eventually, running

DEAL = ("crm", "CCrmDocumentDeal")


@pytest.fixture
def portal() -> Iterator[SandboxServer]:
    with SandboxServer(Sandbox(kind="on_premise")) as server:  # many run on one deal
        yield server


def outcomes(service: Running, outcome: str, count: int) -> list[Decision]:
    def look() -> list[Decision] | None:
        found = [d for d in service.decisions() if d["outcome"] == outcome]
        return found if len(found) >= count else None

    return eventually(look, seconds=60, why=lambda: json.dumps(service.decisions()))


def test_a_workflow_that_survives_its_kills_is_not_killed_beyond_the_limit(
    portal: SandboxServer, tmp_path: Path
) -> None:
    (ghost,) = lost_deal(portal.sandbox, 759)
    triple = (*DEAL, "DEAL_759")
    given = rules("{per_document: 2}")
    with running(tmp_path, portal.url, rules=given, program=HURRIED) as service:
        service.post(event("ONCRMDEALUPDATE", 759))
        for times in (1, 2):
            outcomes(service, "killed", times)
            portal.sandbox.start_workflow(triple, 61, id=ghost)
            service.pass_a_minute()
        (held,) = outcomes(service, "held", 1)
    assert "2 stopped on it within 24 h" in str(held["detail"])
    assert portal.sandbox.killed == [ghost, ghost]


def test_a_set_is_over_its_limit_though_a_part_of_it_is_executing(
    portal: SandboxServer, tmp_path: Path
) -> None:
    portal.sandbox.add_item(2, 759, stageSemanticId="F", categoryId=0)
    busy_until = datetime.now(UTC) + timedelta(seconds=8)
    for number in range(8):
        owned = busy_until if number < 3 else None
        portal.sandbox.start_workflow((*DEAL, "DEAL_759"), 61, owned_until=owned)
    given = rules("{per_hour: 5, per_document: 100}")
    with running(tmp_path, portal.url, rules=given) as service:
        service.post(event("ONCRMDEALUPDATE", 759))
        outcomes(service, "held", 8)
    assert portal.sandbox.killed == []


def test_events_wait_for_a_portal_that_is_away(portal: SandboxServer, tmp_path: Path) -> None:
    lost_deal(portal.sandbox, 759)
    given = rules("{per_hour: 5}")
    with running(tmp_path, portal.url, rules=given, program=HURRIED) as service:
        portal.stop()
        assert service.post(event("ONCRMDEALUPDATE", 759)) == 200
        eventually(lambda: "the document waits" in service.log.read_text() or None)
        assert service.decisions() == []
        portal.start()
        service.pass_a_minute()
        assert service.post(event("ONCRMCONTACTADD", 1)) == 200  # so that it looks at its clock
        outcomes(service, "killed", 1)


def test_a_document_that_cannot_be_read_holds_up_no_other(
    portal: SandboxServer, tmp_path: Path
) -> None:
    for item_id in (1, 2, 3):
        lost_deal(portal.sandbox, item_id)
    portal.sandbox.fail_next("crm.item.get", "html_502")
    with running(tmp_path, portal.url, rules=rules("{per_hour: 5}")) as service:
        for item_id in (1, 2, 3):
            service.post(event("ONCRMDEALUPDATE", item_id))
        outcomes(service, "killed", 3)


def test_a_renamed_rule_goes_on_with_what_the_old_one_held(
    portal: SandboxServer, tmp_path: Path
) -> None:
    lost_deal(portal.sandbox, 759)
    given = rules("{per_hour: 5}")
    with running(tmp_path, portal.url, rules=given) as service:
        service.command("pause")
        service.post(event("ONCRMDEALUPDATE", 759))
        outcomes(service, "held", 1)
        service.end()
        (tmp_path / "rules.yaml").write_text(given.replace("lost-deal", "lost-deals"))
        service.start()
        service.command("resume")
        outcomes(service, "cleared", 1)
        (killed,) = outcomes(service, "killed", 1)
    assert killed["rule"] == "lost-deals"


def test_a_kill_without_the_right_to_it_waits_and_the_method_alone_is_shut(
    portal: SandboxServer, tmp_path: Path
) -> None:
    lost_deal(portal.sandbox, 759)
    portal.sandbox.fail_next(
        "bizproc.workflow.kill", ("error", 403, "ACCESS_DENIED", "Access denied!")
    )
    with running(tmp_path, portal.url, rules=rules("{per_hour: 5}")) as service:
        service.post(event("ONCRMDEALUPDATE", 759))
        (waiting,) = outcomes(service, "waiting", 1)
        assert "ACCESS_DENIED" in str(waiting["detail"])
        detail = json.loads(service.get("/readyz")[1])["portals"]["main"]
        assert detail["breaker"] is None
        assert detail["methods"] == {"bizproc.workflow.kill": "ACCESS_DENIED"}


def test_changed_rules_are_taken_up_all_or_nothing_by_the_running_service(
    portal: SandboxServer, tmp_path: Path
) -> None:
    lost_deal(portal.sandbox, 759)
    path = tmp_path / "rules.yaml"
    with running(tmp_path, portal.url, rules=rules("{per_hour: 0}")) as service:
        old = ready_rules(service)
        path.write_text(rules("{per_hour: 1}").replace("limit", "limti"))
        assert service.process is not None
        service.process.send_signal(signal.SIGHUP)
        broken = eventually(lambda: ready_rules(service)["error"])
        assert "rules.yaml:7:" in str(broken)
        assert ready_rules(service)["revision"] == old["revision"]
        assert service.get("/readyz")[0] == 200
        (tmp_path / "new.yaml").write_text(rules("{per_hour: 1}"))
        (tmp_path / "new.yaml").rename(path)
        eventually(lambda: ready_rules(service)["revision"] != old["revision"] or None)
        service.post(event("ONCRMDEALUPDATE", 759))
        (killed,) = outcomes(service, "killed", 1)
        assert killed["ruleset"] == ready_rules(service)["revision"]
        shown = service.command("rules", "show", str(killed["ruleset"])).stdout
        assert shown == path.read_text()


def ready_rules(service: Running) -> dict[str, object]:
    found: dict[str, object] = json.loads(service.get("/readyz")[1])["rules"]
    return found

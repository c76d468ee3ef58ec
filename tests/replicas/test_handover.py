"""A driver that ends in order hands over at once, and the next goes on where it was."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from tests.replicas.cluster import Cluster, Replica, cluster
from tests.support.processes import PROGRAM, event, eventually
from tests.support.under_load import KILL, QUICK, RULES, Load, lost_deal, portal_with_deals

AT_ONCE_SECONDS = 3.0  # less than what is left of a lease that was renewed within the last second
ONE_AN_HOUR = RULES.replace("per_hour: 1000000", "per_hour: 1")


@pytest.fixture
def portal() -> Iterator[SandboxServer]:
    with SandboxServer(Sandbox()) as server:
        yield server


def hand_over(replicas: Cluster) -> Replica:
    """End the driver in order; return who drives at once instead."""
    driver = replicas.driven()
    assert driver.end(signal.SIGTERM) == 0
    ended_at = time.monotonic()
    other = replicas.driven(by_other_than=driver)
    assert time.monotonic() - ended_at < AT_ONCE_SECONDS
    return other


def outcomes(replica: Replica) -> list[object]:
    return [decision["outcome"] for decision in replica.decisions()]


def readiness(replica: Replica) -> dict[str, object]:
    found: dict[str, object] = json.loads(replica.get("/readyz")[1])
    return found


def test_a_limit_a_trip_and_a_breaker_hold_for_the_next_driver(
    portal: SandboxServer, tmp_path: Path, postgres_url: str
) -> None:
    sandbox = portal.sandbox
    with cluster(
        tmp_path,
        postgres_url,
        portal.url,
        programs=[PROGRAM] * 3,
        rules=ONE_AN_HOUR,
        environment=QUICK,
    ) as replicas:
        first = lost_deal(sandbox, 1)
        assert replicas.balancer.post(event("ONCRMDEALUPDATE", 1)) == 200
        eventually(lambda: sandbox.killed or None, why=replicas.tails)

        second = hand_over(replicas)  # what the first did counts
        lost_deal(sandbox, 2)
        assert replicas.balancer.post(event("ONCRMDEALUPDATE", 2)) == 200
        eventually(lambda: "held" in outcomes(second) or None, why=replicas.tails)
        sandbox.fail_next("*", "401", times=100)
        assert replicas.balancer.post(event("ONCRMDEALUPDATE", 2)) == 200
        eventually(lambda: breaker(second), why=replicas.tails)
        sandbox.faults.clear()

        third = hand_over(replicas)  # what the second tripped and opened is so
        assert eventually(lambda: breaker(third)) == "NO_AUTH_FOUND"
        assert readiness(third)["tripped"] == ["lost-deal"]
        asked = sandbox.http_requests
        assert replicas.balancer.post(event("ONCRMDEALUPDATE", 2)) == 200
        time.sleep(1)
        assert sandbox.http_requests == asked
        assert sandbox.killed == [first]
        assert replicas.written_without_the_lease() == []


def breaker(replica: Replica) -> object:
    portals = readiness(replica)["portals"]
    assert isinstance(portals, dict)
    return portals["main"]["breaker"]


def with_own_rules(replica: Replica) -> None:
    """Give the replica B rules of its own."""
    if replica.name == "B":
        own = replica.place / "rules.yaml"
        own.write_text(RULES.replace("lost-deal", "another"), encoding="utf-8")
        replica.environment["RESPONDER_RULES"] = str(own)


def test_a_pause_on_one_replica_stops_what_another_drives_by_its_own_rules(
    tmp_path: Path, postgres_url: str
) -> None:
    sandbox, _ = portal_with_deals()
    with (
        SandboxServer(sandbox) as server,
        cluster(
            tmp_path, postgres_url, server.url, environment=QUICK, prepare=with_own_rules
        ) as replicas,
    ):
        driver = replicas.driven()
        (other,) = (one for one in replicas.replicas if one is not driver)
        load = Load(replicas.balancer, sandbox, pause_seconds=0.05)
        with load.under_way():
            eventually(lambda: sandbox.killed or None, why=replicas.tails)
            assert other.command("pause").returncode == 0
            time.sleep(1)
            asked = len(sandbox.calls_of(KILL))
            time.sleep(1)
            assert len(sandbox.calls_of(KILL)) == asked
            assert other.command("resume").returncode == 0
            eventually(lambda: len(sandbox.calls_of(KILL)) > asked or None, why=replicas.tails)
        replicas.settled()
        eventually(lambda: other_rules(driver), why=replicas.tails)
        eventually(lambda: other_rules(other), why=replicas.tails)
        rules = {decision["rule"] for decision in driver.decisions()} - {None}
        assert rules == {"another" if driver.name == "B" else "lost-deal"}
        assert "other replicas have other rules" in other.log.read_text()


def other_rules(replica: Replica) -> object:
    found = readiness(replica)["replicas"]
    assert isinstance(found, dict)
    return found["other_rules"] or None

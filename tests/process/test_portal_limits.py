"""The real program keeps to the portal's limits, through a crash too, and waits where it must."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from responder.model import Breaker
from responder.store import client_state
from responder.store.database.database import Database
from tests.support.processes import LOST_DEAL, event, eventually, running
from tests.support.under_load import Crashes, lost_deal

KILL = "bizproc.workflow.kill"
DEALS = 60
RATE, BURST = 15, 15
LIMITS = {
    "RESPONDER_PORTALS__MAIN__REQUESTS_PER_SECOND": str(RATE),
    "RESPONDER_PORTALS__MAIN__BURST": str(BURST),
    "RESPONDER_SWEEP_EVERY": "0",
}
RULES = LOST_DEAL + "    limit: {per_hour: 1000, per_document: 1000}\n"


@pytest.fixture
def portal() -> Iterator[SandboxServer]:
    sandbox = Sandbox(limits=True, rate=RATE, burst=BURST)
    sandbox.add_template(61, "Approval")
    for number in range(1, DEALS + 1):
        lost_deal(sandbox, number)
    with SandboxServer(sandbox) as server:
        yield server


def breakers(database_url: str) -> list[Breaker]:
    """Read what the next driver will know."""
    database = Database(database_url)
    database.open()
    try:
        return database.read(lambda conn: client_state.breakers(conn, "main"))
    finally:
        database.close()


def test_a_program_that_is_killed_and_started_again_never_exceeds_the_request_limit(
    tmp_path: Path, portal: SandboxServer, database_url: str
) -> None:
    sandbox = portal.sandbox
    with running(tmp_path, portal.url, rules=RULES, database_url=database_url, **LIMITS) as service:
        for number in range(1, DEALS // 2 + 1):
            assert service.post(event("ONCRMDEALUPDATE", number)) == 200
            time.sleep(0.02)  # singly: the more calls, the more to be counted
        # a stop that was intended when the program died is in doubt until a call must be over
        Crashes(service).crash(seconds=76)
        service.start()
        for number in range(DEALS // 2 + 1, DEALS + 1):
            assert service.post(event("ONCRMDEALUPDATE", number)) == 200
        eventually(lambda: len(sandbox.killed) == DEALS or None, seconds=120)
    assert sandbox.limited == 0


def test_a_kill_waits_while_its_operating_time_is_used_up_and_nothing_is_intended(
    tmp_path: Path, portal: SandboxServer
) -> None:
    sandbox = portal.sandbox
    sandbox.operating[KILL] = 399.0
    sandbox.takes[KILL] = 2.0
    with running(tmp_path, portal.url, rules=RULES, **LIMITS) as service:
        assert service.post(event("ONCRMDEALUPDATE", 1)) == 200
        eventually(lambda: sandbox.killed or None)
        eventually(lambda: breakers(service.database_url) or None)
        service.end(signal.SIGKILL)
        service.start()  # the next driver knows it
        assert service.post(event("ONCRMDEALUPDATE", 2)) == 200

        def waiting() -> dict[str, object] | None:
            found = [d for d in service.decisions() if d["outcome"] == "waiting"]
            return found[0] if found else None

        waits = eventually(
            waiting, why=lambda: str(service.decisions()) + service.log.read_text()[-3000:]
        )
        detail = json.loads(service.get("/readyz")[1])["portals"]["main"]
    assert "OPERATION_TIME_LIMIT" in str(waits["detail"])
    assert detail["breaker"] is None
    assert detail["methods"] == {KILL: "OPERATION_TIME_LIMIT"}
    assert len(sandbox.calls_of(KILL)) == 1

"""That a portal is only observed is said by the service, `status`, `doctor` and the metrics."""

import json
from pathlib import Path

import pytest

from responder.bitrix24.sandbox import SandboxServer
from tests.support import probed_portal
from tests.support.processes import eventually, running

pytestmark = pytest.mark.service

QUESTION = "absent-type-is-not-listed"


def test_a_service_says_why_a_portal_is_observed_and_is_ready(tmp_path: Path) -> None:
    sandbox = probed_portal.few()
    sandbox.oddities.set("lists_absent_types")
    with SandboxServer(sandbox) as server, running(tmp_path, server.url) as service:

        def probe() -> dict[str, str] | None:
            status, body = service.get("/readyz")
            assert status == 200
            found: dict[str, str] = json.loads(body)["portals"]["main"]["probe"]["differs"]
            return found or None

        came = "an empty list, as if it existed"
        assert eventually(probe) == {QUESTION: came}
        status = json.loads(service.command("status", "--json").stdout)
        assert status["portals"]["main"]["withheld"] == {QUESTION: came}
        shown = service.command("doctor").stdout
        assert f"problem   main: probe: observed, not acted upon: {QUESTION}: {came}" in shown
        label = f'responder_portal_withheld{{portal="main",question="{QUESTION}"}} 1.0'
        eventually(lambda: label in service.get("/metrics")[1].decode() or None)
        assert QUESTION in service.log.read_text()

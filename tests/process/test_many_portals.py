"""Many portals in one program: one that hangs, or is nowhere, delays no other."""

import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from responder.bitrix24.sandbox import Sandbox, SandboxServer
from tests.support.processes import LOST_DEAL, Running, event, eventually, free_port, running
from tests.support.under_load import lost_deal

DEALS = 12
PATIENCE_SECONDS = 5  # what hangs is waited for for 30 s


@pytest.fixture
def hung() -> Iterator[str]:
    """Give a portal that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield url(listener.getsockname()[1])


@pytest.fixture
def portal() -> Iterator[SandboxServer]:
    sandbox = Sandbox(limits=True, rate=20, burst=20)
    sandbox.add_template(61, "Approval")
    for number in range(1, DEALS + 1):
        lost_deal(sandbox, number)
    with SandboxServer(sandbox) as server:
        yield server


def url(port: int) -> str:
    return f"http://127.0.0.1:{port}/rest/1/sandbox-secret-0001/"


def token(name: str) -> str:
    return f"test-application-token-{name}"


def several(**urls: str) -> dict[str, str]:
    """Return the settings of further portals."""
    found = {}
    for name, address in urls.items():
        found[f"RESPONDER_PORTALS__{name.upper()}__URL"] = address
        found[f"RESPONDER_PORTALS__{name.upper()}__APPLICATION_TOKENS"] = token(name)
    return found


def rules(*names: str) -> str:
    return LOST_DEAL.replace("mode:", f"portals: [{', '.join(names)}]\n    mode:")


def killed_within(service: Running, sandbox: Sandbox, number: int) -> float:
    """Send a deal's event to the portal that answers; return the seconds to the kill."""
    before, began = len(sandbox.killed), time.monotonic()
    assert service.post(event("ONCRMDEALUPDATE", number)) == 200
    eventually(lambda: len(sandbox.killed) > before or None, seconds=PATIENCE_SECONDS)
    return time.monotonic() - began


def test_portals_that_hang_or_are_nowhere_delay_no_other(
    tmp_path: Path, portal: SandboxServer, hung: str
) -> None:
    others = several(slow=hung, slower=hung.replace("/rest/1/", "/rest/2/"), dead=url(free_port()))
    quick = {
        "RESPONDER_PORTALS__MAIN__REQUESTS_PER_SECOND": "20",
        "RESPONDER_PORTALS__MAIN__BURST": "20",
    }
    text = rules("main", "slow", "slower", "dead")
    with running(tmp_path, portal.url, rules=text, **others, **quick) as service:
        for name in ("slow", "slower", "dead"):
            for number in range(1, 41):
                body = event("ONCRMDEALUPDATE", number, token=token(name))
                assert service.post(body) == 200
        time.sleep(0.3)
        for number in range(1, DEALS + 1):
            killed_within(service, portal.sandbox, number)
        status, page = service.get("/metrics")
        service.end(signal.SIGKILL)  # else it waits for answers that never come
    assert status == 200
    assert b'responder_bucket_level{portal="main"}' in page
    assert portal.sandbox.limited == 0


def test_a_portal_is_added_by_settings_and_a_restart(tmp_path: Path, portal: SandboxServer) -> None:
    first = several()
    with running(tmp_path, portal.url, rules=rules("main"), **first) as service:
        killed_within(service, portal.sandbox, 1)
        body = event("ONCRMDEALUPDATE", 1, token=token("branch"))
        assert service.post(body) == 403
    with SandboxServer(Sandbox()) as branch:
        branch.sandbox.add_template(61, "Approval")
        lost_deal(branch.sandbox, 1)
        more, text = several(branch=branch.url), rules("main", "branch")
        with running(tmp_path, portal.url, rules=text, **more) as service:
            assert service.post(body) == 200
            eventually(lambda: branch.sandbox.killed or None)
            killed_within(service, portal.sandbox, 2)

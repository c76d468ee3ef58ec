"""The sandbox starts and stops at once, whatever hangs on it."""

import asyncio
import signal
import socket
import threading
import time

import httpx
import pytest

from responder.bitrix24.sandbox import Sandbox, SandboxServer, demo_portal, run
from tests.bitrix24.sandbox.caller import ELEMENT, Caller

pytestmark = pytest.mark.portal


def post(server: SandboxServer, method: str, timeout: float = 5) -> int:
    return httpx.post(server.url + method, timeout=timeout, trust_env=False).status_code


@pytest.mark.parametrize("slow", [False, True])
def test_a_stop_does_not_wait_for_a_hanging_answer(slow: bool) -> None:
    ended: list[str] = []

    def hang() -> None:
        with pytest.raises(httpx.RemoteProtocolError):
            post(server, "scope", timeout=30)
        ended.append("dropped")

    with SandboxServer() as server:
        if slow:
            server.sandbox.answer_seconds = 30
        else:
            server.sandbox.fail_next("scope", "hang")
        thread = threading.Thread(target=hang)
        thread.start()
        while not server.sandbox.calls:
            time.sleep(0.001)
        stopping_at = time.monotonic()
    assert time.monotonic() - stopping_at < 5
    thread.join(timeout=5)
    assert ended == ["dropped"]


def test_a_stopped_portal_refuses_connections_and_comes_back_where_it_was() -> None:
    with SandboxServer() as server:
        url = server.url
        assert post(server, "scope") == 200
        server.stop()
        with pytest.raises(httpx.ConnectError):
            post(server, "scope")
        server.start()
        assert (server.url, post(server, "scope")) == (url, 200)
    server.stop()


def test_two_portals_have_ports_of_their_own() -> None:
    with SandboxServer() as one, SandboxServer(Sandbox(user_id="7", secret="other")) as other:
        assert one.port != other.port
        assert other.url == f"http://127.0.0.1:{other.port}/rest/7/other/"
        assert post(one, "scope") == post(other, "scope") == 200


def test_answers_can_take_their_time(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.answer_seconds = 0.02
    before = time.monotonic()
    caller.batch({"a": "scope", "b": "scope", "c": "scope"})
    assert time.monotonic() - before >= 0.06


def test_threads_may_change_what_is_served(sandbox: Sandbox, caller: Caller) -> None:
    def start() -> None:
        for _ in range(200):
            sandbox.start_workflow(ELEMENT, 61)

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        caller.ids("bizproc.workflow.instances")
    for thread in threads:
        thread.join()
    assert caller.call("bizproc.workflow.instances")["total"] == 600


def test_the_demo_portal_has_deals_templates_and_running_workflows() -> None:
    sandbox = demo_portal()
    assert (2, 759) in sandbox.items
    assert "61" in sandbox.templates
    documents = {(row["DOCUMENT_ID"], row["TEMPLATE_ID"]) for row in sandbox.workflows.values()}
    assert {("DEAL_759", "61"), ("DEAL_759", "84"), ("DYNAMIC_147_1", "92")} <= documents
    assert len(sandbox.bizproc_tasks) == 3


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def until_served(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return await writer.wait_closed()


def test_the_command_serves_until_it_is_cancelled() -> None:
    port = free_port()

    async def serve_and_cancel() -> None:
        serving = asyncio.create_task(run("127.0.0.1", port, demo_portal()))
        await until_served(port)
        serving.cancel()
        await serving

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(serve_and_cancel())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_ends_quietly_when_told_to(number: signal.Signals) -> None:
    port = free_port()

    async def serve_and_tell() -> None:
        serving = asyncio.create_task(run("127.0.0.1", port, demo_portal()))
        await until_served(port)
        signal.raise_signal(number)
        await serving

    asyncio.run(serve_and_tell())


def test_the_command_says_when_the_port_is_taken(server: SandboxServer) -> None:
    with pytest.raises(OSError, match="in use"):
        asyncio.run(run("127.0.0.1", server.port, server.sandbox))

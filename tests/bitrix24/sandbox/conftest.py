"""A sandbox that is served, and who calls it: a webhook's owner, and an application."""

from collections.abc import Iterator

import httpx
import pytest

from responder.bitrix24.sandbox import Application, Sandbox, SandboxServer
from tests.bitrix24.sandbox.application.client import ApplicationCaller
from tests.bitrix24.sandbox.caller import Caller


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with SandboxServer(Sandbox()) as server:
        yield server


@pytest.fixture
def sandbox(server: SandboxServer) -> Sandbox:
    return server.sandbox


@pytest.fixture
def caller(server: SandboxServer) -> Iterator[Caller]:
    with httpx.Client(base_url=server.url, trust_env=False, timeout=5) as client:
        yield Caller(client, server.sandbox)


@pytest.fixture
def application(sandbox: Sandbox) -> Application:
    return sandbox.add_application()


@pytest.fixture
def app(server: SandboxServer, application: Application) -> Iterator[ApplicationCaller]:
    base = f"{server.address}/rest/"
    with httpx.Client(base_url=base, trust_env=False, timeout=5) as client:
        caller = ApplicationCaller(client, server.sandbox)
        caller.use(application)
        yield caller

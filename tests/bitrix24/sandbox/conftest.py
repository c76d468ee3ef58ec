"""A sandbox that is served, and someone who calls it."""

from collections.abc import Iterator

import httpx
import pytest

from responder.bitrix24.sandbox import Sandbox, SandboxServer
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

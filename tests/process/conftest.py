"""A portal for the whole program; a file whose tests need another one has its own."""

from collections.abc import Iterator

import pytest

from responder.bitrix24.sandbox import Sandbox, SandboxServer


@pytest.fixture
def portal() -> Iterator[SandboxServer]:
    with SandboxServer(Sandbox()) as server:
        yield server

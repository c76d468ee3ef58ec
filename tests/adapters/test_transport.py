"""A request costs no more than it must."""

import asyncio
import sys
from importlib.machinery import ModuleSpec

import pytest

from responder.adapters.transport import Transport
from responder.bitrix24.sandbox import Sandbox, SandboxServer

pytestmark = pytest.mark.portal


class Finder:
    """Finds no module, and notes which were looked for."""

    def __init__(self) -> None:
        self.sought: list[str] = []

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        """Note a name, and leave it to the others."""
        self.sought.append(name)
        return None


def test_after_the_first_request_no_module_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    finder = Finder()

    async def three_requests(url: str) -> None:
        transport = Transport(connect_seconds=5, answer_seconds=5, most_bytes=100_000)
        for number in range(3):
            if number == 1:
                monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
            answer = await transport.post(f"{url}profile.json", {}, b"")
            assert answer.status == 200
        await transport.close()

    with SandboxServer(Sandbox()) as portal:
        asyncio.run(three_requests(portal.url))
    assert finder.sought == []

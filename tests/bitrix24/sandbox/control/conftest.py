"""Someone outside, who has the key."""

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from responder.bitrix24.sandbox import SandboxServer
from responder.bitrix24.sandbox.control import open_door

KEY = "key-of-the-door"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Asks through the door, over a socket."""

    client: httpx.Client

    def ask(self, verb: str, **params: object) -> object:
        answer = self.client.post(verb, json=params)
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    def mistakes(self, verb: str, **params: object) -> list[str]:
        answer = self.client.post(verb, json=params)
        assert answer.status_code == 400, answer.text
        body = answer.json()
        return [str(one) for one in body.get("mistakes", [body["error"]])]


@pytest.fixture
def visitor(server: SandboxServer) -> Iterator[Visitor]:
    open_door(server.sandbox, KEY)
    base, headers = f"{server.address}/__sandbox__/", {"X-Sandbox-Key": KEY}
    with httpx.Client(base_url=base, headers=headers, trust_env=False, timeout=5) as client:
        yield Visitor(client)
